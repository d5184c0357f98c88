"""What scans know of columns, on scenes whose truth is known, and maps judged by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.columns import Box
from kdbts_ros.evaluation.lidar import Scan, spun_scan
from kdbts_ros.evaluation.lidar_columns import Evidence, column_evidence, together
from kdbts_ros.evaluation.occupancy_report import judged_columns, visible_findings
from kdbts_ros.evaluation.samples import synthetic_samples
from kdbts_ros.evaluation.visible import (
    VisibleEvaluation,
    visible_measures,
    visible_table,
)
from test.density.networks import tiny_scene
from test.evaluation.fake_lidar import Block, moved, overlap, scan_of, turned

BAND = HeightBand(0.3, 2.0, 0.25)
WINDOW = GridWindow(0.2, 90, 90, 3.0, -9.0)
HALF = WINDOW.resolution / 2
BASE = np.eye(4)

blocks = st.builds(
    Block,
    x=st.floats(4.0, 15.0),
    y=st.floats(-8.0, 6.0),
    length=st.floats(0.4, 4.0),
    width=st.floats(0.4, 3.0),
    height=st.floats(0.6, 4.0),
)
scenes = st.lists(blocks, min_size=0, max_size=4)


def known(scene: list[Block], x: float = 0.0, y: float = 0.0) -> Evidence:
    return column_evidence(scan_of(scene, x, y), BASE, WINDOW, BAND)


@settings(max_examples=12, deadline=None)
@given(scenes)
def test_occupied_columns_hold_something_and_free_ones_nothing(scene):
    found = known(scene)
    assert not (found.occupied & found.free).any()
    x, y = WINDOW.centres()
    # A hair more and less than a cell: returns lie on the very faces.
    assert (overlap(scene, x, y, HALF + 1e-6) | ~found.occupied).all()
    # Beams may pass along a thing within a cell, but through none that it fills.
    assert not (found.free & overlap(scene, x, y, 1e-6 - HALF)).any()


def test_an_empty_street_is_free_and_nothing_is_known_of_what_a_wall_hides():
    assert known([]).free[:, :80].mean() > 0.95
    wall = Block(10.0, -4.0, 0.5, 8.0, 3.0)
    found = known([wall])
    x, y = WINDOW.centres()
    behind = (x > 11)[None] & (np.abs(y)[:, None] < 4.0)
    assert not found.known[behind].any()
    face = (np.abs(x - 10.0) < 0.2)[None] & (np.abs(y)[:, None] < 3.8)
    assert found.occupied[face].sum() > 30
    before = ((x > 4) & (x < 9.5))[None] & (np.abs(y)[:, None] < 3)
    assert found.free[before].all()


def test_a_column_whose_low_part_is_hidden_is_not_free():
    """Beams pass above a low wall, and whatever stands behind it may be as low."""
    low_wall = Block(8.0, -4.0, 0.3, 8.0, 1.1)
    x, y = WINDOW.centres()
    behind = ((x > 8.6) & (x < 10.5))[None] & (np.abs(y)[:, None] < 3)
    assert not known([low_wall]).known[behind].any()
    hidden = Block(9.0, -1.0, 1.0, 2.0, 0.7)
    assert not known([low_wall, hidden]).free[behind].any()


@settings(max_examples=6, deadline=None)
@given(scenes, st.integers(-40, 40), st.integers(-40, 40))
def test_where_the_world_has_its_origin_changes_nothing(scene, right, up):
    """Turned by quarters, because cells are aligned with the world."""
    scan, x, y = scan_of(scene), right * 0.2, up * 0.2
    T = turned(0.0, x, y)
    shifted = GridWindow(0.2, 90, 90, WINDOW.x0 + x, WINDOW.y0 + y)
    here, there = known(scene), column_evidence(moved(scan, T), T, shifted, BAND)
    # Cell edges and rounding: a return on a face may change sides.
    assert (here.occupied != there.occupied).mean() < 2e-3
    assert (here.free != there.free).mean() < 2e-3
    quarter = turned(np.pi / 2, 0.0, 0.0)
    sideways = GridWindow(0.2, 90, 90, -9.0, 3.0)
    turned_by = column_evidence(moved(scan, quarter), quarter, sideways, BAND)
    assert (here.free != turned_by.free.T[::-1]).mean() < 2e-3


def test_a_tilted_base_carries_its_ground_along():
    """A hill that the robot stands on as well is no obstacle."""
    tilt = np.eye(4)
    c, s = np.cos(0.1), np.sin(0.1)
    tilt[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    scan = scan_of([])
    assert not column_evidence(moved(scan, tilt), tilt, WINDOW, BAND).occupied.any()
    assert column_evidence(
        moved(scan, tilt), BASE, WINDOW, HeightBand(-2.0, -0.3, 0.25)
    ).occupied.any()
    tilt[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    with pytest.raises(UserError, match="side"):
        column_evidence(scan, tilt, WINDOW, BAND)


def test_scans_from_elsewhere_look_behind_and_one_that_denies_silences():
    wall = [Block(10.0, -4.0, 0.5, 8.0, 3.0)]
    own, other = known(wall), known(wall, 10.6, 0.0)
    both = together([own, other])
    x, y = WINDOW.centres()
    behind = ((x > 14.5) & (x < 18))[None] & (np.abs(y)[:, None] < 2)
    assert both.free[behind].mean() > 0.9 and not both.own[behind].any()
    assert not both.disputed[behind].any()
    # A car that drove off between two scans.
    car = [Block(8.0, -1.0, 2.0, 2.0, 1.5)]
    verdict = together([known(car), known([])])
    face = (np.abs(x - 8.0) < 0.2)[None] & (np.abs(y)[:, None] < 0.8)
    assert verdict.disputed[face].any()
    assert not (verdict.disputed & (verdict.occupied | verdict.free)).any()
    assert not verdict.occupied[face & verdict.disputed].any()


def test_a_single_return_is_no_obstacle():
    scan = Scan(np.array([[10.0, 0.1, -0.7]]), scan_of([]).T_world_velo)
    found = column_evidence(scan, BASE, WINDOW, BAND)
    assert not found.known.any()
    again = Scan(np.repeat(scan.xyz, 2, 0), scan.T_world_velo)
    assert column_evidence(again, BASE, WINDOW, BAND).occupied.sum() == 1


@pytest.mark.parametrize("seed", [2_000_000_001, 2_000_000_007])
def test_scans_spun_in_a_street_say_what_its_exact_truth_says(seed):
    drive = StreetDrive(seed, frames=1)
    base = drive.T_world_base(0)
    window = Box().window(base, 0.2)
    found = column_evidence(spun_scan(drive.world, base), base, window, BAND)
    truth = column_truth(drive.world, *window.centres(), BAND.low, BAND.high)
    near = np.zeros_like(truth)
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            near |= np.roll(truth, (rows, columns), (0, 1))
    # What is thinner than a cell may miss its centre, where the exact truth asks.
    assert near[found.occupied].mean() > 0.95
    # Crowns hang into the upper part of the band, which few beams cross.
    low = column_truth(drive.world, *window.centres(), BAND.low, 1.2)
    assert low[found.free].mean() < 0.003
    assert truth[found.free].mean() < 0.03
    assert found.known.mean() > 0.3


def test_measures_by_hand():
    own = np.array([[50, 4], [6, 20]])
    others = np.array([[10, 2], [3, 5]])
    found = visible_measures(np.stack([others, own]).reshape(-1).astype(float))
    assert found["occ_prec"] == pytest.approx(25 / 34)
    assert found["occ_rec"] == pytest.approx(25 / 31)
    assert found["occ_iou"] == pytest.approx(25 / 40)
    assert found["free_prec"] == pytest.approx(60 / 66)
    assert found["free_rec"] == pytest.approx(60 / 69)
    assert found["free_iou"] == pytest.approx(60 / 75)
    assert found["hidden_occ_iou"] == pytest.approx(5 / 10)
    assert found["hidden_free_iou"] == pytest.approx(10 / 15)


@pytest.fixture(scope="module")
def judged() -> VisibleEvaluation:
    evaluation = VisibleEvaluation({"bts": tiny_scene("bts"), "kdbts": tiny_scene("kdbts", seed=2)})
    for sample in synthetic_samples(2, around=2):
        assert len(sample.around) == 3 and not sample.scans
        evaluation.add(sample)
    return evaluation


def test_all_methods_are_judged_on_the_same_columns(judged):
    assert {"bts", "kdbts", "visible surface", "depth + 4 m", "all free"} == set(judged.counts)
    for frames in zip(*judged.counts.values(), strict=True):
        assert len({tuple(frame.sum((0, 1))) for frame in frames}) == 1
    columns = judged_columns(judged)
    assert columns["free"] > columns["occupied"] > 0 < columns["hidden_free"]
    free = visible_table(judged.counts["all free"]).measures()
    assert free["occ_rec"] == 0 and free["free_rec"] == 1
    assert free["free_prec"] == free["free_iou"]


def test_findings_have_intervals_and_the_difference(judged):
    found = visible_findings(judged, ["bts", "kdbts"])
    told = found.as_json()
    assert set(told["intervals"]) >= {"occ_iou", "free_iou", "hidden_free_iou"}
    assert told["compare"]["difference"].keys() == told["intervals"].keys()
    assert told["columns"]["disputed"] == sum(judged.disputed)


def test_a_method_that_says_what_scans_say_is_perfect(judged):
    true = judged.counts["all free"][0].sum((0, 1))
    assert (true > 0).all()
    perfect = np.stack([np.diag(true)] * 2).reshape(-1).astype(float)
    assert set(visible_measures(perfect).values()) == {1.0}
