"""Which topic of a recording is the depth of its camera."""

from __future__ import annotations

from collections.abc import Mapping

from kdbts_ros.datasets.bags.topics import CAMERA_INFO, COMPRESSED, IMAGE, CameraTopics
from kdbts_ros.datasets.kitti.files import summary
from kdbts_ros.datasets.ros.topic_names import info_topics, without_transport
from kdbts_ros.errors import UserError
from kdbts_ros.suggestions import did_you_mean

# `depth_topic` finds one itself, or takes none.
AUTO, NONE = "auto", "none"
# Drivers' words for depth in the pixels of the colour camera.
_REGISTERED = ("aligned", "registered")


def depth_topic(
    types: Mapping[str, str], asked: str, leading: CameraTopics, where: object
) -> CameraTopics | None:
    """The depth images with their camera_info; None where there are none, or none are wanted.

    Of several, those of the leading camera's namespace come first, then those that are registered
    to a colour camera, then uncompressed ones.

    Args:
        asked: a topic, AUTO or NONE.
        leading: the camera that leads.
        where: the recording, for messages.

    Raises:
        UserError: the topic asked for is not there, or has no camera_info beside it.
    """
    if asked == NONE:
        return None
    infos = {topic for topic, kind in types.items() if kind == CAMERA_INFO}
    images = [t for t, kind in types.items() if kind in (IMAGE, COMPRESSED)]
    if asked != AUTO:
        return _asked(asked, images, infos, where)
    found = [topic for topic in images if is_depth(topic) and _info(topic, infos)]
    if not found:
        return None
    best = min(found, key=lambda topic: _reluctance(topic, leading.images))
    return _named(best, infos)


def is_depth(topic: str) -> bool:
    """Whether a topic of images says that it shows depth."""
    if topic.endswith("/compressedDepth"):
        return True
    if topic.endswith(("/compressed", "/theora", "/ffmpeg")):
        return False
    parts = ["", *topic.lower().strip("/").split("/")][-2:]
    # /depth_camera/image_raw is a device with a lens.
    return any("depth" in part.split("_") and "camera" not in part for part in parts)


def _asked(topic: str, images: list[str], infos: set[str], where: object) -> CameraTopics:
    found = next((name for name in (topic, f"{topic}/compressedDepth") if name in images), None)
    if found is None:
        depths = sorted(name for name in images if is_depth(name))
        raise UserError(
            f"{where} has no images on {topic}; topics of depth: {summary(depths) or 'none'}"
            f"{did_you_mean(topic, images)}"
        )
    if not _info(found, infos):
        raise UserError(
            f"{where} has no camera_info beside {found}: record it as well, or leave the depth out "
            "with --depth none"
        )
    return _named(found, infos)


def _named(topic: str, infos: set[str]) -> CameraTopics:
    return CameraTopics("depth", topic, _info(topic, infos))


def _info(topic: str, infos: set[str]) -> str:
    """Its camera_info, the nearest one; empty where there is none."""
    return next((place for place in info_topics(topic) if place in infos), "")


def _reluctance(topic: str, leading: str) -> tuple[bool, bool, bool, str]:
    base = without_transport(topic)
    apart = base.split("/")[1] != leading.split("/")[1]
    registered = any(word in base.lower() for word in _REGISTERED)
    return apart, not registered, base != topic, topic
