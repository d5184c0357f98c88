"""Damage to valid files: seeded, so that each case is known by its number."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
KEY = re.compile(rb"(?m)^[^\n:]{1,60}:[^\n]*\n|\"[^\"\n]{1,60}\": ?[^,\n]*,")
ODD_NUMBERS = (
    *(b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"-1e308", b"1e-320", b"0", b"-0.0", b"-1"),
    *(b"99999999999999999999", b"9" * 5000, b"2147483648", b"4294967295", b"0x7f", b"1_0", b"null"),
    *(b"true", b"'x'", b"[]", b"{}", b'""', b"1 2", b"", b"3.5", b"1:60:60", b"2001-99-99"),
)
ODD_WHOLES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31)
ODD_WIDE = (*ODD_WHOLES, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
ODD_FLOATS = (float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1e-300, 0.0, -1.0)
# So large is no valid input: what grows is cut.
LARGEST = 1 << 20

Change = Callable[[bytes, random.Random], bytes]


def mutated(data: bytes, seed: int) -> bytes:
    """The same damage for the same seed: one to four changes."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = rng.choice(CHANGES)(data, rng)[:LARGEST]
    return data


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _dropped(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 4, 16, 256)) :]


def _spliced(data: bytes, rng: random.Random) -> bytes:
    """A part of it once more, in another place."""
    start, place = (rng.randrange(len(data) + 1) for _ in range(2))
    part = data[start : start + rng.choice((1, 4, 16, 256, 4096))]
    overwrites = rng.random() < 0.5
    return data[:place] + part + data[place + len(part) * overwrites :]


def _noise(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice((1, 4, 16))) + data[place:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """A number in a text is another."""
    found = list(NUMBER.finditer(data))
    if not found:
        return _flipped(data, rng)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(ODD_NUMBERS) + data[one.end() :]


def _binary_number(data: bytes, rng: random.Random) -> bytes:
    """Four or eight bytes are another number."""
    packed = rng.choice(
        (
            struct.pack("<I", rng.choice(ODD_WHOLES)),
            struct.pack("<Q", rng.choice(ODD_WIDE)),
            struct.pack("<d", rng.choice(ODD_FLOATS)),
        )
    )
    place = rng.randrange(max(1, len(data) - len(packed) + 1))
    if rng.random() < 0.5:
        place -= place % 4
    return data[:place] + packed + data[place + len(packed) :]


def _key(data: bytes, rng: random.Random) -> bytes:
    """A line, or an entry of JSON, is gone or there twice."""
    found = list(KEY.finditer(data))
    if not found:
        return _dropped(data, rng)
    one = rng.choice(found)
    return data[: one.start()] + one[0] * rng.choice((0, 0, 2)) + data[one.end() :]


CHANGES: tuple[Change, ...] = (
    _flipped,
    _cut,
    _dropped,
    _spliced,
    _noise,
    _number,
    _number,
    _binary_number,
    _key,
)
