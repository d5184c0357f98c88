"""Maps against the true map."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.demo.score import Agreement, TruthMap, compare, masked_truth
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.errors import UserError

BAND = HeightBand(0.3, 2.0)


@pytest.fixture(scope="module")
def world() -> StreetWorld:
    return StreetWorld.generate(5, 60.0)


def test_only_known_cells_are_compared() -> None:
    grid = np.array([[100, 100, 0, 0, -1, -1]], np.int8)
    truth = np.array([[True, False, True, False, True, False]])
    agreement = compare(grid, truth)
    assert agreement == Agreement(both=1, map_only=1, truth_only=1)
    assert agreement.iou == pytest.approx(1 / 3)
    assert agreement.precision == agreement.recall == 0.5


def test_cells_of_several_maps_are_counted_together() -> None:
    assert Agreement(1, 2, 3) + Agreement(4, 5, 6) == Agreement(5, 7, 9)


def test_nothing_occupied_is_no_agreement_and_no_disagreement() -> None:
    empty = compare(np.zeros((2, 2), np.int8), np.zeros((2, 2), bool))
    assert (empty.iou, empty.precision, empty.recall) == (None, None, None)


def test_the_true_map_of_a_window_is_cut_from_that_of_all(world: StreetWorld) -> None:
    windows = [GridWindow.around(x, y, 8.0, 0.2) for x, y in ((3.0, 0.05), (9.13, -2.4))]
    truth = TruthMap.covering(world, windows, BAND)
    for window in windows:
        x, y = window.centres()
        expected = column_truth(world, x, y, BAND.low, BAND.high)
        assert truth.at(window).shape == (window.height, window.width)
        assert (truth.at(window) == expected).all()


def test_a_perfect_map_scores_one(world: StreetWorld) -> None:
    window = GridWindow.around(10.0, 0.0, 40.0, 0.4)
    truth = TruthMap.covering(world, [window], BAND).at(window)
    assert truth.any()
    unknown = np.full(truth.shape, -1, np.int8)
    unknown[:, 20:] = 0
    grid = masked_truth(truth, unknown)
    assert (grid[:, :20] == -1).all() and set(np.unique(grid[:, 20:])) == {0, 100}
    assert compare(grid, truth).iou == 1.0


def test_without_maps_there_is_nothing_to_compare(world: StreetWorld) -> None:
    with pytest.raises(UserError, match="no map"):
        TruthMap.covering(world, [], BAND)
