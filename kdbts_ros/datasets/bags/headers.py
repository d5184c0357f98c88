"""std_msgs/Header at the beginning of a serialised message, read without the rest."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kdbts_ros.datasets.ros.pose_rules import frame_name


class Header(NamedTuple):
    """Stamp in ns, and the frame without the leading slash of tf's first version."""

    stamp_ns: int
    frame_id: str


def read_header(raw: bytes) -> Header:
    """The header that a message in CDR begins with.

    Raises:
        struct.error, UnicodeDecodeError: it has none.
    """
    order = "<" if raw[1] & 1 else ">"
    seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", raw, 4)
    (name,) = struct.unpack_from(f"{length}s", raw, 16)
    frame_id = name.rstrip(b"\0").decode()
    return Header(int(seconds) * 1_000_000_000 + int(nanoseconds), frame_name(frame_id))
