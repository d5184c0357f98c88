"""Maps of one image completed by a head: what is changed, what is not, and what it is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kdbts_ros.density.birds_eye_map import map_around, map_together
from kdbts_ros.density.engines.encoded_view import project_world
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.map_head import (
    EVERY,
    LOG_ODDS,
    UNKNOWN_ODDS,
    MapHead,
    gathered,
    inputs_of,
    lattice_before,
    log_odds,
    unknown_as,
)
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, MapArea
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from test.density.engines.test_shared_hidden import scene as two_heads
from test.density.networks import base_pose, camera, forward_pose, tiny_scene, view

BAND = HeightBand(0.2, 2.0, 0.3)
CPU = torch.device("cpu")


def spec_for(scene, **changes) -> MapHeadSpec:
    channels = len(scene.feature_map(scene.encode(view())))
    usual = MapHeadSpec(channels, 0.4, (0.0, 1.0), 64, (8, 8, 8, 8), 4, 8)
    return replace(usual, **changes)


def head_that_adds(scene, odds: float, **changes) -> MapHead:
    network = MapHeadNetwork(spec_for(scene, **changes))
    torch.nn.init.constant_(network.out.bias, odds)
    return MapHead(network, CPU)


def placed(x: float = 0.0, y: float = 0.0, yaw: float = 0.0):
    """A scene that looks at an image from there, and the area of its map."""
    scene = tiny_scene()
    scene.set_views([View(view().image, camera(), forward_pose(x, y, yaw))])
    window = GridWindow.around(x, y, 40.0, 0.4)
    return scene, MapArea(base_pose(x, y, yaw), window, BAND)


def test_untrained_a_head_changes_no_map():
    scene, area = placed()
    before = map_around(scene, *area)
    with scene.map_heads.instead(scene.head_of(1), head_that_adds(scene, 0.0)):
        after = map_around(scene, *area)
    known = np.isfinite(before.probability)
    assert (known == np.isfinite(after.probability)).all()
    assert (before.observed == after.observed).all()
    assert after.probability[known] == pytest.approx(before.probability[known], abs=2e-4)


def test_log_odds_change_within_the_lattice_and_nothing_becomes_known():
    scene, area = placed()
    before = map_around(scene, *area)
    with scene.map_heads.instead(scene.head_of(1), head_that_adds(scene, 1.0, cells=32)):
        after = map_around(scene, *area)
    known = np.isfinite(before.probability)
    assert (known == np.isfinite(after.probability)).all()
    change = log_odds(after.probability) - log_odds(before.probability)
    x, y = np.meshgrid(*area.window.centres())
    within = known & (x > 1) & (x < 9) & (np.abs(y) < 3.5)
    beyond = known & (x > 14)
    unsaturated = (before.probability > 0.01) & (before.probability < 0.99)
    assert change[within & unsaturated] == pytest.approx(1.0, abs=1e-3)
    assert change[beyond & unsaturated] == pytest.approx(0.0, abs=1e-3)


def test_the_threshold_is_the_head_s_and_the_curves_where_it_is_not_used():
    scene, _ = placed()
    usual = scene.occupied_from(1)
    with scene.map_heads.instead(scene.head_of(1), head_that_adds(scene, 0.0, occupied_from=0.17)):
        assert scene.occupied_from(1) == 0.17
        assert scene.columns_from(1) == usual
        scene.map_heads.used = False
        assert scene.occupied_from(1) == usual


@pytest.mark.parametrize("views", [1, 2])
def test_maps_of_one_view_and_of_several_have_heads_of_their_own(views: int):
    scene = two_heads()
    posed = [View(view().image, camera(), forward_pose(-x, 0.0)) for x in range(views)]
    area = MapArea(base_pose(), GridWindow.around(0.0, 0.0, 40.0, 0.4), BAND)
    scene.set_views(posed)
    before, usual = map_around(scene, *area), scene.occupied_from(views)
    changes = {}
    for count in (1, 2):
        head = head_that_adds(scene, 1.0, occupied_from=0.17)
        with scene.map_heads.instead(scene.head_of(count), head):
            after = map_around(scene, *area)
            assert scene.occupied_from(views) == (0.17 if count == views else usual)
            assert scene.columns_from(views) == usual
        known = np.isfinite(before.probability)
        assert known.any() and (known == np.isfinite(after.probability)).all()
        assert (before.observed == after.observed).all()
        between = (before.probability[known] > 0.01) & (before.probability[known] < 0.9)
        odds = log_odds(after.probability[known]) - log_odds(before.probability[known])
        changes[count] = float(np.max(odds[between], initial=0.0))
    assert changes.pop(views) == pytest.approx(1.0, abs=1e-3)
    assert changes.popitem()[1] == 0.0


def test_features_are_those_where_the_cells_lie_in_the_image():
    scene, area = placed(3.0, -2.0, 0.7)
    spec, posed = spec_for(scene), scene.views[0]
    lattice, feature_map = lattice_before(spec, posed, area.T_fixed_base), scene.feature_map(posed)
    found = gathered(spec, lattice, posed, feature_map)
    points = lattice.points(spec.heights, EVERY)
    level, row, column = 1, 17, 20
    point = points[level, row, column]
    shown = project_world([posed], point[None])
    assert shown.seen.all()
    expected = F.grid_sample(
        feature_map[None], shown.uv.reshape(1, 1, 1, 2), align_corners=False
    ).flatten()
    channels = len(feature_map)
    theirs = found[level * channels : (level + 1) * channels, row, column]
    assert torch.allclose(theirs, expected, atol=1e-5)


def test_a_turned_and_moved_robot_shows_the_head_the_same():
    def planes(x: float, y: float, yaw: float) -> np.ndarray:
        scene, area = placed(x, y, yaw)
        spec, posed = spec_for(scene), scene.views[0]
        lattice = lattice_before(spec, posed, area.T_fixed_base)
        found = map_together(scene, *area)
        shown = inputs_of(spec, lattice, found, posed, scene.feature_map(posed), BAND)
        return shown.planes.numpy()

    straight, quarter = planes(0.0, 0.0, 0.0), planes(8.0, -4.0, np.pi / 2)
    known = (straight[2] > 0) & (quarter[2] > 0)
    assert known.sum() > 300
    assert ((straight[2] > 0) == (quarter[2] > 0)).mean() > 0.97
    apart = np.abs(straight[0] - quarter[0])[known]
    assert np.median(apart) < 0.02 and np.quantile(apart, 0.95) < 0.3


def test_what_nobody_knows_has_the_odds_of_the_unknown():
    scene, area = placed()
    spec, posed = spec_for(scene), scene.views[0]
    lattice = lattice_before(spec, posed, area.T_fixed_base)
    found = map_together(scene, *area)
    shown = inputs_of(spec, lattice, found, posed, scene.feature_map(posed), BAND).planes
    unknown = shown[2] == 0
    assert unknown.any() and not unknown.all()
    assert (shown[0][unknown] == UNKNOWN_ODDS / LOG_ODDS).all()
    assert not shown[1][unknown].any()
    kept = torch.zeros(shown.shape[1:], dtype=torch.bool)
    kept[:, :20] = True
    cut = unknown_as(shown, kept)
    assert (cut[0][:, 20:] == UNKNOWN_ODDS / LOG_ODDS).all() and not cut[1:3, :, 20:].any()
    assert torch.equal(cut[:, :, :20], shown[:, :, :20])
    assert torch.equal(cut[3:], shown[3:])


def test_views_of_other_scales_are_left_as_they_are():
    scene, area = placed()
    posed = scene.views[0]
    found = map_together(scene, *area)
    head = head_that_adds(scene, 1.0, scales=(0.5, 2.0))
    for scale, served in ((0.4, False), (0.6, True), (1.9, True), (2.1, False)):
        shown = replace(posed, scale=scale)
        after = head.completed(found, shown, scene.feature_map(posed), area)
        assert (after is not found) == served == head.serves(scale)
    usual = scene.occupied_from(1)
    with scene.map_heads.instead(scene.head_of(1), head_that_adds(scene, 0, occupied_from=0.17)):
        assert (scene.occupied_from(1, 1.2), scene.occupied_from(1, 3.0)) == (0.17, usual)


@pytest.mark.parametrize("used", ["auto", "off"])
def test_the_pipeline_completes_maps_of_one_image_and_does_not_where_told(used):
    pipeline = Pipeline(PipelineSettings("kdbts", "cpu", map_head="off"))
    scene = pipeline.scene
    plain = view()
    image = np.zeros((192, 640, 3), np.uint8)
    shown = View(image, plain.camera.resized(640, 192), plain.T_world_cam)
    before = pipeline.process(shown, np.eye(4)).occupancy.probability
    with scene.map_heads.instead(scene.head_of(1), head_that_adds(scene, 2.0)):
        pipeline.update(replace(pipeline.settings, map_head=used))
        after = pipeline.process(shown, np.eye(4)).occupancy.probability
    assert np.array_equal(before, after, equal_nan=True) == (used == "off")
