"""Depth of networks against truth: what they are shown, and what they leave out."""

from __future__ import annotations

import numpy as np

from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.engines.answers import DepthMap
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.evaluation.depth import evaluate_depth, told_depth
from kdbts_ros.evaluation.depth_errors import DepthErrors
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.shown import shown
from test.density.networks import tiny_scene

WORLD = StreetWorld.generate(7, 40.0)
HEIGHT = TrainingCamera().height
BASE = np.eye(4)
BASE[1, 3] = WORLD.lane_d
POSE = BASE @ mount((0.0, 0.0, HEIGHT))


def sample_of(camera: Camera) -> Sample:
    drawn = render(WORLD, camera, POSE)
    depth = np.where(np.isfinite(drawn.depth), drawn.depth, 0).astype(np.float32)
    return Sample("a street", (View(drawn.image, camera, POSE),), BASE, depth)


def abs_rel(camera: Camera, mode: str) -> float:
    found = evaluate_depth(
        {"net": tiny_scene()}, [sample_of(camera)], crop="none", canonical_camera=mode
    )
    return found["net"][0]["abs_rel"]


def test_the_training_camera_is_shown_as_it_is() -> None:
    camera = TrainingCamera().camera(128, 64)
    assert abs_rel(camera, "auto") == abs_rel(camera, "off")


def test_another_camera_is_shown_as_the_node_shows_it() -> None:
    own = TrainingCamera().camera(128, 64)
    wide = Camera(128, 64, 0.6 * own.fx, 0.6 * own.fy, own.cx, own.cy)
    assert abs_rel(wide, "auto") == abs_rel(wide, "on")
    assert abs_rel(wide, "auto") != abs_rel(wide, "off")


def test_depth_of_a_warped_view_lies_where_its_pinhole_says() -> None:
    """The view of a wide camera covers the middle of its image: there, and only there, its depth
    is compared with that of the same rays."""
    own = TrainingCamera().camera(128, 64)
    wide = Camera(160, 120, 0.5 * own.fx, 0.5 * own.fy, 80.0, 60.0)
    view = shown(sample_of(wide).view, sample_of(wide), CameraAdapter(TrainingCamera(), (128, 64)))
    assert view.own is not None
    drawn = render(WORLD, view.camera.resized(128, 64), view.T_world_cam).depth
    exact = np.where(np.isfinite(drawn), drawn, 80).astype(np.float32)
    camera = view.camera.resized(128, 64)
    found = DepthMap(exact, exact, np.ones_like(exact), camera, view.valid, view.own)
    told, seen = told_depth(found, wide, (120, 160))
    truth = np.minimum(render(WORLD, wide, POSE).depth, 80)
    assert 0.05 < seen.mean() < 0.3
    assert np.isnan(told[~seen]).all()
    assert np.median(np.abs(told[seen] / truth[seen] - 1)) < 0.02


def test_what_a_network_is_not_shown_counts_for_no_method() -> None:
    own = TrainingCamera().camera(128, 64)
    wide = Camera(160, 120, 0.5 * own.fx, 0.5 * own.fy, 80.0, 60.0)
    errors = {"net": DepthErrors()}
    found = evaluate_depth({"net": tiny_scene()}, [sample_of(wide)], crop="none", errors=errors)
    # A pixel without a prediction would count as 80 m.
    assert found["net"][0]["abs_rel"] < 80 / 3
    counted = sum(row.ratios.sum() for name, row in errors["net"].rows.items() if "ground" in name)
    assert 0 < counted < 0.3 * 160 * 120
