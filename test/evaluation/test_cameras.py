"""The camera table: exact truth through any lens, and ways that agree where they must."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kdbts_ros.cli.evaluate_cameras import table_rows
from kdbts_ros.datasets.synthetic.raycast import exact_depth, render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.lenses import Equidistant, Lens
from kdbts_ros.density.cameras.rectify import Warp, straight_camera
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.evaluation.cameras import WAYS, Candidate, candidates, evaluate_cameras
from test.density.networks import tiny_scene

WORLD = StreetWorld.generate(7, 40.0)
POSE = mount((0.0, WORLD.lane_d, 1.65))
FISHEYE = Lens(Camera(160, 120, 55.0, 55.0, 80.0, 60.0), Equidistant())


def test_a_fisheye_is_drawn_along_its_own_rays():
    drawn = render(WORLD, FISHEYE, POSE)
    assert drawn.image.shape == (120, 160, 3)
    # The same rays through a pinhole: the straightened picture is the pinhole's own.
    camera = straight_camera(FISHEYE)
    straight = Warp.build(FISHEYE, camera, np.eye(3)).image(drawn.image).astype(float)
    direct = render(WORLD, camera, POSE).image.astype(float)
    blur = np.ones((5, 5)) / 25
    smooth = [
        sum(np.roll(image, (i, j), (0, 1)) * blur[i, j] for i in range(5) for j in range(5))
        for image in (straight, direct)
    ]
    middle = (slice(20, 100), slice(30, 130))
    assert np.corrcoef(smooth[0][middle].ravel(), smooth[1][middle].ravel())[0, 1] > 0.97


def test_depth_through_a_fisheye_is_the_depth_of_its_rays():
    depth = render(WORLD, FISHEYE, POSE).depth
    rows, columns = np.nonzero(np.isfinite(depth))
    rays = FISHEYE.unproject(np.stack([columns, rows], -1) + 0.5)
    xyz = (rays / rays[:, 2:] * depth[rows, columns][:, None]) @ POSE[:3, :3].T + POSE[:3, 3]
    # Nothing lies below the road, and much of what a camera sees of a street is the road.
    assert xyz[:, 2].min() > -1e-3
    assert (np.abs(xyz[:, 2]) < 1e-3).mean() > 0.1


def test_rays_that_a_plane_cannot_hold_are_dark():
    whole = Lens(dataclasses.replace(FISHEYE.camera, fx=40.0, fy=40.0), FISHEYE.distortion)
    drawn = render(WORLD, whole, POSE)
    assert (drawn.image[0, 0] == 0).all()
    assert np.isnan(drawn.depth[0, 0])
    assert not np.isnan(drawn.depth[60, 80])


def test_exact_depth_is_that_of_the_picture():
    camera = Camera(64, 32, 40.0, 40.0, 32.0, 16.0)
    np.testing.assert_array_equal(
        exact_depth(WORLD, camera, POSE), render(WORLD, camera, POSE).depth
    )


def test_the_training_camera_looks_the_same_every_way():
    scene = tiny_scene()
    training = TrainingCamera.from_notes(scene.info.notes)
    own = Candidate("own", Lens(training.camera(640, 192)))
    narrow = Candidate("narrow", Lens(Camera(160, 90, 170.0, 170.0, 80.0, 45.0)), pitch=5.0)
    found = evaluate_cameras(scene, [3], HeightBand(0.3, 2.0, 0.5), 0.5, cameras=[own, narrow])
    row = found.rows["own"]
    assert row.covered == 1.0
    # Resampled once, the image is almost the same, and so is what a random network makes of it.
    for way in WAYS:
        assert row.abs_rel[way] == pytest.approx(row.abs_rel["training"], rel=0.05)
    assert 0.1 < found.rows["narrow"].covered < 0.6
    assert table_rows(found)["own"]["ratio"] == pytest.approx(1, rel=0.05)
    assert [name for name, _ in found.pictures] == ["own", "narrow"]


def test_the_candidates_differ_from_the_training_camera_in_one_thing_each():
    training = TrainingCamera()
    first, *others = candidates(training)
    assert first.lens.camera == training.camera(640, 192)
    assert {c.name.split()[0] for c in others} == {"wide", "narrow", "tilted", "fisheye", "half"}
