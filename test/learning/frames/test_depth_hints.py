"""Depth by matching alone, on a room whose depth is exact."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, View
from kdbts_ros.learning.frames.depth_hints import (
    OUTSIDE,
    aggregate,
    depth_hints,
    inverse_depths,
    matching_costs,
)
from test.datasets.box_room import CAMERA, room_depth, room_view


def views() -> list[View]:
    """A stereo pair 0.3 m wide, in the middle of the room."""
    return [room_view(rigid(R_BODY_OPTICAL, (0.0, y, 1.5))) for y in (0.15, -0.15)]


def test_hints_are_right_where_they_are_given() -> None:
    pair = views()
    for view, hint in zip(pair, depth_hints(pair), strict=True):
        truth = room_depth(view.T_world_cam)
        known = hint > 0
        assert known.mean() > 0.6
        error = np.abs(hint - truth)[known] / truth[known]
        assert np.median(error) < 0.03
        assert np.mean(error < 0.1) > 0.9


def test_the_true_plane_costs_least() -> None:
    a, b = views()
    w = inverse_depths(3.0, 40.0, 16)
    costs = matching_costs(a, [b], w)
    assert costs.shape == (16, CAMERA.height, CAMERA.width)
    assert costs.min() >= 0 and costs.max() <= 1
    inner = np.s_[20:-20, 30:-30]
    best = w[costs.argmin(0)][inner]
    truth = 1 / room_depth(a.T_world_cam)[inner]
    assert np.mean(np.abs(best - truth) <= w[1] - w[0]) > 0.85


def test_what_lies_outside_the_other_image_costs_as_nothing_known() -> None:
    a, _ = views()
    aside = View(a.image, a.camera, rigid(R_BODY_OPTICAL, (0.0, 900.0, 1.5)))
    np.testing.assert_array_equal(matching_costs(a, [aside], inverse_depths(3, 40, 4)), OUTSIDE)


def test_smooth_paths_fill_a_hole() -> None:
    costs = np.full((8, 12, 12), 0.6, np.float32)
    costs[3] = 0.1
    costs[:, 4:8, 4:8] = 0.5  # nothing known here
    costs[6, 5, 5] = 0.45  # but a little noise
    assert (aggregate(costs).argmin(0) == 3).all()
    # A step that is stated clearly stays.
    costs[:, :, 6:] = 0.6
    costs[6, :, 6:] = 0.0
    best = aggregate(costs).argmin(0)
    assert (best[:, 8:] == 6).all()
    assert best[0, 0] == pytest.approx(3)
