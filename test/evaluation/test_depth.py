"""Depth of networks against truth: what they are shown, and what they leave out."""

from __future__ import annotations

import numpy as np

from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.evaluation.depth import evaluate_depth
from kdbts_ros.evaluation.samples import Sample
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
