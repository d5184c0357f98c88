"""Decoding: every encoding gives the same picture, and every contradiction a counted drop."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.bags.images import decoded
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.node.inputs.camera_messages import PLAIN, check_layout, decode, decode_compressed
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

RED, GREEN, BLUE = (200, 30, 40), (20, 180, 60), (50, 70, 220)


def picture() -> np.ndarray:
    """(8,12,3): three vertical stripes, so that swapped colours and skewed rows show."""
    rgb = np.empty((8, 12, 3), np.uint8)
    rgb[:, :4], rgb[:, 4:8], rgb[:, 8:] = RED, GREEN, BLUE
    return rgb


def image(pixels: np.ndarray, encoding: str, padding: int = 0, **changes: Any) -> SimpleNamespace:
    """What sensor_msgs/Image holds; `padding` bytes of rubbish end each row."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xA5)
    message = SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=array("B", rows.tobytes()),
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("bits", ["8", "16", "16 big-endian"])
@pytest.mark.parametrize("order", ["rgb", "bgr", "rgba", "bgra", "UC3", "UC4"])
def test_colour_orders(order: str, bits: str, padding: int) -> None:
    channels = {"UC3": "bgr", "UC4": "bgra"}.get(order, order)
    with_alpha = np.dstack([picture(), np.full((8, 12), 7, np.uint8)])
    pixels = with_alpha[..., ["rgba".index(c) for c in channels]]
    name = f"8{order}" if order.startswith("UC") else f"{order}8"
    big = bits.endswith("endian")
    if bits != "8":
        # The lower byte is noise that must not matter.
        pixels = (pixels.astype(">u2" if big else "<u2") << 8) + 99
        pixels = pixels.astype(">u2" if big else "<u2")
        name = name.replace("8", "16")
    decoded = decode(image(pixels, name, padding, is_bigendian=int(big)))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, picture())


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "mono16", "16UC1"])
def test_grey_becomes_three_equal_channels(encoding: str) -> None:
    grey = picture()[..., 0]
    pixels = grey.astype("<u2") << 8 if "16" in encoding else grey
    decoded = decode(image(pixels, encoding, padding=3))
    assert np.array_equal(decoded, np.dstack([grey] * 3))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_give_back_the_colour(pattern: str, bits: int) -> None:
    raw = np.empty((8, 12), np.uint8)
    for index, letter in enumerate(pattern):
        raw[index // 2 :: 2, index % 2 :: 2] = RED["rgb".index(letter)]
    pixels = raw.astype("<u2") << 8 if bits == 16 else raw
    decoded = decode(image(pixels, f"bayer_{pattern}{bits}"))
    assert np.array_equal(decoded[2:-2, 2:-2], np.broadcast_to(RED, (4, 8, 3)))


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("uyvy", "UYVY"), ("yuv422", "UYVY"), ("yuyv", "YUYV"), ("yuv422_yuy2", "YUYV")],
)
def test_yuv_is_close(encoding: str, order: str) -> None:
    yuv = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV)
    y, u, v = yuv[..., 0], yuv[:, ::2, 1], yuv[:, ::2, 2]
    packed = np.empty((8, 12, 2), np.uint8)
    luma = order.index("Y")
    packed[..., luma] = y
    packed[:, ::2, 1 - luma], packed[:, 1::2, 1 - luma] = u, v
    decoded = decode(image(packed, encoding))
    # OpenCV packs video range, and its RGB2YUV is full range: colours agree roughly, not exactly.
    assert np.abs(decoded.astype(int) - picture()).mean() < 40
    assert decoded[4, 1].argmax() == 0
    assert decoded[4, 6].argmax() == 1
    assert decoded[4, 10].argmax() == 2


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "NV21"])
def test_colours_of_half_the_size_follow_the_brightness(encoding: str, padding: int) -> None:
    planes = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV_I420)
    y, u, v = planes[:8], planes[8:10].reshape(-1), planes[10:].reshape(-1)
    pairs = np.stack([u, v] if encoding == "nv12" else [v, u], -1).reshape(4, 12)
    message = image(np.vstack([y, pairs]), encoding, padding, height=8)
    assert np.abs(decode(message).astype(int)[:, 1:-1:4] - picture()[:, 1:-1:4]).max() < 12
    message.data = message.data[:-1]
    with pytest.raises(Dropped, match=f"bytes, but step {12 + padding} x height 8 x 3/2"):
        decode(message)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "rgb16", "bayer_rggb16"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_lower_bits_of_16_are_no_black_picture(encoding: str, bits: int) -> None:
    channels = 3 if encoding == "rgb16" else 1
    values = np.full((8, 12, channels), 100 << (bits - 8), "<u2")
    values[0, 0] = 255 << (bits - 8)
    assert decode(image(values, encoding))[4, 6].tolist() == [100] * 3
    swapped = image(values.astype(">u2"), encoding, is_bigendian=1)
    assert decode(swapped)[4, 6].tolist() == [100] * 3


def test_brightness_does_not_flicker_with_the_largest_value() -> None:
    depth = SampleDepth()
    bright, dark = np.full((8, 12), 4000, "<u2"), np.full((8, 12), 400, "<u2")
    assert decode(image(dark, "mono16"), depth)[0, 0, 0] == 400 >> 2  # ten bits for all it knows
    assert decode(image(bright, "mono16"), depth)[0, 0, 0] == 4000 >> 4
    assert decode(image(dark, "mono16"), depth)[0, 0, 0] == 400 >> 4
    png = cv2.imencode(".png", dark)[1].tobytes()
    assert decode_compressed(compressed(png, "mono16; png compressed "), depth)[0, 0, 0] == 400 >> 4
    # What a recording settled for one image after another holds for a brighter one, too.
    assert decode(image(bright, "mono16"), SampleDepth(10, fixed=True)).max() == 255


@pytest.mark.parametrize("encoding", ["32FC1", "64FC1", "32SC1", "16SC1", "8SC3"])
def test_numbers_are_no_picture(encoding: str) -> None:
    with pytest.raises(Dropped, match=f"'{encoding}' holds numbers such as depth"):
        check_layout(image(picture(), encoding))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0}, "0x8"),
        ({"height": 0}, "12x0"),
        ({"height": 9}, "288 bytes, but step 36 x height 9"),
        ({"step": 35}, "but step 35"),
        ({"step": 24, "height": 12}, "shorter than a rgb8 row of 36"),
        ({"data": array("B")}, "0 bytes"),
        ({"width": 100_000, "height": 100_000}, "claims"),
        ({"encoding": "uyvy", "width": 11}, "even width"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Dropped, match=words) as caught:
        decode(image(picture(), **({"encoding": "rgb8"} | changes)))
    assert caught.value.reason == drops.BAD_IMAGE


def test_an_unknown_encoding_names_itself_and_the_known_ones() -> None:
    try:
        import cv_bridge  # noqa: F401
    except ImportError:
        with pytest.raises(Dropped, match=r"'nv24' needs cv_bridge.*rgb8"):
            check_layout(image(picture(), "nv24"))
    else:
        with pytest.raises(Dropped, match="'no_such'"):
            decode(image(picture(), "no_such"))


def _rows(encoding: str, height: int) -> int:
    return height + height // 2 if encoding.lower().startswith("nv") else height


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 7), st.integers(0, 7), st.integers(0, 60),
    st.sampled_from([*PLAIN, "", "rgb7", "32FC1", "NV12"]),
    st.sampled_from([0, 0, 0, 1, -1]),
)  # fmt: skip
def test_nothing_but_dropped_comes_out_of_any_size(
    width: int, height: int, step: int, encoding: str, error: int
) -> None:
    message = SimpleNamespace(
        width=width,
        height=height,
        step=step,
        encoding=encoding,
        is_bigendian=1,
        data=array("B", bytes(max(0, step * _rows(encoding, height) + error))),
    )
    try:
        decoded = decode(message)
    except Dropped:
        return
    assert decoded.shape == (height, width, 3)


def compressed(data: bytes, kind: str) -> SimpleNamespace:
    return SimpleNamespace(format=kind, data=array("B", data))


def test_png_is_exact_and_jpeg_is_close() -> None:
    bgr = cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR)
    png = cv2.imencode(".png", bgr)[1].tobytes()
    assert np.array_equal(decode_compressed(compressed(png, "rgb8; png")), picture())
    jpeg = cv2.imencode(".jpg", np.repeat(np.repeat(bgr, 8, 0), 8, 1))[1].tobytes()
    assert np.abs(decode_compressed(compressed(jpeg, "jpeg"))[32, 16].astype(int) - RED).max() < 12


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_unreadable_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Dropped, match="jpeg") as caught:
        decode_compressed(compressed(data, "jpeg"))
    assert caught.value.reason == drops.BAD_IMAGE


def test_compressed_depth_is_not_a_picture() -> None:
    with pytest.raises(Dropped, match="depth"):
        decode_compressed(compressed(b"", "16UC1; compressedDepth png"))


def mosaic(pattern: str) -> np.ndarray:
    raw = np.empty((32, 48), np.uint8)
    for index, letter in enumerate(pattern):
        raw[index // 2 :: 2, index % 2 :: 2] = RED["rgb".index(letter)]
    return raw


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_a_compressed_mosaic_becomes_colours(pattern: str, codec: str) -> None:
    data = cv2.imencode(f".{codec}", mosaic(pattern), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    found = decode_compressed(compressed(data, f"bayer_{pattern}8; {codec} compressed "))
    assert np.abs(found[4:-4, 4:-4].astype(int) - RED).max() < 8
    # A publisher that made it grey before says so.
    grey = decode_compressed(compressed(data, f"bayer_{pattern}8; {codec} compressed mono8"))
    assert (grey[..., 0] == grey[..., 2]).all()


def test_a_deep_mosaic_in_a_png_becomes_colours() -> None:
    data = cv2.imencode(".png", mosaic("rggb").astype(np.uint16) << 8)[1].tobytes()
    found = decode_compressed(compressed(data, "bayer_rggb16; png compressed "))
    assert np.abs(found[4:-4, 4:-4].astype(int) - RED).max() < 8


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("bgr", "rgb8; jpeg compressed bgr8"),
        ("bgr", "bgr8; jpeg compressed bgr8"),
        ("bgr", "rgb8; png compressed bgr8"),
        ("bgr", "rgb16; png compressed bgr16"),
        ("bgr", "yuv422; jpeg compressed bgr8"),
        ("bgr", "rgb8; jpeg compressed "),
        ("bgr", "jpeg"),
        ("bgr", ""),
        ("rgb", "rgb8; jpeg compressed rgb8"),
        ("rgb", "bgr8; png compressed rgb8"),
        ("rgb", "rgb8; tiff compressed "),
        ("bgr", "bgr8; tiff compressed "),
    ],
)
def test_the_format_says_in_which_order_the_codec_got_its_channels(given: str, form: str) -> None:
    wide = np.repeat(np.repeat(picture(), 8, 0), 8, 1)
    pixels = wide if given == "rgb" else np.ascontiguousarray(wide[..., ::-1])
    if "16" in form:
        pixels = pixels.astype(np.uint16) << 8
    suffix = next((s for s in ("png", "tiff") if s in form), "jpg")
    data = cv2.imencode(f".{suffix}", pixels)[1].tobytes()
    found = decode_compressed(compressed(data, form))
    assert np.abs(found[32, [16, 48, 80]].astype(int) - [RED, GREEN, BLUE]).max() < 12


@pytest.mark.parametrize("form", ["h264", "hevc", "rgb8; h264"])
def test_video_is_named(form: str) -> None:
    with pytest.raises(Dropped, match="is a video stream, not a picture: republish it"):
        decode_compressed(compressed(b"\0\0\0\1" + bytes(90), form))


@pytest.mark.parametrize("encoding", PLAIN)
def test_recordings_are_decoded_by_the_same_rules(encoding: str) -> None:
    known = PLAIN[encoding]
    rng = np.random.default_rng(0)
    rows = 12 if known.halved else 8
    pixels = rng.integers(0, 255, (rows, 12 * known.channels * known.item_bytes), np.uint8)
    message = image(pixels, encoding, height=8, width=12)
    message.__msgtype__ = "sensor_msgs/msg/Image"
    assert np.array_equal(decoded(message), decode(message))
