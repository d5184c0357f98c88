"""Encoded images: their size is known from the header, and larger ones are not decoded."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros import encoded_images
from kdbts_ros.encoded_images import decode_image, image_size, read_image
from kdbts_ros.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 255, (13, 27, 3), np.uint8)
DEEP = PICTURE.astype(np.uint16) * 257
FORMS = {
    "png": (".png", PICTURE, []),
    "deep png": (".png", DEEP, []),
    "grey png": (".png", PICTURE[:, :, 0], []),
    "jpeg": (".jpg", PICTURE, []),
    "progressive jpeg": (".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "jpeg with restarts": (".jpg", PICTURE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
    "bmp": (".bmp", PICTURE, []),
    "webp": (".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 80]),
    "lossless webp": (".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101]),
    "webp with alpha": (".webp", np.dstack([PICTURE, PICTURE[:, :, :1]]), []),
    "tiff": (".tiff", PICTURE, []),
    "deep tiff": (".tiff", DEEP, []),
}


def encoded(form: str) -> bytes:
    suffix, picture, flags = FORMS[form]
    return cv2.imencode(suffix, picture, flags)[1].tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_header_tells_what_the_decoder_gives(form: str) -> None:
    size = image_size(encoded(form))
    pixels = decode_image(encoded(form), cv2.IMREAD_UNCHANGED)
    assert size is not None
    assert (size.height, size.width) == pixels.shape[:2] == (13, 27)
    assert size.pixel_bytes >= pixels[0, 0].nbytes


@pytest.mark.parametrize("form", FORMS)
def test_a_larger_one_is_not_decoded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*arguments: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(encoded_images, "LARGEST_PIXELS", 13 * 27 - 1)
    monkeypatch.setattr(encoded_images.cv2, "imdecode", decode)
    with pytest.raises(UserError, match="claims 27x13 pixels, more than"):
        decode_image(encoded(form), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("form", FORMS)
def test_a_header_that_is_cut_is_none(form: str) -> None:
    for length in range(30):
        with pytest.raises(UserError):
            decode_image(encoded(form)[:length], cv2.IMREAD_COLOR)


def test_a_part_of_a_png_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    """OpenCV would take what the length says before it looks for the bytes."""
    content = encoded("png")
    at = content.index(b"IDAT") - 4
    (tmp_path / "x.png").write_bytes(
        content[:at] + struct.pack(">I", 0xFF7F0000) + content[at + 4 :]
    )
    with pytest.raises(UserError, match=r"damaged or cut off"):
        read_image(tmp_path / "x.png")


def test_other_formats_are_named() -> None:
    """Those whose header is not read here could claim any size."""
    for suffix in (".ppm", ".sr", ".exr"):
        content = {".exr": b"\x76\x2f\x31\x01" + bytes(60)}.get(suffix)
        content = content or cv2.imencode(suffix, PICTURE)[1].tobytes()
        with pytest.raises(UserError, match="neither PNG, JPEG, BMP, WebP nor TIFF"):
            decode_image(content, cv2.IMREAD_COLOR)


def test_the_limits_fit_one_another() -> None:
    assert encoded_images.LARGEST_PIXELS > 7680 * 4320
    assert encoded_images.LARGEST_FILE > encoded_images.LARGEST_BYTES
