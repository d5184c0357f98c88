"""What a published map says of footprints: never anything else than the map, and untorn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.footprint_queries import MapSnapshot
from kdbts_ros.density.maps.grid import FREE, OCCUPIED, UNKNOWN, GridWindow, OccupancyMap
from kdbts_ros.density.maps.marks import MarkRules
from kdbts_ros.density.maps.rolling_map import AccumulationSettings
from kdbts_ros.density.pipeline import FrameResult, Pipeline, PipelineSettings
from kdbts_ros.density.places import outline
from kdbts_ros.density.queries import (
    MAYBE,
    NO,
    STATE_COMPLETED,
    STATE_OBSERVED,
    STATE_UNKNOWN,
    YES,
    Answers,
)
from kdbts_ros.density.settings import FrameStamp, Wanted
from test.density.networks import base_pose, tiny_network, view

WINDOW = GridWindow.around(6.0, 0.0, 12.0, 0.5)
MEANT = {UNKNOWN: MAYBE, FREE: NO, OCCUPIED: YES}
# Cells of the map below, by a place in each: occupied, completed, unknown, free.
BAD, HIDDEN, BLANK, CLEAR = (6.25, 0.25), (8.25, 0.25), (10.25, 0.25), (4.25, 0.25)


def cell(place: tuple[float, float]) -> tuple[int, int]:
    """Row and column."""
    return tuple(
        int((at - low) / WINDOW.resolution)
        for at, low in zip(place[::-1], (WINDOW.y0, WINDOW.x0), strict=True)
    )  # type: ignore[return-value]


def a_map() -> OccupancyMap:
    """Free and observed, but for three cells."""
    p = np.full((WINDOW.height, WINDOW.width), 0.05, np.float32)
    observed = np.ones(p.shape, bool)
    p[cell(BAD)], observed[cell(HIDDEN)], p[cell(BLANK)] = 0.9, False, np.nan
    return OccupancyMap(WINDOW, p, observed)


def snapshot(occupancy: OccupancyMap) -> MapSnapshot:
    return MapSnapshot(occupancy, occupancy.trinary(0.4), "discount")


def at(*places: tuple[float, float]) -> np.ndarray:
    """(N,7) poses that look along x."""
    return np.array([[x, y, 0, 0, 0, 0, 1] for x, y in places])


def assert_as_published(result: FrameResult) -> Answers:
    """A footprint in a cell means what `~/occupancy` has there."""
    x, y = (axis.ravel() for axis in np.meshgrid(*result.window.centres()))
    said = result.map_snapshot.footprints(at(*zip(x, y, strict=True)), outline((), 0.1))
    assert said.collision.tolist() == [MEANT[int(c)] for c in result.trinary.ravel()]
    np.testing.assert_array_equal(said.probability, result.occupancy.probability.ravel())
    known = np.isfinite(said.probability)
    observed = result.occupancy.observed.ravel()
    expected = np.where(observed, STATE_OBSERVED, STATE_COMPLETED)
    assert (said.state == np.where(known, expected, STATE_UNKNOWN)).all()
    return said


def test_a_footprint_is_as_bad_as_its_worst_cell() -> None:
    poses = at(BAD, HIDDEN, BLANK, CLEAR, (12.0, 0.25), (60.0, 0.25))
    said = snapshot(a_map()).footprints(poses, outline((), 0.4))
    assert said.collision.tolist() == [YES, NO, MAYBE, NO, MAYBE, MAYBE]
    assert said.state.tolist() == [
        *(STATE_OBSERVED, STATE_COMPLETED, STATE_UNKNOWN),
        *(STATE_OBSERVED, STATE_UNKNOWN, STATE_UNKNOWN),
    ]
    np.testing.assert_allclose(said.probability[:5], [0.9, 0.05, 0.05, 0.05, 0.05])
    assert np.isnan(said.probability[5])


def test_what_a_mark_holds_collides_and_a_speck_is_maybe() -> None:
    """Whatever the cells' probabilities say: what counts is what was published."""
    occupancy = a_map()
    trinary = occupancy.trinary(0.4)
    trinary[cell(CLEAR)], trinary[cell(BAD)] = OCCUPIED, UNKNOWN
    made = MapSnapshot(occupancy, trinary, "discount")
    said = made.footprints(at(CLEAR, BAD, HIDDEN), outline((), 0.1))
    assert said.collision.tolist() == [YES, MAYBE, NO]
    np.testing.assert_allclose(said.probability, [0.05, 0.9, 0.05])


def test_a_threshold_of_ones_own_looks_at_probabilities_alone() -> None:
    occupancy = a_map()
    made = replace(snapshot(occupancy), trinary=np.full(occupancy.observed.shape, OCCUPIED, "i1"))
    poses, shape = at(BAD, CLEAR, BLANK), outline((), 0.1)
    assert made.footprints(poses, shape).collision.tolist() == [YES, YES, YES]
    assert made.footprints(poses, shape, 0.05).collision.tolist() == [YES, YES, MAYBE]
    assert made.footprints(poses, shape, 0.95).collision.tolist() == [NO, NO, MAYBE]


def test_frames_move_footprints() -> None:
    made, T = snapshot(a_map()), base_pose(1.0, -0.5, 0.3)
    c, s = np.cos(0.15), np.sin(0.15)
    x, y = (T @ [4.0, 1.0, 0, 1])[:2]
    corners = outline([(1, 0.5), (-1, 0.5), (-1, -0.5), (1, -0.5)], 0.0)
    there = made.footprints(at((4.0, 1.0)), corners, T_world_frame=T)
    here = made.footprints([[x, y, 0, 0, 0, s, c]], corners)
    assert [part.tolist() for part in there] == [part.tolist() for part in here]


def test_nothing_asked_is_nothing_answered() -> None:
    said = snapshot(a_map()).footprints([], outline((), 1.0))
    assert [part.size for part in said] == [0, 0, 0]


@pytest.fixture(scope="module", params=["bts", "mvbts"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_network(path, tiny_network(request.param), {"licence": "none"})
    return str(path)


def a_pipeline(weights: str, **changes: Any) -> Pipeline:
    fixed = {"device": "cpu", "range_m": 7.0, "resolution": 0.5, "occupied_threshold": 0.9}
    return Pipeline(PipelineSettings(weights, completed_cells="keep", **{**fixed, **changes}))


def step(pipeline: Pipeline, index: int, x: float, yaw: float = 0.0) -> FrameResult:
    stamp = FrameStamp("front", 1_000_000_000 + 200_000_000 * index)
    seen = view(index, x=x, yaw=yaw)
    return pipeline.process(seen, base_pose(x, 0.0, yaw), Wanted(), stamp)


def test_footprints_are_those_of_the_published_map(weights: str) -> None:
    pipeline = a_pipeline(weights)
    said = [assert_as_published(step(pipeline, i, 0.5 * i)) for i in range(3)]
    assert len(set(np.concatenate([s.collision for s in said]))) == 3


def turned_round(pipeline: Pipeline) -> float:
    """Share of what collided before the robot turned round that collides afterwards."""
    before = assert_as_published(step(pipeline, 0, 0.0)).collision == YES
    after = assert_as_published(step(pipeline, 1, 0.0, yaw=np.pi)).collision == YES
    assert before.sum() > 10
    return float(after[before].mean())


def test_footprints_know_what_an_accumulated_map_remembers(weights: str) -> None:
    """What the robot saw has left the image, and still collides."""
    rules = AccumulationSettings(decay_s=60.0)
    single = {"mode": "kdbts"}
    assert turned_round(a_pipeline(weights, accumulate=True, accumulation=rules, **single)) > 0.9
    assert turned_round(a_pipeline(weights, **single)) < 0.1


def test_footprints_know_marks(weights: str) -> None:
    pipeline = a_pipeline(weights, marks=MarkRules(clearing=0.3, least_cells=2))
    results = [step(pipeline, i, 0.5 * i) for i in range(3)]
    for result in results:
        assert_as_published(result)
    plain = results[-1].occupancy.trinary(0.9, "keep")
    assert (plain != results[-1].trinary).any(), "marks or specks make a difference here"


def test_frames_that_follow_change_no_answer(weights: str) -> None:
    pipeline = a_pipeline(weights, accumulate=True, marks=MarkRules(clearing=0.3))
    first = step(pipeline, 0, 0.0)
    poses = at(*((x, y) for x in np.arange(-6.0, 6.0) for y in np.arange(-6.0, 6.0)))

    def ask() -> list[bytes]:
        return [part.tobytes() for part in first.map_snapshot.footprints(poses, outline((), 0.4))]

    expected = ask()
    for i in range(1, 4):
        step(pipeline, i, 0.5 * i)
        assert ask() == expected
    pipeline.forget()
    assert ask() == expected
