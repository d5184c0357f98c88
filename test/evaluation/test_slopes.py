"""False obstacles on slopes: what counts as one, and that the true map has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.hill import STEEPEST, Hill
from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.maps.grid import FREE, OCCUPIED, UNKNOWN
from kdbts_ros.density.pipeline import Pipeline
from kdbts_ros.density.settings import PipelineSettings
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.slopes import BANDS, _measures, _Street, evaluate_slopes
from test.density.networks import tiny_network


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder: Path = tmp_path_factory.mktemp("weights")
    weights = save_network(folder / "tiny.safetensors", tiny_network(), {})
    return Pipeline(PipelineSettings(str(weights), "cpu", mode="kdbts"))


@pytest.fixture(scope="module")
def street(pipeline: Pipeline) -> _Street:
    return _Street.of(2_000_000_000, Hill(8.0, 60.0, 0.1), pipeline)


def measures(street: _Street, cells: np.ndarray) -> dict[str, float]:
    sums = street.counts(cells.astype(np.int8))[None]
    return FrameTable((), np.zeros((1, 0)), sums, _measures).measures()


def test_the_true_map_has_no_false_obstacle(street: _Street) -> None:
    found = measures(street, np.where(street.occupied, OCCUPIED, FREE))
    assert found["false"] == found["lane"] == 0
    assert found["IoU"] == found["found"] == 1


def test_a_map_of_obstacles_alone_is_all_false(street: _Street) -> None:
    found = measures(street, np.full(street.occupied.shape, OCCUPIED))
    assert found["false"] == found["lane"] == found["found"] == 1
    share = (street.occupied & street.inside).sum() / street.inside.sum()
    assert found["IoU"] == pytest.approx(share)


def test_what_is_unknown_is_neither_false_nor_found(street: _Street) -> None:
    found = measures(street, np.full(street.occupied.shape, UNKNOWN))
    assert found["false"] == found["found"] == found["IoU"] == 0


def test_a_cell_beside_a_thing_is_not_false(street: _Street) -> None:
    beside = np.zeros_like(street.occupied)
    beside[1:] |= street.occupied[:-1]
    beside[:-1] |= street.occupied[1:]
    cells = np.where(beside | street.occupied, OCCUPIED, FREE)
    assert measures(street, cells)["false"] == 0
    assert measures(street, cells)["IoU"] < 1


def test_things_are_told_above_the_street_as_it_rises(pipeline: Pipeline) -> None:
    level, up = (_Street.of(2_000_000_000, Hill(8, 60, k), pipeline) for k in (0.0, 0.1))
    agree = (level.occupied & up.occupied).sum() / (level.occupied | up.occupied).sum()
    assert agree > 0.9, "the same street, not a wall where it begins to rise"


def test_each_ground_is_mapped_with_each_band(pipeline: Pipeline) -> None:
    before = pipeline.settings
    found = evaluate_slopes(pipeline, [2_000_000_000, 2_000_000_001], 0.1)
    assert list(found.tables) == [f"{g}, {b}" for g in ("level", "up", "down") for b in BANDS]
    for table in found.tables.values():
        assert table.measures()["frames"] == 2
        low, high = table.intervals()["false"]
        assert 0 <= low <= table.measures()["false"] <= high <= 1
    assert [name for name, _ in found.pictures] == ["level", "up", "down"]
    assert pipeline.settings == before


@pytest.mark.parametrize("slope", [0.0, -0.1, STEEPEST + 0.01, float("nan")])
def test_a_slope_that_is_none_is_refused(pipeline: Pipeline, slope: float) -> None:
    with pytest.raises(UserError, match="a slope must be above 0 and at most"):
        evaluate_slopes(pipeline, [1], slope)
