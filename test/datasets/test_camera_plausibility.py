"""Real cameras are read, whatever they look like; what no camera has is refused by its field."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError


def info(
    width: int,
    height: int,
    fx: float,
    fy: float,
    cx: float,
    cy: float,
    d: Any = (),
    model: str = "",
) -> SimpleNamespace:
    return SimpleNamespace(
        width=width,
        height=height,
        distortion_model=model or "plumb_bob",
        d=list(d),
        k=[fx, 0, cx, 0, fy, cy, 0, 0, 1],
        p=[fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0],
        binning_x=0,
        binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    )


# Published calibrations: sizes, focal lengths, centres, models and D as their drivers send them.
RADIAL, RATIONAL, FISHEYE = "plumb_bob", "rational_polynomial", "equidistant"
REAL = {
    "KITTI rectified": info(1242, 375, 721.5, 721.5, 609.6, 172.9),
    "KITTI raw": info(
        1392, 512, 959.8, 956.9, 696.0, 224.2, (-0.3691, 0.1968, 0.00135, 0.00057, -0.0677), RADIAL
    ),
    "USB camera": info(
        640, 480, 438.8, 437.3, 305.6, 243.7, (-0.3611, 0.1215, 0.0012, 0.0008, 0.0), RADIAL
    ),
    "action camera, 120 degrees": info(
        1920, 1080, 880.0, 880.0, 960.0, 540.0, (-0.26, 0.09, 0.0, 0.0, -0.016), RADIAL
    ),
    "wide, by a rational polynomial": info(
        1280, 960, 390.0, 390.0, 640.0, 480.0, (0.9, 0.3, 0.0, 0.0, 0.01, 1.2, 0.5, 0.04), RATIONAL
    ),
    "fisheye of 163 degrees": info(
        848, 800, 286.2, 286.3, 421.6, 398.6, (-0.0085, 0.0441, -0.0408, 0.0069, 0.0), FISHEYE
    ),
    "fisheye circle of 190 degrees on a wide sensor": info(
        1920, 1080, 325.7, 325.7, 960.0, 540.0, (0.05, -0.01, 0.001, 0.0), FISHEYE
    ),
    "omnidirectional": info(
        1400, 1400, 1336.3, 1335.8, 716.9, 705.8, (2.2134, 0.0168, 1.6549, 4.2e-4, 4.2e-4), "mei"
    ),
    "telephoto of 8 degrees": info(1920, 1200, 13730.0, 13730.0, 955.0, 610.0),
    "simulated, 150 degrees": info(640, 480, 85.7, 85.7, 320.5, 240.5),
    "half-height video": info(720, 288, 700.0, 350.0, 360.0, 144.0),
    "cropped below the horizon": info(1242, 200, 721.5, 721.5, 609.6, -40.0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_cameras_are_read(name: str) -> None:
    lens = read_lens(REAL[name], rectified=False)
    assert (lens.camera.width, lens.camera.fx) == (REAL[name].width, REAL[name].k[0])


@given(
    width=st.integers(64, 4096),
    share=st.floats(0.3, 1.2),
    view=st.floats(8, 160),
    pixel=st.floats(0.5, 2),
    centre=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    k1=st.floats(-0.02, 0.02),
)
def test_plausible_cameras_are_read(width, share, view, pixel, centre, k1) -> None:
    height = int(width * share)
    fx = width / 2 / np.tan(np.radians(view) / 2)
    lens = read_lens(
        info(width, height, fx, fx * pixel, centre[0] * width, centre[1] * height), False
    )
    assert not lens.bends
    middle = (width / 2, height / 2)
    half = np.hypot(width, height) / 2 / max(width, height)
    # Distortion that moves the corner of the image by a few per cent.
    corner = np.tan(np.radians(min(view, 100)) / 2) * 2 * half
    fx = width / 2 / np.tan(np.radians(min(view, 100)) / 2)
    assert read_lens(info(width, height, fx, fx, *middle, (k1 / corner**2, 0, 0, 0)), False)
    # A fisheye of up to twice the angle.
    fx = width / np.radians(min(2 * view, 220))
    assert read_lens(info(width, height, fx, fx, *middle, (k1, 0, 0, 0), FISHEYE), False).bends


GOOD = (640, 480, 500.0, 510.0, 319.5, 239.5)


def changed(**changes: Any) -> SimpleNamespace:
    message = info(*GOOD)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def matrix(**entries: float) -> list[float]:
    k = list(info(*GOOD).k)
    for index, value in entries.items():
        k[int(index[1:])] = value
    return k


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (changed(width=0), "width x height is 0x480"),
        (changed(width=100_000, height=100_000), "width x height is 100000x100000"),
        (changed(k=matrix(k0=1e-9, k4=1e-9)), "K has focal lengths 1e-09 and 1e-09 for 640x480"),
        (changed(k=matrix(k0=1e9, k4=1e9)), "K has .* a field of view of"),
        (changed(k=matrix(k0=1e-9)), "K .* no pixel is .* times as long as wide"),
        (changed(k=matrix(k4=5000.0)), "K .* no pixel is 10 times as long as wide"),
        (changed(k=matrix(k8=0.0)), r"K\[8\] is 0: it must be 1"),
        (changed(k=matrix(k8=2.0)), r"K\[8\] is 2: it must be 1"),
        (changed(k=matrix(k3=1.0)), r"K\[3\] is 1: it must be 0"),
        (changed(k=matrix(k6=0.1)), r"K\[6\] is 0.1: it must be 0"),
        (changed(k=matrix(k2=5000.0)), "K has its principal point at cx 5000, far outside"),
        (changed(k=matrix(k5=-400.0)), "K has its principal point at cy -400, far outside"),
        (changed(k=matrix(k0=0.0)), "K has focal lengths 0 and 510"),
        (changed(d=[-50.0, 0, 0, 0, 0]), "D bends back: only .*% of the image has a direction"),
        (changed(d=[50.0, 0, 0, 0, 0]), "D moves the border of the image .* times as far"),
        (
            changed(d=[-50.0, 0, 0, 0], distortion_model="equidistant"),
            "D bends back: only .*% of the image has a direction",
        ),
        (
            changed(k=matrix(k0=1e-9, k4=1e-9), d=[0.0] * 4, distortion_model="equidistant"),
            "K has focal lengths 1e-09",
        ),
        (
            changed(roi=SimpleNamespace(x_offset=8, y_offset=0, width=0, height=0)),
            r"roi is 0x0 at \(8, 0\): all zeros mean the whole image",
        ),
    ],
)
def test_what_no_camera_has_is_named(message: SimpleNamespace, words: str) -> None:
    with pytest.raises(UserError, match=f"camera_info {words}"):
        read_lens(message, rectified=False)


def test_p_is_held_to_the_same_rules_where_it_is_used() -> None:
    message = changed(p=[1e-9, 0, 319.5, 0, 0, 1e-9, 239.5, 0, 0, 0, 1, 0])
    read_lens(message, rectified=False)
    with pytest.raises(UserError, match="camera_info P has focal lengths 1e-09"):
        read_lens(message, rectified=True)
    with pytest.raises(UserError, match=r"camera_info P\[10\] is 0: it must be 1"):
        read_lens(changed(p=[500.0, 0, 319.5, 0, 0, 500.0, 239.5, 0, 0, 0, 0, 0]), rectified=True)
    # KITTI's P has a z in the fourth column, which is TF's business.
    read_lens(changed(p=[500.0, 0, 319.5, 45, 0, 500.0, 239.5, 0.2, 0, 0, 1, 0.003]), True)


@pytest.mark.parametrize("place", [index for index in range(9) if index not in (0, 4)])
@given(value=st.one_of(st.floats(1e-3, 1e300), st.just(float("inf")), st.just(float("nan"))))
def test_no_entry_of_k_can_be_anything(place: int, value: float) -> None:
    """Refused by the name of K, or within the bounds that make maps of sense."""
    found = camera_or_fault(changed(k=matrix(**{f"k{place}": value})))
    if isinstance(found, str):
        assert "camera_info K" in found
    else:
        assert -320 <= found.cx <= 960
        assert -240 <= found.cy <= 720


def camera_or_fault(message: SimpleNamespace) -> Camera | str:
    try:
        return read_lens(message, rectified=False).camera
    except UserError as error:
        return str(error)
