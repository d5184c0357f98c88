"""The rosbag2 recording of what the node published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from kdbts_ros.datasets.bags.messages import qos
from kdbts_ros.demo.shipped import shipped_file
from kdbts_ros.errors import UserError

REPORT = "kdbts_ros/msg/InferenceReport"
LATCHED = ("/tf_static",)


class OutputBag:
    """An open recording; topics appear in it as they are first written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._types.register(
            get_types_from_msg(shipped_file("msg/InferenceReport.msg").read_text(), REPORT)
        )
        self._connections: dict[str, Connection] = {}

    def write(self, topic: str, msgtype: str, stamp_ns: int, data: bytes, latched: bool) -> None:
        """Append a serialised message."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic,
                msgtype,
                typestore=self._types,
                offered_qos_profiles=[qos(1 if latched else 10, latched)],
            )
        self._writer.write(self._connections[topic], stamp_ns, data)

    def copy(self, recording: Path, topics: tuple[str, ...]) -> None:
        """Append topics of another recording, which a viewer needs to place the maps."""
        with Reader(recording) as reader:
            wanted = [c for c in reader.connections if c.topic in topics]
            if wanted:
                for connection, stamp_ns, data in reader.messages(wanted):
                    latched = connection.topic in LATCHED
                    self.write(connection.topic, connection.msgtype, stamp_ns, data, latched)


@contextmanager
def recorded_to(folder: Path) -> Iterator[OutputBag]:
    """A new MCAP recording at `folder`, finished with the block.

    Raises:
        UserError: the disk refuses.
    """
    try:
        with Writer(
            folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
        ) as writer:
            yield OutputBag(writer)
    except (OSError, WriterError) as error:
        raise UserError(f"recording {folder} cannot be written: {error}") from error
