"""The band that follows, on drawn hills with shipped weights: fewer false obstacles on a rise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kdbts_ros.datasets.synthetic.hill import LEVEL, Hill
from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import Wanted

CAMERA = TrainingCamera().camera(320, 96)
BASE_CAM = mount((0.0, 0.0, TrainingCamera().height))
SEEDS = (2_000_000_000, 2_000_000_001, 2_000_000_002)
RISE = Hill(8.0, 60.0, 0.1)
MAP_ONLY = Wanted(depth=False, percent=False)


@lru_cache(1)
def pipelines() -> dict[str, Pipeline]:
    """By `follow_ground`; distances as seen, so that the band alone differs."""
    common = {"device": "cpu", "range_m": 20.0, "ground_anchor": "off"}
    return {
        follow: Pipeline(PipelineSettings(**common, follow_ground=follow))  # type: ignore[arg-type]
        for follow in ("off", "auto")
    }


def false_in_lane(hill: Hill, seed: int) -> dict[str, float]:
    """Share of the free cells 3 to 20 m ahead in the robot's lane that are called occupied."""
    world = StreetWorld.generate(seed, 60.0, 22.0, hill=hill)
    base = np.eye(4)
    base[1, 3] = world.lane_d
    image = render(world, CAMERA, base @ BASE_CAM).image
    shares = {}
    for follow, pipeline in pipelines().items():
        view = pipeline.view(image, Lens(CAMERA), base @ BASE_CAM, base)
        found = pipeline.process(view, base, MAP_ONLY)
        x, y = found.window.centres()
        rows, columns = np.abs(y - world.lane_d) < 1.2, (x > 3) & (x < 20)
        free = ~column_truth(world, x[columns], y[rows], 0.3, 2.0, 0.25)
        occupied = found.trinary[np.ix_(rows, columns)] == 100
        shares[follow] = float((occupied & free).sum() / free.sum())
    return shares


def test_false_obstacles_on_a_rise_become_fewer_and_level_streets_stay_as_they_are() -> None:
    rises = [false_in_lane(RISE, seed) for seed in SEEDS]
    told, followed = (float(np.mean([r[k] for r in rises])) for k in ("off", "auto"))
    assert told > 0.01, "z = 0 of the base puts a rise into the band"
    assert followed < 0.6 * told
    level = false_in_lane(LEVEL, SEEDS[0])
    assert level["auto"] == level["off"] < 0.01
