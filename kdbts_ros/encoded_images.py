"""Encoded images: how large they are is read from their headers before memory is taken.

A hundred kilobytes of PNG may claim a thousand megapixels. What does not say its size in a header
that is known here is not decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError
from kdbts_ros.files import Rgb, shown
from kdbts_ros.reading import read_bounded

# An 8K video frame has 33 million pixels, and so has the largest sensor that a robot carries.
LARGEST_PIXELS = 40_000_000
LARGEST_BYTES = 160_000_000
# A progressive JPEG is gone through once for each of its scans, about ten.
LARGEST_SCANNED = 500_000_000
# Uncompressed, the largest image fits into it.
LARGEST_FILE = 200_000_000

_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
# Of the largest image, at the 8 kB that libpng writes: fifteen thousand.
_MOST_CHUNKS = 100_000
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277


class TooLarge(UserError):
    """An image that claims more pixels than are read."""


@dataclass(frozen=True)
class ImageSize:
    """Of a decoded image: pixels along each side, bytes of one, times each is gone through."""

    width: int
    height: int
    pixel_bytes: int = 3
    scans: int = 1


def read_image(path: Path) -> Rgb:
    """(H,W,3) uint8 RGB.

    Raises:
        UserError: missing, empty, cut short, too large, or not an image.
    """
    data = read_bounded(path, LARGEST_FILE, "replace it")
    if not data:
        raise UserError(f"{shown(path)} is an empty file; replace it")
    if cut_short(data):
        raise UserError(f"{shown(path)} is cut short; copy it again")
    try:
        image = decode_image(data, cv2.IMREAD_COLOR)
    except TooLarge as error:
        raise UserError(f"{shown(path)} {error}") from None
    except UserError as error:
        raise UserError(
            f"{shown(path)} is not a readable PNG, JPEG or BMP image ({error}); replace it"
        ) from None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def cut_short(data: bytes) -> bool:
    """Whether a PNG, JPEG or BMP lacks its end, which OpenCV fills with grey without a word."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data
    if data.startswith(b"\xff\xd8"):
        # A thumbnail in the header has an end of its own: the one that counts follows the last
        # start of a scan.
        return data.rfind(b"\xff\xd9") < max(0, data.rfind(b"\xff\xda"))
    if data.startswith(b"BM") and len(data) >= 6:
        return len(data) < int.from_bytes(data[2:6], "little")
    return False


def decode_image(data: bytes | memoryview | npt.NDArray[np.uint8], flags: int) -> npt.NDArray[Any]:
    """Pixels of a PNG, JPEG, BMP, WebP or TIFF as `cv2.imdecode` gives them for its flags.

    Raises:
        UserError: none of these, larger than `LARGEST_PIXELS`, or damaged; half a sentence that
            begins with the verb.
    """
    content = bytes(data)
    check_size(image_size(content))
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None or not pixels.size:
        raise UserError("is damaged or cut off")
    return np.asarray(pixels)


def check_size(size: ImageSize | None) -> None:
    """Raise UserError, as `decode_image` does, for what is not to be decoded."""
    if size is None:
        raise UserError("is neither PNG, JPEG, BMP, WebP nor TIFF")
    pixels = size.width * size.height
    if pixels < 1:
        raise UserError(f"claims {size.width}x{size.height} pixels")
    if pixels > LARGEST_PIXELS or pixels * size.pixel_bytes > LARGEST_BYTES:
        raise TooLarge(
            f"claims {size.width}x{size.height} pixels, more than the {LARGEST_PIXELS // 10**6} "
            "million that are read: make it smaller"
        )
    if pixels * size.scans > LARGEST_SCANNED:
        raise TooLarge(f"has {size.scans} scans, as no camera's JPEG has: save it again")


def image_size(data: bytes) -> ImageSize | None:
    """By the header, nothing is decoded; None where there is none that is known."""
    for magic, reader in (
        (b"\x89PNG\r\n\x1a\n", _png),
        (b"\xff\xd8", _jpeg),
        (b"BM", _bmp),
        (b"RIFF", _webp),
        (b"II*\0", _tiff),
        (b"MM\0*", _tiff),
    ):
        if data.startswith(magic):
            try:
                return reader(data)
            except (struct.error, IndexError):
                return None
    return None


def _png(data: bytes) -> ImageSize | None:
    if data[12:16] != b"IHDR":
        return None
    _check_chunks(data)
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    channels = 4 if colour & 4 else 3
    return ImageSize(width, height, channels * max(1, bits // 8))


def _check_chunks(data: bytes) -> None:
    """OpenCV takes the memory that a part of a PNG claims before it looks whether it is there."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        kind, length = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
        at += 12 + length
        if at > len(data):
            raise UserError("is damaged or cut off")
        if kind == b"IEND":
            return
    raise UserError("is damaged: it has more parts than any picture")


def _jpeg(data: bytes) -> ImageSize | None:
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _BARE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _START_OF_FRAME:
            _, height, width = struct.unpack_from(">BHH", data, at + 2)
            # Within what is compressed 0xFF is followed by 0: a marker is a marker.
            return ImageSize(width, height, scans=max(1, data.count(b"\xff\xda", at)))
        if marker == _START_OF_SCAN or length < 2:
            return None
        at += length


def _bmp(data: bytes) -> ImageSize | None:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return ImageSize(abs(width), abs(height), 4)


def _webp(data: bytes) -> ImageSize | None:
    kind = data[8:16]
    if kind == b"WEBPVP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return ImageSize(width, height, 4) if len(data) >= 30 else None
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageSize((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 4)
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageSize(width & 0x3FFF, height & 0x3FFF)
    return None


def _tiff(data: bytes) -> ImageSize | None:
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = {_BITS: 8, _SAMPLES: 3}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
        if tag not in (_WIDTH, _HEIGHT, _BITS, _SAMPLES) or kind not in _TIFF_TYPES:
            continue
        form = order + _TIFF_TYPES[kind]
        place = entry + 8
        if values * struct.calcsize(form) > 4:
            (place,) = struct.unpack_from(f"{order}I", data, place)
        (found[tag],) = struct.unpack_from(form, data, place)
    if _WIDTH not in found or _HEIGHT not in found:
        return None
    sample = max(1, -(-found[_BITS] // 8))
    return ImageSize(found[_WIDTH], found[_HEIGHT], sample * max(3, found[_SAMPLES]))
