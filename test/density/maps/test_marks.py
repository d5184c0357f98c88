"""Marks that last until they are cleared, specks that are not told, what a trinary map may say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kdbts_ros.density.maps.grid import CellRule, CompletedCells, FrameMap, GridWindow, OccupancyMap
from kdbts_ros.density.maps.marks import MarkRules, Marks
from kdbts_ros.errors import UserError

RULE = CellRule(0.6, "keep")
TENTH = 100_000_000
WINDOW = GridWindow(0.5, 6, 5, -1.0, 2.0)


def found(*rows: list[float], window: GridWindow = WINDOW, observed: bool = True) -> FrameMap:
    """A map of these probabilities, the rest of the window free."""
    probability = np.full((window.height, window.width), 0.05, np.float32)
    for k, row in enumerate(rows):
        probability[k, : len(row)] = row
    return FrameMap(OccupancyMap(window, probability, np.full(probability.shape, observed)))


def publish(
    marks: Marks, answer: FrameMap, stamp: int, clearing: float = 0.3, least: int = 1,
    rule: CellRule = RULE,
) -> np.ndarray:  # fmt: skip
    trinary, percent = marks.published(answer, rule, MarkRules(clearing, least), True, stamp)
    assert percent is not None
    np.testing.assert_array_equal(percent == -1, trinary == -1)
    return trinary


def test_a_mark_lasts_until_its_cell_falls_under_the_clearing_threshold() -> None:
    marks = Marks()
    told = [
        publish(marks, found([p]), k * TENTH)[0, 0]
        for k, p in enumerate([0.5, 0.65, 0.5, 0.3, 0.29, 0.5, 0.6])
    ]
    assert told == [0, 100, 100, 100, 0, 0, 100]


def test_without_a_clearing_threshold_maps_are_as_they_were() -> None:
    marks, answer = Marks(), found([0.65, 0.5, np.nan])
    publish(marks, answer, 0)
    later = found([0.5, 0.65])
    trinary, percent = marks.published(later, RULE, MarkRules(), False, TENTH)
    np.testing.assert_array_equal(trinary, later.occupancy.trinary(*RULE))
    assert percent is None


def test_marks_lie_where_they_were_while_the_robot_moves() -> None:
    """By two columns and a row: the cell at (0.25, 3.25) m is another one of the window."""
    marks = Marks()
    assert publish(marks, found([], [], [0.0, 0.0, 0.7]), 0)[2, 2] == 100
    moved = GridWindow(0.5, 6, 5, 0.0, 2.5)
    trinary = publish(marks, found([0.5] * 6, [0.5] * 6, [0.5] * 6, window=moved), TENTH)
    assert np.argwhere(trinary == 100).tolist() == [[1, 0]]


def test_marks_go_with_the_cells_that_leave_the_window() -> None:
    marks = Marks()
    publish(marks, found([0.7]), 0)
    publish(marks, found(window=GridWindow(0.5, 6, 5, 4.0, 2.0)), TENTH)
    assert publish(marks, found([0.5]), 2 * TENTH)[0, 0] == 0


def test_a_cell_that_is_unknown_is_told_unknown_and_its_mark_waits() -> None:
    marks = Marks()
    publish(marks, found([0.7]), 0)
    assert publish(marks, found([np.nan]), TENTH)[0, 0] == -1
    assert publish(marks, found([0.4]), 2 * TENTH)[0, 0] == 100


@pytest.mark.parametrize("stamp", [6_000_000_000, -6_000_000_000])
def test_a_pause_or_a_step_back_forgets(stamp: int) -> None:
    marks = Marks()
    publish(marks, found([0.7]), 0)
    assert publish(marks, found([0.5]), stamp)[0, 0] == 0


def test_a_new_life_forgets_and_a_map_by_itself_is_not_remembered() -> None:
    marks = Marks()
    publish(marks, found([0.7]), 0)
    marks.published(found([0.1]), RULE, MarkRules(0.3), False, None)
    assert publish(marks, found([0.5]), TENTH)[0, 0] == 100
    marks.forget()
    assert publish(marks, found([0.5]), 2 * TENTH)[0, 0] == 0


def test_completed_cells_keep_marks_but_where_they_are_told_unknown() -> None:
    for completed, expected in (("discount", 100), ("keep", 100), ("unknown", -1)):
        rule, marks = CellRule(0.6, completed), Marks()  # type: ignore[arg-type]
        publish(marks, found([0.7]), 0, rule=rule)
        assert publish(marks, found([0.5], observed=False), TENTH, rule=rule)[0, 0] == expected


def test_a_clearing_threshold_above_the_marking_one_is_that_one() -> None:
    marks = Marks()
    publish(marks, found([0.7]), 0, clearing=0.9)
    assert publish(marks, found([0.65]), TENTH, clearing=0.9)[0, 0] == 100
    assert publish(marks, found([0.59]), 2 * TENTH, clearing=0.9)[0, 0] == 0


def test_groups_of_too_few_cells_are_unknown_and_leave_no_mark() -> None:
    marks = Marks()
    rows = [0.7, 0.0, 0.0, 0.7, 0.0], [0.0, 0.0, 0.0, 0.0, 0.7], [0.7]
    trinary = publish(marks, found(*rows), 0, least=2)
    assert np.argwhere(trinary == 100).tolist() == [[0, 3], [1, 4]], "corners touch"
    assert trinary[0, 0] == trinary[2, 0] == -1
    assert publish(marks, found([0.5]), TENTH)[0, 0] == 0


@pytest.mark.parametrize("bad", [{"clearing": 1.0}, {"clearing": -0.1}, {"least_cells": 0}])
def test_rules_that_mean_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError):
        MarkRules(**bad)  # type: ignore[arg-type]


PROBABILITIES = st.one_of(
    st.just(np.nan), st.floats(0, 1, width=32), st.sampled_from([0.0, 0.5, 0.985, 0.99, 1.0])
)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, (3, 5, 6), elements=PROBABILITIES),
    hnp.arrays(np.bool_, (3, 5, 6)),
    st.floats(0.01, 0.99),
    st.sampled_from(["keep", "discount", "unknown"]),
    st.floats(0.0, 0.99),
    st.integers(1, 6),
    st.integers(-3, 3),
)
def test_a_trinary_map_is_minus_one_0_or_100(
    probabilities: np.ndarray, observed: np.ndarray, threshold: float, completed: CompletedCells,
    clearing: float, least: int, columns: int,
) -> None:  # fmt: skip
    """Never 99, which is inscribed to Nav2, and nothing between: whatever the map and the rules."""
    marks, rule, rules = Marks(), CellRule(threshold, completed), MarkRules(clearing, least)
    for k, (p, seen) in enumerate(zip(probabilities, observed, strict=True)):
        window = GridWindow(0.5, 6, 5, 0.5 * columns * k, 0.0)
        answer = FrameMap(OccupancyMap(window, p, seen))
        trinary, percent = marks.published(answer, rule, rules, True, k * TENTH)
        assert trinary.dtype == np.int8 and set(np.unique(trinary)) <= {-1, 0, 100}
        assert percent is not None and percent.min() >= -1 and percent.max() <= 100
        np.testing.assert_array_equal(percent == -1, trinary == -1)
        assert (trinary[np.isnan(p)] == -1).all()
        if least == 1:
            assert (trinary[(p >= threshold) & (seen | (completed != "unknown"))] == 100).all()
