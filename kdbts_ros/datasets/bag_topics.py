"""Which topics of a recording are cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdbts_ros.datasets.kitti_files import summary
from kdbts_ros.errors import UserError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TRANSFORMS = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
ODOMETRY = "nav_msgs/msg/Odometry"
# Pictures that show something else than colours, by words in their topics.
_NO_CAMERA = ("depth", "mask", "preview", "disparity", "semantic", "label", "debug")
# Which camera leads, the more wanted first.
_LEADING = ("left", "front", "rgb", "color")


@dataclass(frozen=True)
class CameraTopics:
    """A camera's topics: images ("/compressed" included) and their camera_info."""

    name: str
    images: str
    infos: str

    @property
    def rectified(self) -> bool:
        """By the convention of image_pipeline, topics say whether images are straight already."""
        return "rect" in self.images.rsplit("/camera", 1)[-1]


def camera_topics(
    types: Mapping[str, str], wanted: Sequence[str] | None, where: object
) -> tuple[CameraTopics, ...]:
    """The cameras of topics with their types; the leading one first.

    Of several image topics beside one camera_info the rectified one is taken, and the raw one of a
    raw and a compressed pair.

    Args:
        wanted: names or image topics of cameras, in the order wanted; None for all.
        where: the recording, for messages.

    Raises:
        UserError: no images with a camera_info beside them, or not the wanted ones.
    """
    by_info: dict[str, list[str]] = {}
    infos = {topic for topic, kind in types.items() if kind == CAMERA_INFO}
    for topic, kind in types.items():
        if kind not in (IMAGE, COMPRESSED) or any(word in topic.lower() for word in _NO_CAMERA):
            continue
        beside = topic.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
        if beside in infos:
            by_info.setdefault(beside, []).append(topic)
    if not by_info:
        raise UserError(
            f"{where} has no images with a camera_info beside them; it holds "
            f"{summary(sorted(types), 20) or 'nothing'}"
        )
    chosen = {info: min(topics, key=_reluctance) for info, topics in by_info.items()}
    found = [CameraTopics(name, chosen[info], info) for info, name in _names(list(chosen)).items()]
    if wanted is None:
        return tuple(sorted(found, key=_lead))
    return tuple(_pick(name, found, where) for name in wanted)


def _pick(wanted: str, found: Sequence[CameraTopics], where: object) -> CameraTopics:
    for camera in found:
        if wanted in (camera.name, camera.images, camera.images.removesuffix("/compressed")):
            return camera
    raise UserError(f"{where} has no camera {wanted}; it has {summary(c.name for c in found)}")


def _reluctance(topic: str) -> tuple[bool, bool, str]:
    return "rect" not in topic, topic.endswith("/compressed"), topic


def _lead(camera: CameraTopics) -> tuple[bool | str, ...]:
    name = camera.images.lower()
    return (*(word not in name for word in _LEADING), camera.images)


def _names(infos: list[str]) -> dict[str, str]:
    """Camera name by info topic: the last part of the namespace where that tells them apart."""
    spaces = {info: info.strip("/").split("/")[:-1] for info in infos}
    for parts in range(1, 10):
        names = {info: "_".join(s[-parts:]) or "camera" for info, s in spaces.items()}
        if len(set(names.values())) == len(names):
            return names
    return {info: info.strip("/").replace("/", "_") for info in infos}
