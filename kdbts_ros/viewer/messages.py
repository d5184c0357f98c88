"""ROS messages by their types, as what the viewer shows of them.

Messages are read by their fields alone: those of a recording and of a running system are shown
alike. What cannot be shown is counted by topic, with its first reason, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kdbts_ros.datasets.bags.topics import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    ODOMETRY,
    TRANSFORMS,
)
from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.datasets.ros.compressed_images import decode_compressed
from kdbts_ros.datasets.ros.image_messages import check_layout, decode_plain
from kdbts_ros.datasets.ros.pose_rules import frame_name, read_sample
from kdbts_ros.datasets.ros.topic_names import info_topics, is_rectified, without_transport
from kdbts_ros.errors import UserError
from kdbts_ros.viewer import fields
from kdbts_ros.viewer.scene_log import SceneLog

GRID, CLOUD = "nav_msgs/msg/OccupancyGrid", "sensor_msgs/msg/PointCloud2"
MARKERS = "visualization_msgs/msg/MarkerArray"
REPORT, DIAGNOSTICS = "kdbts_ros/msg/InferenceReport", "diagnostic_msgs/msg/DiagnosticArray"
SHOWN = (
    *(IMAGE, COMPRESSED, CAMERA_INFO, TRANSFORMS, ODOMETRY),
    *(GRID, CLOUD, MARKERS, REPORT, DIAGNOSTICS),
)
# Of an InferenceReport.
_NUMBERS = ("views_used", "views_kept", "age_ms", "total_ms")
_LINE_STRIP, _LINE_LIST, _DELETE, _DELETE_ALL = 4, 5, 2, 3
_LEVELS = {0: "INFO", 1: "WARN", 2: "ERROR", 3: "WARN"}
_MEDIA = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"))


def is_shown(topic: str, msgtype: str) -> bool:
    """Whether a topic says anything here: the node's preview says again what others say."""
    return msgtype in SHOWN and not topic.endswith("/preview")


class MessageLog:
    """Shows messages; `faults` has how many of a topic could not be shown, and why the first.

    fixed_frame: frames that move in it leave a path.
    """

    def __init__(self, scene: SceneLog, fixed_frame: str = "odom") -> None:
        self.faults: dict[str, tuple[int, str]] = {}
        self._scene = scene
        self._fixed_frame = fixed_frame
        self._infos: dict[str, Any] = {}
        self._told: dict[str, tuple[int, str]] = {}
        self._by_tf: set[str] = set()
        self._takers: dict[str, Callable[[str, Any], None]] = {
            IMAGE: self._image,
            COMPRESSED: self._compressed,
            CAMERA_INFO: self._infos.__setitem__,
            TRANSFORMS: self._transforms,
            ODOMETRY: self._odometry,
            GRID: self._grid,
            CLOUD: self._cloud,
            MARKERS: self._markers,
            REPORT: self._report,
            DIAGNOSTICS: self._diagnostics,
        }

    def take(self, topic: str, msgtype: str, message: Any) -> None:
        """Show a message of one of the types of `SHOWN`."""
        try:
            self._takers[msgtype](topic, message)
        except UserError as error:
            self.fault(topic, str(error))

    def fault(self, topic: str, reason: str) -> None:
        """Count what cannot be shown."""
        count, first = self.faults.get(topic, (0, reason))
        self.faults[topic] = count + 1, first

    def _at(self, header: Any) -> str:
        """Go to the stamp of a header; its frame."""
        self._scene.at(fields.stamp_ns(header.stamp))
        return frame_name(header.frame_id)

    def _image(self, topic: str, message: Any) -> None:
        if fields.is_depth(message):
            metres = fields.depth_metres(message)
            self._camera(topic, topic, message.header)
            self._scene.depth(topic, metres)
            return
        encoding = check_layout(message)
        if encoding is None:
            raise UserError(f"encoding {message.encoding!r:.40} is not shown")
        rgb = decode_plain(message, encoding)
        self._camera(topic, topic, message.header)
        self._scene.picture(topic, rgb)

    def _compressed(self, topic: str, message: Any) -> None:
        entity, data = without_transport(topic), bytes(message.data)
        media = next((m for magic, m in _MEDIA if data.startswith(magic)), None)
        if media is None or "compressedDepth" in message.format:
            rgb = decode_compressed(message)
            self._camera(entity, topic, message.header)
            self._scene.picture(entity, rgb)
        else:
            self._camera(entity, topic, message.header)
            self._scene.encoded_picture(entity, data, media)

    def _camera(self, entity: str, topic: str, header: Any) -> None:
        """The camera of an image, where a camera_info of it has come."""
        frame = self._at(header)
        info = next((self._infos[t] for t in info_topics(topic) if t in self._infos), None)
        frame = frame or (frame_name(info.header.frame_id) if info is not None else "")
        if info is None or not frame:
            return
        try:
            self._scene.camera(entity, frame, read_lens(info, is_rectified(topic)))
        except UserError as error:
            self.fault(info_topics(topic)[0], str(error))

    def _transforms(self, topic: str, message: Any) -> None:
        for stamped in message.transforms:
            move = stamped.transform
            child = frame_name(stamped.child_frame_id)
            self._by_tf.add(child)
            self._pose(stamped.header, child, (move.translation, move.rotation), topic)

    def _odometry(self, topic: str, message: Any) -> None:
        child = frame_name(message.child_frame_id)
        if child and child not in self._by_tf:
            pose = message.pose.pose
            self._pose(message.header, child, (pose.position, pose.orientation), topic)

    def _pose(self, header: Any, child: str, pose: tuple[Any, Any], topic: str) -> None:
        at, turn = pose
        stamp_ns = fields.stamp_ns(header.stamp)
        parent = frame_name(header.frame_id)
        place, quaternion = (at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w)
        try:
            sample = read_sample(parent, child, stamp_ns, place, quaternion)
        except UserError as error:
            self.fault(topic, str(error))
            return
        static = topic.endswith("_static")
        self._scene.at(stamp_ns)
        self._scene.transform(child, sample, static=static)
        if not static and parent == self._fixed_frame:
            self._scene.path(child, sample)

    def _grid(self, topic: str, message: Any) -> None:
        cells, info = fields.grid_cells(message), message.info
        at, turn = info.origin.position, info.origin.orientation
        origin = (at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w)
        if not np.isfinite(np.concatenate(origin)).all():
            raise UserError("the origin of a map contains NaN or infinity")
        frame = self._at(message.header)
        self._scene.grid(topic, frame, cells, float(info.resolution), origin)

    def _cloud(self, topic: str, message: Any) -> None:
        columns = fields.cloud_fields(message)
        self._scene.cloud(topic, self._at(message.header), columns)

    def _markers(self, topic: str, message: Any) -> None:
        """Lines; of other markers where they are, as a cross."""
        for marker in message.markers:
            entity = f"{topic}/{marker.ns or 'marker'}/{int(marker.id)}"
            frame = self._at(marker.header)
            if marker.action in (_DELETE, _DELETE_ALL):
                self._scene.clear(topic if marker.action == _DELETE_ALL else entity)
                continue
            self._scene.lines(entity, frame, _strips(marker), str(marker.text))

    def _report(self, topic: str, message: Any) -> None:
        self._at(message.header)
        for name in _NUMBERS:
            self._scene.number(f"{topic}/{name}", float(getattr(message, name)))

    def _diagnostics(self, topic: str, message: Any) -> None:
        self._at(message.header)
        for status in message.status:
            # One byte is a number in a recording and bytes in rclpy.
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            if self._told.get(status.name) != (level, status.message):
                self._told[status.name] = level, status.message
                sentence = f"{status.name}: {status.message}"
                self._scene.sentence(topic, _LEVELS.get(level, "WARN"), sentence)


def _strips(marker: Any) -> list[Any]:
    """Lines of a visualization_msgs/Marker in the frame of its header."""
    at, turn = marker.pose.position, marker.pose.orientation
    centre = np.array([at.x, at.y, at.z])
    points = np.array([[p.x, p.y, p.z] for p in marker.points], np.float64).reshape(-1, 3)
    if marker.type not in (_LINE_STRIP, _LINE_LIST) or not len(points):
        arms = 0.2 * np.eye(3)
        return [np.stack([centre - arm, centre + arm]) for arm in arms]
    moved = points @ _rotation(turn).T + centre
    if not np.isfinite(moved).all():
        raise UserError("a marker contains NaN or infinity")
    if marker.type == _LINE_STRIP:
        return [moved]
    return list(moved[: len(moved) // 2 * 2].reshape(-1, 2, 3))


def _rotation(turn: Any) -> Any:
    """(3,3) of a quaternion; zeros, as a message begins with, turn nothing."""
    from scipy.spatial.transform import Rotation

    quaternion = np.array([turn.x, turn.y, turn.z, turn.w], np.float64)
    if not quaternion.any():
        return np.eye(3)
    if not np.isfinite(quaternion).all():
        raise UserError("a marker contains NaN or infinity")
    return Rotation.from_quat(quaternion).as_matrix()
