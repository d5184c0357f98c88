"""Which topics of a recording are cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdbts_ros.datasets.kitti.files import summary
from kdbts_ros.datasets.ros.topic_names import (
    info_topics,
    is_rectified,
    shows_colours,
    without_transport,
)
from kdbts_ros.errors import UserError
from kdbts_ros.suggestions import did_you_mean

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TRANSFORMS = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
ODOMETRY = "nav_msgs/msg/Odometry"
# Which camera leads, the more wanted first.
_LEADING = ("left", "front", "rgb", "color")
# Namespaces that some drivers give to the two pictures of one camera.
_PICTURES = ("rect", "raw")


@dataclass(frozen=True)
class CameraTopics:
    """A camera's topics: images ("/compressed" included) and their camera_info."""

    name: str
    images: str
    infos: str

    @property
    def rectified(self) -> bool:
        """By the convention of image_pipeline, topics say whether images are straight already."""
        return is_rectified(self.images)


def camera_topics(
    types: Mapping[str, str], wanted: Sequence[str] | None, where: object
) -> tuple[CameraTopics, ...]:
    """The cameras of topics with their types; the leading one first.

    A camera_info belongs to the images beside it; one that stands in a namespace above, to the only
    images below it. Of several image topics of one camera the rectified one is taken, and the raw
    one of a raw and a compressed pair. What is asked for by its topic is taken whatever its name
    looks like.

    Args:
        wanted: names or image topics of cameras, in the order wanted; IMAGES=INFOS names the
            camera_info of images as well. None for all.
        where: the recording, for messages.

    Raises:
        UserError: no images with a camera_info, or not the wanted ones.
    """
    images = [t for t, kind in types.items() if kind in (IMAGE, COMPRESSED)]
    infos = {topic for topic, kind in types.items() if kind == CAMERA_INFO}
    pairs = _pairs([topic for topic in images if shows_colours(topic)], infos)
    cameras: dict[str, list[str]] = {}
    for topic, info in pairs.items():
        cameras.setdefault(_space(info), []).append(topic)
    names = _names(list(cameras))
    chosen = {space: min(topics, key=_reluctance) for space, topics in cameras.items()}
    found = [CameraTopics(names[s], topic, pairs[topic]) for s, topic in chosen.items()]
    if wanted is None:
        if not found:
            raise UserError(_no_cameras(types, infos, images, where))
        return tuple(sorted(found, key=_lead))
    everything = _pairs(images, infos)
    picked = [_pick(name, found, everything, types, where) for name in wanted]
    return _named_apart(picked)


def _pairs(images: Sequence[str], infos: set[str]) -> dict[str, str]:
    """Topic of camera_info by topic of images, for images that have one."""
    pairs, above = {}, {}
    for topic in images:
        places = info_topics(topic)
        if places[0] in infos:
            pairs[topic] = places[0]
            continue
        info = next((place for place in places if place in infos), None)
        if info is not None:
            above[topic] = info
    for topic, info in above.items():
        # One camera_info cannot be that of two cameras.
        others = [other for other, its in (pairs | above).items() if its == info]
        if len({info_topics(other)[0] for other in others}) == 1:
            pairs[topic] = info
    return pairs


def _pick(
    wanted: str,
    found: Sequence[CameraTopics],
    pairs: Mapping[str, str],
    types: Mapping[str, str],
    where: object,
) -> CameraTopics:
    topic, _, info = wanted.partition("=")
    if info:
        return _asked(_image_topic(topic, types, where), _info_topic(info, types, where))
    for camera in found:
        if wanted in (camera.name, camera.images):
            return camera
    if not wanted.startswith("/"):
        names = [camera.name for camera in found]
        raise UserError(
            f"{where} has no camera {wanted}; it has {summary(names) or 'none'}"
            f"{did_you_mean(wanted, names)}"
        )
    images = _image_topic(wanted, types, where)
    if images not in pairs:
        infos = summary(sorted(t for t, kind in types.items() if kind == CAMERA_INFO)) or "none"
        raise UserError(
            f"{where} has no camera_info beside {images}: name it as {images}=TOPIC; "
            f"topics of camera_info: {infos}"
        )
    same = next((c for c in found if (c.images, c.infos) == (images, pairs[images])), None)
    return same or _asked(images, pairs[images])


def _image_topic(topic: str, types: Mapping[str, str], where: object) -> str:
    """The topic itself or its compressed images."""
    for name in (topic, f"{topic}/compressed"):
        if types.get(name) in (IMAGE, COMPRESSED):
            return name
    images = sorted(t for t, k in types.items() if k in (IMAGE, COMPRESSED))
    raise UserError(
        f"{where} has no images on {topic}; topics of images: {summary(images) or 'none'}"
        f"{did_you_mean(topic, images)}"
    )


def _info_topic(topic: str, types: Mapping[str, str], where: object) -> str:
    if types.get(topic) == CAMERA_INFO:
        return topic
    infos = sorted(t for t, kind in types.items() if kind == CAMERA_INFO)
    raise UserError(
        f"{where} has no camera_info on {topic}; topics of camera_info: {summary(infos) or 'none'}"
        f"{did_you_mean(topic, infos)}"
    )


def _asked(images: str, infos: str) -> CameraTopics:
    return CameraTopics(
        _space(info_topics(images)[0]).rpartition("/")[2] or "camera", images, infos
    )


def _named_apart(cameras: Sequence[CameraTopics]) -> tuple[CameraTopics, ...]:
    """Cameras of one name are called by their whole topics."""
    names = [camera.name for camera in cameras]
    return tuple(
        camera
        if names.count(camera.name) == 1
        else CameraTopics(camera.images.strip("/").replace("/", "_"), camera.images, camera.infos)
        for camera in cameras
    )


def _no_cameras(
    types: Mapping[str, str], infos: set[str], images: Sequence[str], where: object
) -> str:
    holds = summary(sorted(types), 20) or "nothing"
    sentence = f"{where} has no images with a camera_info beside them; it holds {holds}"
    if infos and images:
        return f"{sentence}; name a pair of them as --cameras IMAGES=CAMERA_INFO"
    return sentence


def _reluctance(topic: str) -> tuple[bool, bool, str]:
    return not is_rectified(topic), without_transport(topic) != topic, topic


def _lead(camera: CameraTopics) -> tuple[bool | str, ...]:
    name = camera.images.lower()
    return (*(word not in name for word in _LEADING), camera.images)


def _space(info: str) -> str:
    """Namespace of a camera, given its camera_info."""
    parts = info.split("/")[:-1]
    return "/".join(parts[:-1] if parts[-1] in _PICTURES else parts)


def _names(spaces: list[str]) -> dict[str, str]:
    """Camera name by namespace: its last part where that tells them apart."""
    parts = {space: space.strip("/").split("/") for space in spaces}
    for count in range(1, 10):
        names = {space: "_".join(p[-count:]) or "camera" for space, p in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {space: space.strip("/").replace("/", "_") for space in spaces}
