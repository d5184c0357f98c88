"""What somebody asks about: brought into the world, or refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.density.places import MOST_POINTS, outline, world_outlines, world_points
from kdbts_ros.errors import UserError
from test.density.networks import base_pose

SQUARE = [(1.0, 0.5), (-1.0, 0.5), (-1.0, -0.5), (1.0, -0.5)]
LEVEL = [0.0, 0.0, 0.0, 1.0]


def test_points_may_be_flat_and_move_with_their_frame() -> None:
    T = base_pose(3.0, 1.0, np.pi / 2)
    np.testing.assert_allclose(world_points([1, 0, 2, 0, 1, 0], T), [[3, 2, 2], [2, 1, 0]])
    assert world_points([], T).shape == (0, 3)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([1.0, 2.0], "2 numbers are no whole number of points"),
        ([0, 0, 0, 1, float("nan"), 0], "point 1 is not finite, or more than 1e[+]07 m away"),
        ([0, 0, float("inf")], "point 0 is not finite"),
        ([0, 1e300, 0], "point 0 is not finite, or more than"),
        (np.zeros((MOST_POINTS + 1, 3)), "100,001 points are more than 100,000: ask for fewer"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_points_that_are_none_are_refused(points: object, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}"):
        world_points(points, np.eye(4))  # type: ignore[arg-type]


def test_an_outline_turns_with_its_pose_and_with_the_frame() -> None:
    c = np.sqrt(0.5)
    found = world_outlines(
        [[4.0, 0.0, 0.0, *LEVEL], [4.0, 0.0, 9.0, 0.0, 0.0, c, c]],
        outline(SQUARE, 0.0),
        base_pose(10.0, 0.0, np.pi / 2),
    )
    np.testing.assert_allclose(found[0][0], [10 - 0.5, 5.0])
    np.testing.assert_allclose(found[1][0], [10 - 1.0, 4 - 0.5])
    assert world_outlines(np.empty((0, 7)), outline(SQUARE, 0.0), np.eye(4)).shape == (0, 4, 2)


def test_of_a_pose_that_leans_counts_what_it_covers_from_above() -> None:
    """A quarter turn about y stands the outline's length upright."""
    c = np.sqrt(0.5)
    found = world_outlines([[0, 0, 0, 0, c, 0, c]], outline(SQUARE, 0.0), np.eye(4))[0]
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-12)
    assert np.ptp(found[:, 1]) == pytest.approx(1.0)


def test_a_disc_lies_within_its_outline() -> None:
    corners = outline([], 2.0)
    middles = (corners + np.roll(corners, -1, 0)) / 2
    np.testing.assert_allclose(np.linalg.norm(middles, axis=1), 2.0)
    assert np.linalg.norm(corners, axis=1).max() < 2.0 * 1.005


@pytest.mark.parametrize(
    ("corners", "radius", "sentence"),
    [
        (SQUARE, 1.0, "a footprint has a polygon or a radius, not both"),
        ([], 0.0, "a footprint needs a polygon or a positive radius, got 0 m"),
        ([], -1.0, "a footprint needs a polygon or a positive radius, got -1 m"),
        ([], float("nan"), "a footprint needs a polygon or a positive radius, got nan m"),
        ([], float("inf"), "a footprint needs a polygon or a positive radius, got inf m"),
        (SQUARE[:2], 0.0, "a polygon has 3 to 100 corners, this one 2"),
        (SQUARE * 26, 0.0, "a polygon has 3 to 100 corners, this one 104"),
        ([*SQUARE, (float("nan"), 0.0)], 0.0, "corner 4 is not finite"),
    ],
)
def test_shapes_that_are_none_are_refused(corners: list, radius: float, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}"):
        outline(corners, radius)


@pytest.mark.parametrize(
    ("poses", "sentence"),
    [
        ([[0, 0, 0, *LEVEL], [0, float("nan"), 0, *LEVEL]], "pose 1 is not finite"),
        ([[0, 0, 0, 0, 0, 0, 0]], "pose 0 has a quaternion of length 0, not 1: set w to 1"),
        ([[0, 0, 0, 0, 0, 0, 3]], "pose 0 has a quaternion of length 3, not 1"),
        (np.tile([0, 0, 0, *LEVEL], (1001, 1)), "1,001 poses are more than 1,000: ask for fewer"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_poses_that_are_none_are_refused(poses: object, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}"):
        world_outlines(poses, outline(SQUARE, 0.0), np.eye(4))  # type: ignore[arg-type]
