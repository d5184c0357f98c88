"""A rolling map over DDS: it remembers, follows the robot on one raster, and forgets in a jump."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid

from test.ros.robot import SECOND, NodeProcess, Robot

RESOLUTION = 0.5
START = 100 * SECOND


@pytest.fixture(scope="module")
def driven(start: Callable[..., NodeProcess], robot: Robot, checkpoint: Path) -> Robot:
    node = start(
        checkpoint=checkpoint, device="cpu", range_m=8, resolution=RESOLUTION, accumulate="true"
    )
    node.wait_for_log("active on")
    robot.wait_until_connected()
    return robot


def columns(grid: OccupancyGrid) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the grid's cells along x (width,), and whether any cell there is known."""
    cells = np.array(grid.data).reshape(grid.info.height, grid.info.width)
    centres = grid.info.origin.position.x + (np.arange(grid.info.width) + 0.5) * RESOLUTION
    return centres, (cells != -1).any(axis=0)


def known_behind(grid: OccupancyGrid, x: float) -> int:
    centres, known = columns(grid)
    return int(known[centres < x].sum())


def test_what_has_left_the_image_stays_in_the_map(driven: Robot) -> None:
    first = driven.step(START)
    # The robot is at 100 m: nothing behind its forward camera has been seen.
    assert known_behind(first, 100.0) == 0
    later = [driven.step(START + k * SECOND) for k in range(1, 6)][-1]
    assert known_behind(later, 105.0) > 0
    assert later.header.frame_id == "odom"


def test_the_window_follows_the_robot_on_one_raster(driven: Robot) -> None:
    before = driven.grids[-1]
    after = driven.step(START + 6 * SECOND + SECOND // 5)
    moved = (after.info.origin.position.x - before.info.origin.position.x) / RESOLUTION
    assert moved == pytest.approx(round(moved), abs=1e-4) and 1 <= round(moved) <= 4
    centres, _ = columns(after)
    assert abs(centres.mean() - 106.2) <= RESOLUTION
    assert after.info.origin.orientation.w == 1.0


def test_a_loop_of_the_recording_starts_an_empty_map(driven: Robot) -> None:
    again = driven.step(START - 50 * SECOND)
    assert driven.reports[-1].time_jumps == 1
    assert known_behind(again, 50.0) == 0
    later = [driven.step(START - (50 - k) * SECOND) for k in range(1, 6)][-1]
    assert known_behind(later, 55.0) > 0
