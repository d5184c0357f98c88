"""Streets that the usual one is not, and the usual one as it always was."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.kinds import STREETS, kind_of
from kdbts_ros.datasets.synthetic.training import TrainingFrame, training_views
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.datasets.synthetic.world import StreetWorld

KINDS = [kind for kind in STREETS if kind != "usual"]
SEEDS = range(600, 606)


def frame(kind: str, seed: int) -> TrainingFrame:
    return training_views(seed, 0, 160, 64, streets={kind: 1.0})[0]


def test_usual_streets_are_the_same_whatever_the_shares() -> None:
    shares = dict.fromkeys(KINDS, 0.15)
    kinds = [kind_of(seed, shares) for seed in range(400)]
    assert {kind: kinds.count(kind) / 400 for kind in KINDS} == pytest.approx(shares, abs=0.05)
    usual = kinds.index("usual")
    assert StreetWorld.generate(usual, streets=shares).digest() == (
        StreetWorld.generate(usual).digest()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_make_equal_streets_and_kinds_differ(kind: str) -> None:
    first, again = (StreetWorld.generate(7, streets={kind: 1.0}).digest() for _ in range(2))
    assert first == again != StreetWorld.generate(7).digest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_stands_in_nothing_and_its_lane_is_free(kind: str) -> None:
    for seed in SEEDS:
        world = StreetWorld.generate(seed, streets={kind: 1.0})
        along = np.arange(-10.0, min(4.0, world.clear_m), 0.5)
        places = [gr.street_to_world(world.ground, x, world.lane_d)[:2] for x in along]
        points = [(x, y, z) for x, y in places for z in (0.6, 1.65, 2.75)]
        assert not occupied(world, points).any(), seed


def test_lanes_are_narrow_and_walls_are_near() -> None:
    for seed in SEEDS:
        world = StreetWorld.generate(seed, streets={"narrow": 1.0})
        assert 3.0 <= world.ground[gr.LEFT] + world.ground[gr.RIGHT] <= 4.5
    sides = [np.sort(frame("narrow", seed).depth[30].ravel())[:40].mean() for seed in SEEDS]
    assert np.median(sides) < 6


def test_verges_have_no_kerbs() -> None:
    for seed in SEEDS:
        ground = StreetWorld.generate(seed, streets={"verge": 1.0}).ground
        assert ground[gr.KERB] == 0 and ground[gr.PAVEMENT_LEFT] == 0


def test_a_junction_closes_the_view() -> None:
    """Straight on at the horizon there is a house, no further than the street across."""
    ahead = [frame("junction", seed).depth[28:30, 75:85].max() for seed in SEEDS]
    assert max(ahead) < 70 and np.median(ahead) < 50


def test_near_streets_are_usual_ones_with_things_before_the_camera() -> None:
    for seed in SEEDS:
        near, usual = (frame(kind, seed).depth for kind in ("near", "usual"))
        added = near < usual - 0.1
        assert (near <= usual + 1e-3).mean() > 0.99
        assert (added & (near < 8)).mean() > 0.1


def test_further_views_of_a_near_street_stay_before_what_stands_in_the_lane() -> None:
    shut = next(
        seed for seed in range(40)
        if StreetWorld.generate(seed, streets={"near": 1.0}).clear_m < 2.0
    )  # fmt: skip
    reference, others = training_views(shut, 8, 64, 64, streets={"near": 1.0})
    clear = reference.world.clear_m
    assert all(view.T_world_cam[0, 3] < clear + 1.0 for view in others)
