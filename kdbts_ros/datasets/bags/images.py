"""Images of a recording, read in any order."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from kdbts_ros.datasets.bags.cameras import CameraIndex, ImageEntry
from kdbts_ros.datasets.bags.headers import read_header
from kdbts_ros.datasets.bags.messages import TYPESTORE
from kdbts_ros.datasets.bags.recording import Recording
from kdbts_ros.datasets.bags.topics import COMPRESSED
from kdbts_ros.datasets.ros.compressed_images import decode_compressed
from kdbts_ros.datasets.ros.image_messages import PLAIN, Rgb, check_layout, decode_plain
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.encoded_images import image_size
from kdbts_ros.errors import UserError
from kdbts_ros.reading import telling

# So many images of a recording are asked how many bits its 16-bit values use.
LOOKED_AT = 8


class RecordedImages:
    """The decoded images of a recording; may be sent to other processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depths: dict[str, SampleDepth] = {}

    def read(self, camera: CameraIndex, entry: ImageEntry) -> Rgb:
        """(H,W,3) RGB of an image of a camera.

        Raises:
            UserError: why it cannot be read.
        """
        with telling(str, "rosbags"):
            return decoded(self.message(camera, entry), self._depth(camera))

    def size(self, camera: CameraIndex, entry: ImageEntry) -> tuple[int, int] | None:
        """(width, height) that an image says it has, without decoding; None where it says none."""
        try:
            with telling(str, "rosbags"):
                message = self.message(camera, entry)
                if message.__msgtype__ != COMPRESSED:
                    check_layout(message)
                    return int(message.width), int(message.height)
                size = image_size(bytes(message.data))
                return None if size is None else (size.width, size.height)
        except UserError:
            return None

    def _depth(self, camera: CameraIndex) -> SampleDepth:
        topic = camera.topics.images
        if topic not in self._depths:
            depth = SampleDepth()
            for entry in camera.images[:: max(len(camera.images) // LOOKED_AT, 1)]:
                try:
                    with telling(str, "rosbags"):
                        decoded(self.message(camera, entry), depth)
                except UserError:
                    continue  # is said when that image is asked for
                if not depth.bits:
                    break  # bytes
            self._depths[topic] = SampleDepth(depth.bits, fixed=True)
        return self._depths[topic]

    def message(self, camera: CameraIndex, entry: ImageEntry) -> Any:
        """The deserialised message of an image.

        Raises:
            UserError: it is not there any more.
        """
        connections = [c for c in self._recording.connections if c.topic == camera.topics.images]
        found = self._recording.messages(connections, entry.logged_ns, entry.logged_ns + 1)
        for connection, _, raw in found:
            if read_header(raw).stamp_ns == entry.stamp_ns:
                return TYPESTORE.deserialize_cdr(raw, connection.msgtype)
        raise UserError("it is no longer where it was recorded")

    @cached_property
    def _recording(self) -> Recording:
        return Recording(self._path)

    def __getstate__(self) -> dict[str, Any]:
        # An open file does not travel; the other process opens its own.
        return {k: v for k, v in self.__dict__.items() if k != "_recording"}


def decoded(message: Any, depth: SampleDepth | None = None) -> Rgb:
    """(H,W,3) RGB of a deserialised Image or CompressedImage.

    Raises:
        UserError: why it is no picture.
    """
    if message.__msgtype__ == COMPRESSED:
        return decode_compressed(message, depth)
    encoding = check_layout(message)
    if encoding is None:
        raise UserError(
            f"the encoding {message.encoding!r} is not known; known are {', '.join(PLAIN)}"
        )
    return decode_plain(message, encoding, depth)
