"""Which recorded CameraInfo belongs to an image, by the rules of the live node.

The one of the image's own stamp; else the last earlier one, where one without a stamp counts from
its log time on; else the first, but never where images have one of their own stamp.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from kdbts_ros.datasets.bags.headers import Header, read_header
from kdbts_ros.datasets.bags.messages import TYPESTORE
from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.errors import UserError

# Cameras that calibrate themselves say something else with every image; within this many pixels it
# is the same lens.
SAME_PIXELS = 0.25


@dataclass
class Calibrations:
    """The messages on a camera_info topic.

    Attributes:
        faults: why messages cannot be used, each sentence once.
    """

    topic: str
    rectified: bool
    faults: list[str] = field(default_factory=list)
    _lenses: dict[bytes, Lens | None] = field(default_factory=dict)
    _own: dict[int, bytes] = field(default_factory=dict)
    _stamped: list[tuple[int, bytes]] = field(default_factory=list)
    _unstamped: list[tuple[int, bytes]] = field(default_factory=list)
    _first: bytes = b""
    frame_id: str = ""

    def add(self, raw: bytes, logged_ns: int) -> None:
        """A serialised message, in the order of the log.

        Raises:
            struct.error, SerdeError: it cannot be read.
        """
        header = read_header(raw)
        said = _without_stamp(raw)
        if said not in self._lenses:
            self._lenses[said] = self._lens(raw)
        self.frame_id = self.frame_id or header.frame_id
        self._first = self._first or said
        if header.stamp_ns > 0:
            self._own[header.stamp_ns] = said
            self._stamped.append((header.stamp_ns, said))
        else:
            self._unstamped.append((logged_ns, said))

    def __len__(self) -> int:
        return len(self._stamped) + len(self._unstamped)

    def lenses(self, images: list[tuple[Header, int]]) -> list[Lens | None]:
        """The lens of each image, by its header and log time; None where there is none."""
        self._stamped.sort(key=lambda said: said[0])
        paired = any(header.stamp_ns in self._own for header, _ in images)
        return [self._of(header.stamp_ns, logged_ns, paired) for header, logged_ns in images]

    def _of(self, stamp_ns: int, logged_ns: int, paired: bool) -> Lens | None:
        said = self._own.get(stamp_ns) or _last(self._stamped, stamp_ns)
        said = said or _last(self._unstamped, logged_ns)
        if said is None and not paired:
            said = self._first
        return self._lenses[said] if said else None

    def _lens(self, raw: bytes) -> Lens | None:
        info: Any = TYPESTORE.deserialize_cdr(raw, "sensor_msgs/msg/CameraInfo")
        try:
            return read_lens(info, self.rectified)
        except UserError as error:
            if str(error) not in self.faults:
                self.faults.append(str(error))
            return None


def same_lens(a: Lens, b: Lens) -> bool:
    """Whether images of one may be taken for images of the other."""
    if a.distortion != b.distortion:
        return False
    p, q = a.camera, b.camera
    moved = (p.fx - q.fx, p.fy - q.fy, p.cx - q.cx, p.cy - q.cy)
    return (p.width, p.height) == (q.width, q.height) and max(map(abs, moved)) <= SAME_PIXELS


def _without_stamp(raw: bytes) -> bytes:
    return bytes(raw[:4]) + bytes(raw[12:])


def _last(said: list[tuple[int, bytes]], until_ns: int) -> bytes | None:
    at = bisect_right(said, until_ns, key=lambda one: one[0])
    return said[at - 1][1] if at else None
