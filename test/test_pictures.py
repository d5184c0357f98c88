"""Pictures of depths: what is near stays apart, in rooms as on streets."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros import pictures


@pytest.mark.parametrize(
    ("range_m", "near"), [(40.0, 3.0), (20.0, 3.0), (12.0, 1.8), (5.0, 0.75), (0.5, 0.3)]
)
def test_the_brightest_depth_suits_the_map(range_m: float, near: float) -> None:
    assert pictures.near_for(range_m) == pytest.approx(near)


def test_depths_of_a_room_are_told_apart() -> None:
    depth = np.array([[0.8, 1.5, 2.5, 5.0, np.nan]], np.float32)
    street = pictures.depth_picture(depth)[0].tolist()
    room = pictures.depth_picture(depth, pictures.near_for(5.0))[0].tolist()
    assert street[0] == street[1] == street[2], "all nearer than a street's nearest"
    assert len({tuple(colour) for colour in room}) == 5
    assert room[-1] == list(pictures.UNKNOWN_COLOUR)
