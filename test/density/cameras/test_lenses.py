"""Lens models: there and back again, equal to OpenCV where it has them, honest about limits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Lens, Mei, Pinhole
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError

CAMERA = Camera(640, 480, 400.0, 410.0, 322.0, 238.0)
MODELS = {
    "pinhole": Pinhole(),
    "plumb_bob": BrownConrady((-0.3, 0.1, 0.001, -0.002, -0.01)),
    "barrel": BrownConrady((-0.4, 0.0, 0.0, 0.0)),
    "rational": BrownConrady((0.9, 0.3, 1e-4, -2e-4, 0.01, 1.2, 0.5, 0.04)),
    "prism": BrownConrady((-0.2, 0.05, 0, 0, 0, 0, 0, 0, 0.002, 0.0, -0.001, 0.0)),
    "equidistant": Equidistant((0.02, -0.01, 0.003, -0.0005)),
    "mei": Mei(2.2134, (0.0168, 1.6549, 4.2e-4, 4.2e-4)),
    "mei below one": Mei(0.9, (-0.1, 0.02, 0.0, 0.0)),
}

angles = st.tuples(st.floats(0, np.radians(60)), st.floats(-np.pi, np.pi))


def ray(angle: float, turn: float) -> np.ndarray:
    """Unit ray at an angle to the optical axis."""
    across = np.sin(angle)
    return np.array([across * np.cos(turn), across * np.sin(turn), np.cos(angle)])


@pytest.mark.parametrize("name", MODELS)
@given(direction=angles, length=st.floats(0.1, 100))
def test_a_ray_comes_back(name, direction, length):
    lens = Lens(CAMERA, MODELS[name])
    there = ray(*direction)
    uv = lens.project(there * length)
    if np.isnan(uv).any():
        assert name in ("plumb_bob", "barrel", "mei", "mei below one"), "no limit below 60 degrees"
        return
    np.testing.assert_allclose(lens.unproject(uv), there, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
@given(u=st.floats(0, 640), v=st.floats(0, 480))
def test_a_pixel_comes_back_or_belongs_to_no_ray(name, u, v):
    lens = Lens(CAMERA, MODELS[name])
    there = lens.unproject([u, v])
    if np.isnan(there).any():
        assert np.hypot(u - 322, v - 238) > 200, "the middle of an image has rays"
        return
    assert np.linalg.norm(there) == pytest.approx(1)
    np.testing.assert_allclose(lens.project(there), [u, v], atol=1e-4)


@pytest.mark.parametrize("name", ["plumb_bob", "rational", "prism"])
def test_opencv_projects_the_same(name):
    lens = Lens(CAMERA, MODELS[name])
    points = np.random.default_rng(0).uniform([-3, -2, 4], [3, 2, 9], (200, 3))
    K = CAMERA.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    coefficients = np.array(MODELS[name].coefficients)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, coefficients)
    np.testing.assert_allclose(lens.project(points), expected[:, 0] + 0.5, atol=1e-8)


def test_opencv_has_the_same_fisheye():
    lens = Lens(CAMERA, MODELS["equidistant"])
    points = np.random.default_rng(0).uniform([-3, -2, 1], [3, 2, 9], (200, 3))
    K = CAMERA.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    coefficients = np.array(MODELS["equidistant"].coefficients)
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), K, coefficients
    )
    np.testing.assert_allclose(lens.project(points), expected[:, 0] + 0.5, atol=1e-8)


def test_the_omnidirectional_model_is_the_sphere_seen_from_behind():
    # By hand: a ray 45 degrees to the right on the unit sphere, seen from xi behind the centre.
    lens = Lens(CAMERA, Mei(2.0))
    s = np.sqrt(0.5)
    expected = [400.0 * s / (s + 2.0) + 322.0, 238.0]
    np.testing.assert_allclose(lens.project([5.0, 0.0, 5.0]), expected)
    # xi = 0 is a pinhole.
    flat = Lens(CAMERA, Mei(0.0))
    np.testing.assert_allclose(flat.project([0.3, -0.2, 1.0]), Lens(CAMERA).project([0.3, -0.2, 1]))


def test_rays_behind_are_seen_by_a_fisheye_and_by_nothing_else():
    sideways = np.array([1.0, 0.0, -0.1])
    assert np.isfinite(Lens(CAMERA, Equidistant()).project(sideways)).all()
    assert np.isfinite(Lens(CAMERA, Mei(2.0)).project(sideways)).all()
    assert np.isnan(Lens(CAMERA, Mei(0.05)).project(sideways)).all()
    assert np.isnan(Lens(CAMERA).project(sideways)).all()
    assert np.isnan(Lens(CAMERA, MODELS["plumb_bob"]).project(sideways)).all()


def test_a_strong_barrel_does_not_fold_the_outside_in():
    lens = Lens(CAMERA, MODELS["barrel"])
    # r (1 - 0.4 r^2) turns back at r = sqrt(1 / 1.2).
    assert MODELS["barrel"].limit == pytest.approx(np.sqrt(1 / 1.2), abs=1e-3)
    assert np.isfinite(lens.project([0.8, 0.0, 1.0])).all()
    assert np.isnan(lens.project([1.2, 0.0, 1.0])).all()


def test_the_axis_and_the_image_border():
    for model in MODELS.values():
        lens = Lens(CAMERA, model)
        np.testing.assert_allclose(lens.project([0.0, 0.0, 3.0]), [322.0, 238.0], atol=1e-9)
        np.testing.assert_allclose(lens.unproject([322.0, 238.0]), [0, 0, 1], atol=1e-9)
    uv = np.array([[0.0, 0.0], [640.0, 480.0], [640.1, 3.0], [np.nan, 3.0]])
    assert Lens(CAMERA).inside(uv).tolist() == [True, True, False, False]


def test_lenses_are_kept_by_what_they_are():
    assert Lens(CAMERA, Mei(2.0)) == Lens(CAMERA, Mei(2.0))
    assert len({Lens(CAMERA), Lens(CAMERA), Lens(CAMERA, Equidistant())}) == 2


def test_impossible_lenses_are_refused():
    with pytest.raises(UserError, match="4, 5, 8 or 12 coefficients, got 3"):
        BrownConrady((0.1, 0.1, 0.1))
    with pytest.raises(UserError, match="xi"):
        Mei(-1.0)
