"""Our maps by the rules of Nav2's static layer: taken, in their place, with their meaning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

pytest.importorskip("nav_msgs", reason="needs ROS 2: run `make venv`")

from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.node.outputs import messages
from test.node.outputs.static_layer import (
    FREE,
    INSCRIBED,
    LETHAL,
    UNKNOWN,
    Costmap,
    Settings,
    cost_of,
    costs_of,
    laid_over,
    refusal,
)

VALUES = (-1, 0, 100)
COMPLETED = ("keep", "discount", "unknown")

places = st.floats(-3000, 3000)
resolutions = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0])
stamps = st.integers(0, 2**31 * 10**9 - 1)
few = settings(max_examples=60, deadline=None)


@st.composite
def windows(draw: st.DrawFn) -> GridWindow:
    resolution = draw(resolutions)
    side = resolution * draw(st.integers(1, 24))
    return GridWindow.around(draw(places), draw(places), side, resolution)


@st.composite
def grids(draw: st.DrawFn) -> tuple[GridWindow, Any]:
    """A window and its message of three values."""
    window = draw(windows())
    shape = (window.height, window.width)
    cells = draw(hnp.arrays(np.int8, shape, elements=st.sampled_from(VALUES)))
    return window, message(window, cells, draw(stamps))


def message(window: GridWindow, cells: npt.NDArray[np.int8], stamp_ns: int = 0) -> Any:
    return messages.occupancy_grid(messages.header(stamp_ns, "odom"), window, cells, 0.5)


def rolling(window: GridWindow, finer: int, cost: int = FREE, margin: int = 2) -> Costmap:
    """A costmap of cells `finer` times as small that reaches `margin` cells beyond a window."""
    resolution = window.resolution / finer
    shape = ((window.height + 2 * margin) * finer, (window.width + 2 * margin) * finer)
    first = (round(window.x0 / resolution), round(window.y0 / resolution))
    x0, y0 = ((n - margin * finer) * resolution for n in first)
    return Costmap(np.full(shape, cost, np.uint8), resolution, x0, y0)


def single(value: int) -> Any:
    """A message of one cell."""
    return message(GridWindow(0.2, 1, 1, 0.0, 0.0), np.array([[value]], np.int8))


@few
@given(grids())
def test_every_map_is_taken(pair: tuple[GridWindow, Any]) -> None:
    assert refusal(pair[1]) == ""


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda g: setattr(g.info.origin.orientation, "w", 0.0), "quaternion"),
        (lambda g: setattr(g.info.origin.position, "x", math.nan), "finite"),
        (lambda g: setattr(g.info, "resolution", 0.0), "resolution"),
        (lambda g: setattr(g.info, "width", 2), "number of cells"),
        (lambda g: setattr(g.info, "height", 0), "no cells"),
        (lambda g: setattr(g.info, "width", 32768), "too many"),
        (lambda g: setattr(g.header, "frame_id", ""), "frame"),
        (lambda g: setattr(g.header.stamp, "nanosec", 10**9), "nanoseconds"),
    ],
)
def test_the_model_refuses_what_the_layer_refuses(spoil: Any, why: str) -> None:
    grid = single(100)
    spoil(grid)
    assert why in refusal(grid)


@few
@given(grids(), st.integers(1, 3))
def test_every_cell_lands_in_its_place(pair: tuple[GridWindow, Any], finer: int) -> None:
    window, grid = pair
    margin, canvas = 2, rolling(window, finer, cost=7)
    written = laid_over(canvas, grid, Settings())
    cells = np.frombuffer(bytes(grid.data), np.int8).reshape(window.height, window.width)
    expected = np.full(canvas.costs.shape, 7, np.uint8)
    rim = margin * finer
    occupied = np.where(cells == 100, LETHAL, FREE).astype(np.uint8)
    expected[rim:-rim, rim:-rim] = np.kron(occupied, np.ones((finer, finer), np.uint8))
    np.testing.assert_array_equal(written.costs, expected)


@few
@given(grids(), st.floats(-math.pi, math.pi), places, places)
def test_cells_land_in_their_place_from_another_frame(
    pair: tuple[GridWindow, Any], yaw: float, x: float, y: float
) -> None:
    """Nearest cell: what is lethal lies in an occupied cell, and no occupied cell is lost."""
    window, grid = pair
    canvas = _around_turned(window, yaw, x, y)
    c, s = math.cos(yaw), math.sin(yaw)
    T_map_global = np.array([[c, -s, x], [s, c, y], [0, 0, 1.0]])
    written = laid_over(canvas, grid, Settings(), T_map_global)
    cx, cy = window.centres()
    cells = np.frombuffer(bytes(grid.data), np.int8).reshape(window.height, window.width)
    rows, columns = np.nonzero(cells == 100)
    occupied = np.stack([cx[columns], cy[rows]], axis=1)
    gx, gy = canvas.centres()
    lethal = np.stack([gx, gy], axis=-1)[written.costs == LETHAL] @ T_map_global[:2, :2].T + (x, y)
    assert bool(len(lethal)) == bool(len(occupied))
    if len(lethal):
        apart = np.abs(lethal[:, None] - occupied[None]).max(axis=2)
        half = window.resolution / 2 + 1e-5
        assert (apart.min(axis=1) <= half).all()
        assert (apart.min(axis=0) <= half).all()


def _around_turned(window: GridWindow, yaw: float, x: float, y: float) -> Costmap:
    """A costmap of half the cells, large enough for the window as another frame sees it."""
    resolution = window.resolution / 2
    middle = np.array(
        [
            window.x0 + window.width * window.resolution / 2 - x,
            window.y0 + window.height * window.resolution / 2 - y,
        ]
    )
    c, s = math.cos(yaw), math.sin(yaw)
    centre = np.array([[c, s], [-s, c]]) @ middle
    half = 2 * max(window.width, window.height) + 2
    x0, y0 = ((round(v / resolution) - half) * resolution for v in centre)
    return Costmap(np.zeros((2 * half, 2 * half), np.uint8), resolution, x0, y0)


@few
@given(
    hnp.arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32) | st.just(math.nan)),
    hnp.arrays(np.bool_, (5, 7)),
    st.floats(0.01, 0.99),
    st.sampled_from(COMPLETED),
    st.booleans(),
)
def test_a_planner_reads_three_things(
    probability: npt.NDArray[np.float32],
    observed: npt.NDArray[np.bool_],
    threshold: float,
    completed: Any,
    track: bool,
) -> None:
    """Never 99, which is "inscribed" to Nav2, nor 1 to 98, which is free to it."""
    window = GridWindow(0.2, 7, 5, -1.0, 2.0)
    cells = OccupancyMap(window, probability, observed).trinary(threshold, completed)
    grid = message(window, cells)
    assert set(grid.data) <= set(VALUES)
    costs = costs_of(grid, Settings(track_unknown_space=track))
    assert INSCRIBED not in costs
    np.testing.assert_array_equal(costs == LETHAL, cells == 100)
    np.testing.assert_array_equal(costs == UNKNOWN, (cells == -1) & track)
    for percent in OccupancyMap(window, probability, observed).percent(threshold, completed).flat:
        assert -1 <= percent <= 100


@pytest.mark.parametrize(
    ("value", "cost"),
    [(-1, FREE), (0, FREE), (1, FREE), (98, FREE), (99, INSCRIBED), (100, LETHAL)],
)
def test_why_probabilities_are_not_for_this_layer(value: int, cost: int) -> None:
    assert cost_of(value, Settings()) == cost


def test_before_lyrical_nearly_certain_was_free() -> None:
    assert cost_of(99, Settings(inscribed_obstacle_cost_value=None)) == FREE


@pytest.mark.parametrize(
    ("track", "maximum", "left"),
    [(False, False, FREE), (False, True, LETHAL), (True, False, UNKNOWN), (True, True, UNKNOWN)],
)
def test_what_our_unknown_leaves_of_an_earlier_layers_obstacle(
    track: bool, maximum: bool, left: int
) -> None:
    """Why the layer stands first, or use_maximum goes with track_unknown_space: false only."""
    seen = Costmap(np.full((1, 1), LETHAL, np.uint8), 0.2, 0.0, 0.0)
    settings_ = Settings(track_unknown_space=track, use_maximum=maximum)
    assert laid_over(seen, single(-1), settings_).costs.item() == left


def test_a_turned_origin_turns_nothing() -> None:
    """So the node turns none: its origin is the identity."""
    window = GridWindow(0.2, 3, 2, 0.4, -0.6)
    cells = np.array([[100, 0, 0], [0, 0, 100]], np.int8)
    straight, turned = message(window, cells), message(window, cells)
    orientation = straight.info.origin.orientation
    assert (orientation.x, orientation.y, orientation.z, orientation.w) == (0, 0, 0, 1)
    turned.info.origin.orientation.z = turned.info.origin.orientation.w = math.sqrt(0.5)
    both = [laid_over(rolling(window, 1), grid, Settings()).costs for grid in (straight, turned)]
    np.testing.assert_array_equal(*both)
