"""What the newest image observes is on the map, whatever earlier views say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density import pipeline as pipelines
from kdbts_ros.density.birds_eye_map import (
    MOVED_WITHIN,
    map_alone,
    map_around,
    map_together,
    no_less_than,
)
from kdbts_ros.density.engines.plain_torch import PlainTorch
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, OccupancyMap
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules
from test.density.engines.test_shared_hidden import scene as two_heads
from test.density.networks import base_pose, tiny_scene, view

WINDOW = GridWindow(0.25, 40, 40, 0.0, 0.0)
FROM = 0.4
SECOND = 1_000_000_000


def some_map(seed: int) -> OccupancyMap:
    rng = np.random.default_rng(seed)
    probability = rng.random((40, 40), np.float32)
    probability[rng.random(probability.shape) < 0.3] = np.nan
    return OccupancyMap(
        WINDOW, probability, np.isfinite(probability) & (rng.random((40, 40)) < 0.3)
    )


def flat(probability: float, observed: bool) -> OccupancyMap:
    shape = WINDOW.height, WINDOW.width
    return OccupancyMap(
        WINDOW, np.full(shape, probability, np.float32), np.full(shape, observed, np.bool_)
    )


@given(st.integers(0, 10_000))
def test_no_less_than_the_newest_observed_and_no_less_than_all_say(seed: int) -> None:
    newest, together = some_map(seed), some_map(seed + 1)
    found = no_less_than(newest, together, FROM)
    told = newest.observed
    assert (found.probability[told] >= newest.probability[told]).all()
    assert found.observed[told].all()
    known = np.isfinite(together.probability)
    assert (found.probability[known] >= together.probability[known]).all()
    either = np.fmax(newest.probability, together.probability)
    assert (np.isnan(found.probability) | (found.probability == either) | ~told)[known].all()
    # What the newest does not know at all, it does not change.
    silent = np.isnan(newest.probability)
    np.testing.assert_array_equal(found.probability[silent], together.probability[silent])


@pytest.mark.parametrize("said", [0.02, 0.9])
def test_of_what_has_come_the_body_is_believed_as_well(said: float) -> None:
    """Its face, seen by the newest alone, is occupied, and what is said of its body counts within
    `MOVED_WITHIN`; where all views know the face, they say what is behind it."""
    newest = flat(0.7, False)
    newest.probability[20, 20], newest.observed[20, 20] = 0.8, True
    together = flat(0.1, True)
    together.probability[20, 20] = said
    found = no_less_than(newest, together, FROM)
    x, y = WINDOW.centres()
    away = np.hypot(x - x[20], (y - y[20])[:, None])
    if said >= FROM:
        expected = np.where(away == 0, np.float32(0.9), np.float32(0.1))
        np.testing.assert_array_equal(found.probability, expected)
        return
    assert found.probability[20, 20] == np.float32(0.8)
    near = (away < MOVED_WITHIN - 0.2) & (away > 0)
    assert near.sum() > 60
    assert (found.probability[near] == np.float32(0.7)).all()
    assert (found.probability[away > MOVED_WITHIN + 0.2] == np.float32(0.1)).all()


def of_two_views(made: SceneCompleter) -> SceneCompleter:
    made.set_views([view(0), view(1, x=0.5)])
    return made


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("student", [True, False])
def test_every_engine_keeps_to_it(student: bool, compiled: bool) -> None:
    made = two_heads() if student else tiny_scene("mvbts")
    if not compiled:
        made.engine = PlainTorch(made.field, "float32")
    scene = of_two_views(made)
    asked = base_pose(), GridWindow.around(6.0, 0.0, 12, 0.25), HeightBand()
    alone, together = map_alone(scene, *asked), map_together(scene, *asked)
    found = map_around(scene, *asked)
    told = alone.observed
    assert told.sum() > 10
    assert (together.probability[told] < alone.probability[told]).any(), "nothing to keep to"
    assert (found.probability[told] >= alone.probability[told]).all()
    scene.use(scene.views[:1])
    np.testing.assert_allclose(map_around(scene, *asked).probability, alone.probability, rtol=1e-4)


def test_no_head_is_overruled_by_the_threshold_of_the_other() -> None:
    scene = two_heads()
    scene._curves = {
        "mvbts": ProbabilityCurves(Curve(1.0, 1.0), None, 0.5),
        "kdbts": ProbabilityCurves(Curve(1.0, 1.0), None, 0.2),
    }
    assert (scene.occupied_from(1), scene.occupied_from(4)) == (0.2, 0.2)
    scene._curves["kdbts"] = replace(scene._curves["kdbts"], occupied_from=0.6)
    assert (scene.occupied_from(1), scene.occupied_from(4)) == (0.6, 0.5)


@pytest.mark.parametrize("accumulate", [False, True])
def test_published_maps_keep_to_it(accumulate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.SceneCompleter, "load", lambda *_: two_heads())
    rules = BufferRules(min_overlap=0.0)
    settings = PipelineSettings(
        range_m=6.0, resolution=0.5, mode="mvbts", views=rules, accumulate=accumulate,
        occupied_threshold=0.5,
    )  # fmt: skip
    pipeline = Pipeline(settings)
    erased = 0
    for i in range(4):
        posed, base = view(i, x=2.0 * i), base_pose(2.0 * i)
        found = pipeline.process(
            posed, base, Wanted(depth=False), FrameStamp("a", (100 + i) * SECOND)
        )
        assert found.views.used == i + 1
        scene = pipeline.scene
        asked = base, found.window, settings.band
        alone, together = map_alone(scene, *asked), map_together(scene, *asked)
        told = alone.observed & (alone.probability >= 0.5)
        assert told.any() and (found.trinary[told] == 100).all()
        assert (found.percent[told] >= 50).all()
        erased += int((told & (together.probability < 0.5)).sum())
    assert erased > 0, "nothing to keep to"
