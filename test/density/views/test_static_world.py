"""The gate keeps views of the same world and drops those in which something has moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from kdbts_ros.density.engines.answers import DepthMap
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.views.keyframes import KeptView
from kdbts_ros.density.views.static_world import (
    ConsistencyGate,
    ConsistencyRules,
    Surfaces,
    agreement,
    stride_for,
)
from kdbts_ros.errors import UserError
from test.density.networks import forward_pose

CAMERA = Camera(320, 96, 200.0, 200.0, 160.0, 48.0)
SMALL = CAMERA.resized(80, 24)
WALL_X, CAR_X = 16.0, 9.0
RULES = ConsistencyRules(height=0.1)


@dataclass(frozen=True, eq=False)
class Picture:
    """A view of a patterned wall across the street, and a car before it from y to y + 3 m."""

    T_world_cam: np.ndarray
    image: np.ndarray
    depth: np.ndarray
    camera: Camera = CAMERA
    nbytes: int = 0


def looked(x: float, car_y: float | None, brighter: float = 0.0) -> Picture:
    T = forward_pose(x)
    rays = CAMERA.rays() @ T[:3, :3].T
    depth = np.full(rays.shape[:2], WALL_X - x)
    at = T[:3, 3] + rays * depth[..., None]
    pattern = np.floor(at[..., 1] / 2.0) + np.floor(at[..., 2] / 1.5)
    shade = 0.35 + 0.25 * (pattern % 2)
    if car_y is not None:
        before = T[:3, 3] + rays * (CAR_X - x)
        y, z = before[..., 1], before[..., 2]
        car = (car_y < y) & (y < car_y + 3.0) & (z < 1.6)
        depth[car], shade[car] = CAR_X - x, 0.05 + 0.9 * (np.floor(y[car] / 0.75) % 2)
    grey = np.clip((shade + brighter) * 255, 0, 255).astype(np.uint8)
    return Picture(T, np.repeat(grey[..., None], 3, -1), depth.astype(np.float32))


def depth_map(picture: Picture) -> DepthMap:
    stride = stride_for(CAMERA.width)
    small = picture.depth[stride // 2 :: stride, stride // 2 :: stride]
    return DepthMap(small, small, np.ones_like(small), SMALL)


def share(reference: Picture, other: Picture) -> float:
    surfaces = Surfaces.of(reference, depth_map(reference), 0.0, RULES)
    return agreement(surfaces, other, RULES).share


def test_a_view_of_the_same_world_fits_whatever_its_exposure():
    reference = looked(2.0, car_y=-1.0)
    assert share(reference, looked(1.0, car_y=-1.0)) > 0.93
    assert share(reference, looked(1.0, car_y=-1.0, brighter=0.05)) > 0.9


@pytest.mark.parametrize("then", [2.0, -4.5, None])
def test_a_car_that_was_elsewhere_does_not_fit(then):
    reference, still = looked(2.0, car_y=-1.0), looked(1.0, car_y=-1.0)
    assert share(reference, looked(1.0, car_y=then)) < share(reference, still) - 0.08


def test_road_sky_and_what_is_far_do_not_count():
    reference = looked(2.0, car_y=None)
    everything = Surfaces.of(reference, depth_map(reference), 0.0, RULES)
    high = Surfaces.of(reference, depth_map(reference), 1.0, RULES)
    assert 0 < len(high.xyz) < len(everything.xyz)
    assert high.xyz[:, 2].min() > 1.1
    near = ConsistencyRules(reach=5.0)
    assert len(Surfaces.of(reference, depth_map(reference), 0.0, near).xyz) == 0
    faint = DepthMap(*(depth_map(reference).depth,) * 2, np.zeros((24, 80)), SMALL)
    assert len(Surfaces.of(reference, faint, 0.0, RULES).xyz) == 0


def test_the_gate_weighs_views_and_asks_for_depth_once_per_reference():
    asked = []

    def depth_of(kept):
        asked.append(kept)
        return depth_map(kept.view)

    def kept(picture, stamp):
        return KeptView(picture, "left", stamp)

    gate = ConsistencyGate(depth_of, ConsistencyRules(height=0.1, least_share=0.93))
    reference = kept(looked(2.0, car_y=-1.0), 3)
    assert gate(reference, kept(looked(1.0, car_y=-1.0), 2)) == 1.0
    assert gate(reference, kept(looked(0.0, car_y=4.0), 1)) == 0.0
    assert gate.dropped == 1
    assert asked == [reference]
    gate.rules = ConsistencyRules(least_share=0.0)
    assert gate(reference, kept(looked(0.0, car_y=4.0), 1)) == 1.0


def test_too_little_to_compare_keeps_a_view():
    reference = looked(2.0, car_y=-1.0)
    behind = Picture(forward_pose(30.0), reference.image, reference.depth)
    surfaces = Surfaces.of(reference, depth_map(reference), 0.0, RULES)
    assert agreement(surfaces, behind, RULES).points == 0
    gate = ConsistencyGate(lambda kept: depth_map(kept.view))
    assert gate(KeptView(reference, "left", 2), KeptView(behind, "left", 1)) == 1.0


def test_rules_out_of_range_are_refused():
    with pytest.raises(UserError, match="tolerance"):
        ConsistencyRules(tolerance=0.0)
