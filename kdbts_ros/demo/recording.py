"""What of a rosbag2 recording the node is to be fed with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2

from kdbts_ros.datasets.bags.files import open_bag
from kdbts_ros.errors import UserError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TRANSFORMS = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
# Names of the camera to take, the more wanted first, and of pictures that are none.
_WANTED = ("left", "front", "rect", "color", "image")
_UNWANTED = ("depth", "right", "mask", "preview", "novel", "disparity")


@dataclass(frozen=True)
class Recording:
    """One camera of a bag, and its poses.

    images: topic of the images, "/compressed" included. reliable: QoS the images were sent with.
    transforms: the topics of /tf and /tf_static that are there. frames: images. seconds: length.
    """

    path: Path
    images: str
    infos: str
    reliable: bool
    transforms: tuple[str, ...]
    frames: int
    seconds: float

    @property
    def compressed(self) -> bool:
        return self.images.endswith("/compressed")

    @property
    def base_topic(self) -> str:
        """What the node's `image` is remapped to."""
        return self.images.removesuffix("/compressed")

    @property
    def topics(self) -> tuple[str, ...]:
        """All that the player has to send."""
        return (self.images, self.infos, *self.transforms)


def inspect(path: Path) -> Recording:
    """Choose a camera of a bag by its topics' types and names.

    Raises:
        UserError: not a bag, or one without images with their camera_info, or without poses.
    """
    with open_bag(path) as reader:
        connections = reader.connections
        held = {c.topic: c.msgtype for c in connections}
        transforms = tuple(t for t in ("/tf", "/tf_static") if held.get(t) == TRANSFORMS)
        if not transforms:
            raise UserError(f"bag {path} has no /tf: the node needs the pose of every image")
        images, infos = choose_camera(held, path)
        chosen = [c for c in connections if c.topic == images]
        return Recording(
            path,
            images,
            infos,
            all(_reliable(c) for c in chosen),
            transforms,
            sum(c.msgcount for c in chosen),
            reader.duration / 1e9,
        )


def choose_camera(types: dict[str, str], path: Path) -> tuple[str, str]:
    """Topics of images and their camera_info, of topics with their types.

    Raises:
        UserError: there are none.
    """
    infos = [topic for topic, kind in types.items() if kind == CAMERA_INFO]
    pairs = []
    for topic, kind in types.items():
        raw = topic.removesuffix("/compressed")
        if kind == IMAGE or (kind == COMPRESSED and raw != topic):
            beside = raw.rsplit("/", 1)[0] + "/camera_info"
            if beside in infos or len(infos) == 1:
                pairs.append((topic, beside if beside in infos else infos[0]))
    if not pairs:
        raise UserError(
            f"bag {path} has no images with a camera_info beside them; it holds "
            + (", ".join(sorted(types)) or "nothing")
        )
    return min(pairs, key=lambda pair: _reluctance(pair[0]))


def _reluctance(topic: str) -> tuple[int, ...]:
    name = topic.lower()
    unwanted = sum(word in name for word in _UNWANTED)
    return (unwanted, *(word not in name for word in _WANTED), name.endswith("/compressed"))


def _reliable(connection: Connection) -> bool:
    assert isinstance(connection.ext, ConnectionExtRosbag2)
    return all(q.reliability.name != "BEST_EFFORT" for q in connection.ext.offered_qos_profiles)
