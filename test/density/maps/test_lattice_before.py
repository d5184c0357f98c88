"""The lattice before a camera: where its cells lie, and what maps become on it and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL
from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.density.maps.lattice_before import FADING, LatticeBefore

RESOLUTION, CELLS = 0.2, 64
yaws = st.floats(-np.pi, np.pi)
places = st.floats(-1e3, 1e3)


def turned(yaw: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:3, 3] = x, y, z
    return T


def camera_on(T_fixed_base: np.ndarray, yaw: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """A camera 1.2 m over the base and .5 m ahead of it, turned and then tilted down."""
    mount = turned(yaw, 0.5, 0.0, 1.2)
    down = np.eye(4)
    down[:3, :3] = [
        [np.cos(tilt), 0, np.sin(tilt)],
        [0, 1, 0],
        [-np.sin(tilt), 0, np.cos(tilt)],
    ]
    optical = np.eye(4)
    optical[:3, :3] = R_BODY_OPTICAL
    return T_fixed_base @ mount @ down @ optical


def lattice_at(T_fixed_base: np.ndarray, **camera: float) -> LatticeBefore:
    return LatticeBefore.of(T_fixed_base, camera_on(T_fixed_base, **camera), RESOLUTION, CELLS)


@given(yaws, places, places, st.floats(0, 1.2))
def test_cells_lie_on_the_ground_ahead_of_the_camera(yaw, x, y, tilt):
    lattice = lattice_at(turned(yaw, x, y), tilt=tilt)
    points = lattice.points([0.0, 1.0])
    assert points.shape == (2, CELLS, CELLS, 3)
    assert points[0, ..., 2] == pytest.approx(0.0, abs=1e-9)
    assert points[1, ..., 2] == pytest.approx(1.0, abs=1e-9)
    under = np.array([x, y]) + 0.5 * np.array([np.cos(yaw), np.sin(yaw)])
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    last = points[0, -1, -1, :2] - under
    assert last @ ahead == pytest.approx((CELLS - 0.5) * RESOLUTION, abs=1e-6)
    assert last @ left == pytest.approx((CELLS / 2 - 0.5) * RESOLUTION, abs=1e-6)


def test_a_camera_to_the_left_has_its_lattice_there():
    lattice = lattice_at(np.eye(4), yaw=np.pi / 2)
    middle = lattice.points([0.0])[0, CELLS // 2, CELLS // 2]
    assert middle[1] > 5 and abs(middle[0] - 0.5) < RESOLUTION


@pytest.mark.parametrize("tilt", [np.pi / 2, -np.pi / 2])
def test_a_camera_that_looks_straight_down_or_up_takes_the_base_s_direction(tilt):
    lattice = lattice_at(turned(0.3), tilt=tilt)
    assert lattice.T_fixed_lattice[:2, 0] == pytest.approx([np.cos(0.3), np.sin(0.3)])


@given(yaws, places, places, st.sampled_from([0.05, 0.1, 0.2, 0.4]))
def test_what_is_linear_over_the_ground_is_carried_as_it_is(yaw, x, y, resolution):
    lattice = lattice_at(turned(yaw, x, y))
    window = GridWindow.around(x, y, 48.0, resolution)
    X, Y = np.meshgrid(*window.centres())
    plane = (0.3 * (X - x) - 0.2 * (Y - y)).astype(np.float32)
    found = lattice.carried(plane[..., None], window)[..., 0]
    points = lattice.points([0.0])[0]
    expected = 0.3 * (points[..., 0] - x) - 0.2 * (points[..., 1] - y)
    # OpenCV interpolates in steps of 1/32 of a pixel.
    assert np.abs(found - expected).max() < 0.5 * max(resolution, RESOLUTION) / 16


@given(yaws, places, places, st.sampled_from([0.1, 0.2, 0.5]))
def test_what_the_lattice_says_comes_back_to_its_place(yaw, x, y, resolution):
    lattice = lattice_at(turned(yaw, x, y))
    ahead, aside = np.meshgrid(*lattice.axes())
    window = GridWindow.around(x, y, 48.0, resolution)
    back = lattice.returned((ahead + 2 * aside).astype(np.float32), window)
    X, Y = np.meshgrid(*window.centres())
    T = np.linalg.inv(lattice.T_fixed_lattice)
    here = np.stack([X, Y, np.zeros_like(X), np.ones_like(X)], -1) @ T.T
    side = CELLS * RESOLUTION
    margin = (FADING + 1) * RESOLUTION
    inside = (here[..., 0] > RESOLUTION) & (here[..., 0] < side - margin)
    inside &= np.abs(here[..., 1]) < side / 2 - margin
    assert inside.any()
    expected = here[..., 0] + 2 * here[..., 1]
    assert np.abs(back - expected)[inside].max() < RESOLUTION / 4
    outside = (here[..., 0] < -1) | (here[..., 0] > side + 1) | (np.abs(here[..., 1]) > side)
    assert not back[outside].any()


def test_nothing_is_known_outside_of_a_window():
    lattice = lattice_at(np.eye(4))
    window = GridWindow(0.2, 20, 20, 0.0, -2.0)
    found = lattice.carried(np.ones((20, 20, 1), np.float32), window)[..., 0]
    X, Y = (lattice.points([0.0])[0, ..., k] for k in range(2))
    within = (X > 0.1) & (X < 3.9) & (np.abs(Y) < 1.9)
    assert found[within].min() == pytest.approx(1.0)
    assert not found[(X > 4.2) | (np.abs(Y) > 2.2)].any()


def test_its_word_fades_at_the_far_edge_and_not_under_the_camera():
    lattice = lattice_at(np.eye(4))
    window = GridWindow.around(0.0, 0.0, 40.0, 0.2)
    back = lattice.returned(np.ones((CELLS, CELLS), np.float32), window)
    row = back[window.height // 2]
    x = window.centres()[0] - 0.5
    near, far = row[(x > 0.2) & (x < 5)], row[(x > 11.7) & (x < 12.8)]
    assert near == pytest.approx(1.0)
    assert (np.diff(far) < 0).all() and far[-1] < 0.2
