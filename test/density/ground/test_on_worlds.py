"""The anchor on drawn streets with shipped weights: where it helps, and where it does no harm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor, Track
from kdbts_ros.density.ground.plane_fit import GroundFit, fit_ground
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.depth_metrics import ground_plane_depth

HEIGHT = TrainingCamera().height
CAMERA = TrainingCamera().camera(320, 96)
SEEDS = (2_000_000_001, 2_000_000_004, 2_000_000_009)


@lru_cache(1)
def scene() -> SceneCompleter:
    return SceneCompleter.load("kdbts", "cpu")


@lru_cache(8)
def world(seed: int) -> StreetWorld:
    return StreetWorld.generate(seed, 60.0, 40.0)


def base(seed: int, aside: float = 0.0) -> np.ndarray:
    """On the free lane of a street."""
    T = np.eye(4)
    T[1, 3] = world(seed).lane_d + aside
    return T


def rotated(roll: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """(4,4) of a base that rolls or pitches (down positive), degrees."""
    return mount((0.0, 0.0, 0.0), 0.0, np.radians(pitch), np.radians(roll)) @ inverse(
        mount((0.0, 0.0, 0.0))
    )


def image_of(seed: int, T_world_cam: np.ndarray) -> np.ndarray:
    return render(world(seed), CAMERA, T_world_cam).image


def fitted(
    image: np.ndarray, T_base_cam: np.ndarray, scale_height: bool = True
) -> GroundFit | None:
    """What is found of the ground in an image of a camera that transforms say stands there."""
    adapter = CameraAdapter(TrainingCamera(), (320, 96), "auto", scale_height)
    view = adapter.view(image, Lens(CAMERA), T_base_cam, T_base_cam)
    scene().set_views([view])
    shown = scene().visibility()[0] * np.float32(view.scale)
    return fit_ground(shown, view.camera, view.T_world_cam, view.scale, view.valid)


def anchor_of(fit: GroundFit | None) -> Anchor:
    track = Track()
    track.add(fit, 0)
    return track.anchor


def off(anchor: Anchor, truth: np.ndarray, nearer: float) -> tuple[float, float]:
    """How far the ground within a strip is told from where it is, as share: as seen, anchored.

    truth (96,320) m; of rays that meet the plane nearer than so many m.
    """
    shown = scene().visibility()[0]
    true = truth[1::3, ::2][: shown.shape[0]]
    plane = ground_plane_depth(CAMERA.resized(160, 32), HEIGHT, far=1e3)
    u = (np.arange(160) + 0.5 - CAMERA.resized(160, 32).cx) / CAMERA.resized(160, 32).fx
    strip = (plane < nearer) & (np.abs(u * plane) < 2.2) & (np.abs(true / plane - 1) < 0.05)
    ratio = shown[strip] / true[strip]
    told = ratio * (1 + anchor.pitch * plane[strip] / HEIGHT) / anchor.scale
    return abs(float(np.median(ratio)) - 1), abs(float(np.median(told)) - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flat_street_with_kerbs_comes_to_lie_where_it_is(seed: int) -> None:
    drawn = render(world(seed), CAMERA, base(seed) @ mount((0.0, 0.0, HEIGHT)))
    found = fitted(drawn.image, mount((0.0, 0.0, HEIGHT)))
    assert found is not None and found.pitch == 0
    as_seen, anchored = off(anchor_of(found), drawn.depth, 14.0)
    assert as_seen < 0.08 and anchored < 0.025


def test_the_kerb_under_half_of_the_strip_does_no_harm() -> None:
    """A robot beside the lane, whose strip lies half on the pavement, 10 cm up."""
    seed = SEEDS[0]
    drawn = render(world(seed), CAMERA, base(seed, -1.6) @ mount((0.0, 0.0, HEIGHT)))
    anchor = anchor_of(fitted(drawn.image, mount((0.0, 0.0, HEIGHT))))
    as_seen, anchored = off(anchor, drawn.depth, 14.0)
    assert anchored < as_seen + 0.02
    assert abs(np.degrees(anchor.pitch)) < 0.5


@pytest.mark.parametrize("roll", [-3.0, 3.0])
def test_a_base_that_rolls_on_its_springs_does_no_harm(roll: float) -> None:
    """Transforms tell the roll of the base; the ground does not roll with it."""
    seed, T_base_cam = SEEDS[1], mount((0.0, 0.0, HEIGHT))
    image = image_of(seed, base(seed) @ rotated(roll=roll) @ T_base_cam)
    level = anchor_of(fitted(image_of(seed, base(seed) @ T_base_cam), T_base_cam))
    anchor = anchor_of(fitted(image, T_base_cam))
    assert anchor.scale == pytest.approx(level.scale, abs=0.05)
    assert abs(np.degrees(anchor.pitch)) < 1.0


def test_a_height_that_is_told_wrong_is_followed_where_heights_are_made_up_for() -> None:
    """TF is the metre: with the world enlarged by a fifth, the ground lies as it did on TF's."""
    seed = SEEDS[0]
    image = image_of(seed, base(seed) @ mount((0.0, 0.0, HEIGHT)))
    right, wrong = (fitted(image, mount((0.0, 0.0, told * HEIGHT))) for told in (1.0, 1.2))
    assert right is not None and wrong is not None
    assert wrong.scale == pytest.approx(right.scale, rel=0.04)


@pytest.mark.parametrize(("told", "warns"), [(1.2, False), (0.7, True)])
def test_elsewhere_the_scale_follows_it_and_beyond_its_bounds_the_height_is_named(
    told: float, warns: bool
) -> None:
    seed = SEEDS[0]
    image = image_of(seed, base(seed) @ mount((0.0, 0.0, HEIGHT)))
    right = fitted(image, mount((0.0, 0.0, HEIGHT)))
    wrong = fitted(image, mount((0.0, 0.0, told * HEIGHT)), scale_height=False)
    assert right is not None and wrong is not None
    assert wrong.scale == pytest.approx(right.scale / told, rel=0.03)
    track = Track()
    track.add(wrong, 0)
    assert ("check the mounting height" in track.account(track.anchor).concern()) == warns
    assert 1 / 1.3 - 1e-6 <= track.anchor.scale <= 1.3 + 1e-6


@pytest.mark.parametrize("percent", [-10.0, -5.0, 5.0, 10.0])
def test_before_a_hill_the_ground_is_told_no_worse(percent: float) -> None:
    """The street breaks 9 m ahead: the network reads the level ground before it by the horizon
    behind it, up to a quarter too far, and the anchor takes that back."""
    T_base_cam = mount((0.0, 0.0, HEIGHT))
    errors = []
    for seed in SEEDS:
        image, truth = broken_street(seed, T_base_cam, 9.0, float(np.arctan(percent / 100)))
        anchor = anchor_of(fitted(image, T_base_cam))
        # Never turned against the slope.
        assert np.sign(anchor.pitch) in (0, np.sign(percent))
        errors.append(off(anchor, truth, 8.5))
    as_seen, anchored = np.mean(errors, axis=0)
    assert anchored < max(0.5 * as_seen, 0.06)


def broken_street(
    seed: int, T_base_cam: np.ndarray, distance: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Image and depth of a street that goes up by an angle, rad, from some distance, m, on."""
    T_base_line = np.eye(4)
    T_base_line[0, 3] = distance
    turn = T_base_line @ rotated(pitch=np.degrees(angle)) @ inverse(T_base_line)
    level = render(world(seed), CAMERA, base(seed) @ T_base_cam)
    hill = render(world(seed), CAMERA, base(seed) @ turn @ T_base_cam)
    near = level.depth + T_base_cam[0, 3] < distance
    image = np.where(near[..., None], level.image, hill.image)
    return image, np.where(near, level.depth, hill.depth)


def test_a_wall_and_a_car_right_ahead() -> None:
    """A car that fills the strip from 5 m on is no ground; one that leaves the street beside it
    free changes nothing."""
    seed, T_base_cam = SEEDS[0], mount((0.0, 0.0, HEIGHT))
    level = fitted(image_of(seed, base(seed) @ T_base_cam), T_base_cam)
    assert level is not None
    shown = scene().visibility()[0].copy()
    small = CAMERA.resized(shown.shape[1], shown.shape[0])
    u = (np.arange(small.width) + 0.5 - small.cx) / small.fx
    wall = np.minimum(shown, np.float32(6.0))
    car = np.where(np.abs(u) * 8 < 0.9, np.minimum(shown, np.float32(8.0)), shown)
    assert fit_ground(wall, CAMERA, T_base_cam) is None
    assert anchor_of(None) is AS_SEEN
    beside = fit_ground(car, CAMERA, T_base_cam)
    assert beside is not None
    assert beside.scale == pytest.approx(level.scale, rel=0.02)
