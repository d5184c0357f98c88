"""CameraInfo: which matrix holds, and which field is named when it cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Mei, Pinhole
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL
from kdbts_ros.errors import UserError
from kdbts_ros.node.inputs.camera_messages import is_rectified, read_calibration
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

K = [500.0, 0, 319.5, 0, 510, 239.5, 0, 0, 1]
P = [450.0, 0, 309.5, -54, 0, 460, 229.5, 0, 0, 0, 1, 0]


def info(**changes: Any) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    fields: dict[str, Any] = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": K,
        "p": P,
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return SimpleNamespace(**(fields | changes))


def test_a_raw_image_has_k_and_a_rectified_one_p() -> None:
    raw = read_calibration(info(), rectified=False)
    assert not raw.lens.bends
    camera = raw.lens.camera
    # ROS puts the centre of the first pixel at 0, we at 0.5.
    assert (camera.fx, camera.cx, camera.cy) == (500, 320, 240)
    straight = read_calibration(info(d=[0.1] * 5), rectified=True)
    assert not straight.lens.bends
    camera = straight.lens.camera
    assert (camera.fx, camera.cx, camera.cy) == (450, 310, 230)


@pytest.mark.parametrize(
    ("setting", "topic", "expected"),
    [
        ("auto", "/camera/image_rect_color", True),
        ("auto", "/camera/image_raw", False),
        ("true", "/camera/image_raw", True),
        ("false", "/camera/image_rect", False),
    ],
)
def test_the_topic_says_whether_it_is_rectified(setting: str, topic: str, expected: bool) -> None:
    assert is_rectified(setting, topic) is expected


@pytest.mark.parametrize(
    ("changes", "rectified", "words"),
    [
        ({"width": 0}, False, "width x height is 0x480"),
        ({"k": [0.0] * 9, "p": [0.0] * 12}, False, "K is all zeros: calibrate the camera$"),
        ({"p": [0.0] * 12}, True, "P is all zeros: set rectified to false"),
        ({"k": [float("nan"), *K[1:]]}, False, "K contains NaN"),
        ({"k": [-500.0, *K[1:]]}, False, "K has focal lengths -500"),
        ({"k": [500.0, 3.0, *K[2:]]}, False, "K has a skew"),
        ({"d": [float("nan")] * 5}, False, "D contains NaN"),
        ({"d": [0.1] * 3}, False, "D has 3 values"),
        ({"distortion_model": "ftheta", "d": [0.0] * 4}, False, "'ftheta' is not known"),
        (
            {"distortion_model": "equidistant", "d": [0.1] * 5},
            False,
            "D has 5 values, and not only",
        ),
        (
            {"distortion_model": "equidistant", "d": []},
            False,
            "D has 0 values; equidistant needs 4",
        ),
        ({"distortion_model": "mei", "d": [0.0] * 4}, False, "D has 4 values; mei needs 5"),
        ({"distortion_model": "", "d": [0.1] * 5}, False, "distortion_model is empty but D is not"),
        ({"distortion_model": "None", "d": [0.1] * 5}, False, "'None' but D is not zero"),
        ({"k": [0.0] * 9}, False, "K is all zeros: .* set rectified to true"),
        ({"binning_x": 1000}, False, "binning"),
        (
            {"roi": SimpleNamespace(x_offset=600, y_offset=0, width=100, height=10)},
            False,
            r"roi 100x10 at \(600, 0\) reaches beyond 640x480: width and height must be those of",
        ),
    ],
)
def test_the_field_at_fault_is_named(changes: dict[str, Any], rectified: bool, words: str) -> None:
    with pytest.raises(UserError, match=f"camera_info .*{words}"):
        read_calibration(info(**changes), rectified)


def test_region_of_interest_and_binning() -> None:
    roi = SimpleNamespace(x_offset=40, y_offset=20, width=400, height=200, do_rectify=False)
    camera = read_calibration(info(roi=roi, binning_x=2, binning_y=2), rectified=False).lens.camera
    assert (camera.width, camera.height) == (200, 100)
    assert (camera.fx, camera.cx, camera.cy) == (250, (320 - 40) / 2, (240 - 20) / 2)


def test_pixels_that_fill_no_bin_are_lost_and_change_no_focal_length() -> None:
    camera = read_calibration(info(binning_x=3, binning_y=7), rectified=False).lens.camera
    assert (camera.width, camera.height) == (213, 68)
    assert camera.fx == pytest.approx(500 / 3)
    assert camera.cy == pytest.approx(240 / 7)


def test_a_region_moves_p_as_it_moves_k_whatever_do_rectify_says() -> None:
    for do_rectify in (False, True):
        roi = SimpleNamespace(x_offset=40, y_offset=20, width=400, height=200)
        roi.do_rectify = do_rectify
        camera = read_calibration(info(roi=roi), rectified=True).lens.camera
        assert (camera.width, camera.cx, camera.cy) == (400, 310 - 40, 230 - 20)


@pytest.mark.parametrize(
    "model",
    ["", "none", "None", "no_distortion", "pinhole", "perspective", "rectified", "plumb_bob"],
)
@pytest.mark.parametrize("d", [[], [0.0] * 5])
def test_no_values_are_no_distortion(model: str, d: list[float]) -> None:
    assert not read_calibration(info(distortion_model=model, d=d), rectified=False).lens.bends


@pytest.mark.parametrize("count", [4, 5, 8, 14])
def test_drivers_fill_d_up_with_zeros(count: int) -> None:
    filled = [0.01, 0.02, -0.01, 0.002] + [0.0] * (count - 4)
    fisheye = read_calibration(info(distortion_model="equidistant", d=filled), rectified=False)
    assert fisheye.lens.distortion == Equidistant((0.01, 0.02, -0.01, 0.002))


def test_another_size_is_a_mismatch_that_may_pass() -> None:
    calibration = read_calibration(info(), rectified=False)
    calibration.check_size(640, 480)
    with pytest.raises(Dropped, match="image is 320x240") as caught:
        calibration.check_size(320, 240)
    assert caught.value.reason == drops.CAMERA_INFO_MISMATCH
    assert not caught.value.final


def test_every_lens_model_is_read() -> None:
    bent = read_calibration(info(d=[-0.3, 0.1, 0.001, -0.001, 0.0]), rectified=False)
    assert bent.lens.distortion == BrownConrady((-0.3, 0.1, 0.001, -0.001, 0.0))
    rational = info(distortion_model="rational_polynomial", d=[0.1] * 8)
    assert read_calibration(rational, False).lens.distortion == BrownConrady((0.1,) * 8)
    tilted = info(distortion_model="rational_polynomial", d=[0.1] * 12 + [0.0, 0.0])
    assert read_calibration(tilted, False).lens.distortion == BrownConrady((0.1,) * 12)
    for name in ("equidistant", "fisheye"):
        fisheye = info(distortion_model=name, d=[0.0] * 4)
        assert read_calibration(fisheye, False).lens.distortion == Equidistant()
    for name in ("mei", "omnidirectional", "unified", "MEI"):
        mei = info(distortion_model=name, d=[2.2, 0.1, 0.2, 0.0, 0.0])
        assert read_calibration(mei, False).lens.distortion == Mei(2.2, (0.1, 0.2, 0.0, 0.0))
    # What a rectified image went through before is over.
    assert read_calibration(fisheye, True).lens.distortion == Pinhole()


def test_a_lens_keeps_its_distortion_through_region_and_binning() -> None:
    roi = SimpleNamespace(x_offset=40, y_offset=20, width=400, height=200, do_rectify=False)
    fields = {"distortion_model": "equidistant", "d": [0.01, 0, 0, 0]}
    whole = read_calibration(info(**fields), False).lens
    part = read_calibration(info(roi=roi, binning_x=2, binning_y=2, **fields), False).lens
    ray = np.array([0.2, -0.1, 1.0])
    np.testing.assert_allclose(part.project(ray), (whole.project(ray) - [40, 20]) / 2)


def test_a_bent_image_is_straightened_where_nothing_more_is_asked() -> None:
    lens = read_calibration(info(d=[-0.3, 0.1, 0.001, -0.001, 0.0]), rectified=False).lens
    K_matrix, xyz = np.array(K).reshape(3, 3), np.array([[0.3, -0.2, 1.0]])
    coefficients = np.array([-0.3, 0.1, 0.001, -0.001, 0.0])
    bent, _ = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), K_matrix, coefficients)
    u, v = bent.ravel()
    # A soft spot where the lens shows the point (OpenCV's pixels: whole numbers are centres).
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    spot = 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18)
    image = np.dstack([spot.astype(np.uint8)] * 3)
    level = np.eye(4)
    level[:3, :3] = R_BODY_OPTICAL
    view = CameraAdapter(TrainingCamera(), (320, 96), "off").view(image, lens, level, level)
    weight = view.image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    found = np.array([(weight * (columns + 0.5)).sum(), (weight * (rows + 0.5)).sum()])
    assert np.abs(found / weight.sum() - view.camera.project(xyz)[0][0]).max() < 0.1


def test_no_pixel_of_a_straightened_image_is_invented() -> None:
    lens = read_calibration(info(d=[-0.3, 0.1, 0.0, 0.0, 0.0]), rectified=False).lens
    white = np.full((480, 640, 3), 255, np.uint8)
    framed = cv2.copyMakeBorder(white[2:-2, 2:-2], 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    level = np.eye(4)
    level[:3, :3] = R_BODY_OPTICAL
    view = CameraAdapter(TrainingCamera(), (320, 96), "off").view(framed, lens, level, level)
    assert (view.image[4:-4, 4:-4] == 255).all()
