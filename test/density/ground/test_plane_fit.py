"""The fit of the ground on made-up depths: what it finds, and when it says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.ground.plane_fit import LEAST_RAYS, fit_ground
from kdbts_ros.evaluation.depth_metrics import ground_plane_depth

CAMERA = TrainingCamera().camera(160, 32)
HEIGHT = 1.65
BASE_CAM = mount((1.0, -0.2, HEIGHT))


def plane(height: float = HEIGHT, pitch_deg: float = 0.0) -> np.ndarray:
    """Depth of an empty ground; with a pitch, one that rises ahead."""
    return ground_plane_depth(CAMERA, height, np.radians(pitch_deg))


@pytest.mark.parametrize("scale", [0.75, 0.9, 1.0, 1.2, 1.34])
def test_a_flat_ground_tells_its_scale(scale: float) -> None:
    found = fit_ground(plane() * np.float32(scale), CAMERA, BASE_CAM)
    assert found is not None and found.share > 0.95
    assert found.scale == pytest.approx(scale, rel=0.005)
    assert found.pitch == 0


@pytest.mark.parametrize("pitch", [-2.0, -1.5, 1.5, 2.0])
def test_a_ground_that_rises_tells_its_pitch_but_for_what_networks_bend(pitch: float) -> None:
    found = fit_ground(plane(pitch_deg=pitch), CAMERA, BASE_CAM)
    assert found is not None
    assert np.degrees(found.pitch) == pytest.approx(np.sign(pitch) * (abs(pitch) - 1.0), abs=0.15)
    assert found.scale == pytest.approx(1.0, abs=0.12)


def test_a_bend_that_networks_make_by_themselves_is_no_pitch() -> None:
    found = fit_ground(plane(pitch_deg=0.9), CAMERA, BASE_CAM)
    assert found is not None and found.pitch == 0


def test_a_car_right_ahead_leaves_the_ground_beside_it() -> None:
    depth = plane() * np.float32(1.1)
    u = (np.arange(160) + 0.5 - CAMERA.cx) / CAMERA.fx
    body = (np.abs(u * 8.0) < 0.9) & (depth > 8.0)
    found = fit_ground(np.where(body, np.float32(8.0), depth), CAMERA, BASE_CAM)
    assert found is not None
    assert found.scale == pytest.approx(1.1, rel=0.02)


@pytest.mark.parametrize("distance", [3.0, 5.0, 6.5])
def test_a_wall_right_ahead_is_no_ground(distance: float) -> None:
    assert fit_ground(np.minimum(plane(), np.float32(distance)), CAMERA, BASE_CAM) is None


def test_depths_of_all_kinds_are_no_ground() -> None:
    rng = np.random.default_rng(0)
    spread = np.exp(rng.uniform(-1.5, 1.5, (32, 160))).astype(np.float32)
    assert fit_ground(plane() * spread, CAMERA, BASE_CAM) is None


def test_a_view_that_shows_little_of_the_strip_says_nothing() -> None:
    valid = np.zeros((32, 160), np.bool_)
    valid[-2:, 70:90] = True
    assert valid.sum() < LEAST_RAYS
    assert fit_ground(plane(), CAMERA, BASE_CAM, valid=valid) is None
    assert fit_ground(plane(), CAMERA, mount((0.0, 0.0, -0.1))) is None


def test_a_low_camera_is_looked_at_as_the_network_is_shown_it() -> None:
    low = mount((0.0, 0.0, HEIGHT / 2))
    found = fit_ground(plane() * np.float32(1.15), CAMERA, low, scale=2.0)
    assert found is not None
    assert found.scale == pytest.approx(1.15, rel=0.005)


def test_the_same_depths_give_the_same_fit_and_the_seen_stays_as_it_was() -> None:
    rng = np.random.default_rng(1)
    depth = (plane() * np.exp(rng.normal(0, 0.03, (32, 160)))).astype(np.float32)
    before = depth.copy()
    assert fit_ground(depth, CAMERA, BASE_CAM) == fit_ground(depth, CAMERA, BASE_CAM)
    np.testing.assert_array_equal(depth, before)
