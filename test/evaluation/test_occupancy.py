"""The compared columns of an exact world, the baselines, the views, and a whole evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.baselines import averaging_scene, surface_columns
from kdbts_ros.evaluation.columns import Box, columns_of
from kdbts_ros.evaluation.corrected import CorrectedEvaluation
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancySettings
from kdbts_ros.evaluation.reference import ReferenceEvaluation, ReferenceSettings, level_frame
from kdbts_ros.evaluation.samples import (
    HELD_OUT_SEED,
    RecordedSamples,
    Sample,
    prefetched,
    synthetic_samples,
)
from kdbts_ros.evaluation.scores import frame_measures, frame_table, score
from kdbts_ros.evaluation.views import ViewChoice
from test.density.networks import base_pose, camera, forward_pose, tiny_scene, view

BAND = HeightBand()


@pytest.fixture(scope="module")
def sample():
    (found,) = synthetic_samples(1, choice=ViewChoice(stereo=True, temporal=1), scans=2)
    return found


def test_the_true_map_of_a_world_is_perfect(sample):
    columns = columns_of(sample, BAND, Box(), 0.5)
    truth = column_truth(sample.world, *columns.window.centres(), BAND.low, BAND.high)
    probability = truth[columns.compared].astype(np.float32)
    frame = score(sample.name, columns.truth, probability, 0.5)
    found = frame_measures(frame)
    assert {v for v in found.values() if np.isfinite(v)} == {1.0}
    assert found["O_acc"] == found["IE_acc"] == 1.0
    assert frame_table([frame]).measures()["iou"] == 1.0
    assert columns.truth.visible.any() and not columns.truth.visible.all()
    assert set(np.unique(columns.on_grid(columns.truth.occupied))) == {-1, 0, 100}
    assert columns.truth.distance.min() >= 3 and columns.truth.distance.max() < np.hypot(20.5, 9.5)


def test_true_depth_finds_what_is_visible_and_never_what_is_free(sample):
    columns = columns_of(sample, BAND, Box(), 0.2)
    shot = (sample.depth, sample.view.camera, sample.view.T_world_cam, columns.points)
    thin, thick = surface_columns(*shot, 0.2), surface_columns(*shot, 4.0)
    assert (thick >= thin).all()
    surface = frame_measures(score("thin", columns.truth, thin, 0.5))
    extruded = frame_measures(score("thick", columns.truth, thick, 0.5))
    assert surface["O_prec"] > 0.8
    assert extruded["O_rec"] > 0.8 > surface["O_rec"]


def test_a_wall_of_depth_fills_as_many_metres_as_it_is_thick():
    flat = np.full((64, 128), 10.0, np.float32)
    x = np.arange(5.0, 20.0, 0.5)
    points = np.stack([x, np.zeros_like(x), np.full_like(x, 1.6)], -1)[None]
    solid = surface_columns(flat, camera(), forward_pose(), points, 4.0)
    assert np.array_equal(solid > 0, (x >= 10) & (x < 14))
    assert not surface_columns(np.zeros_like(flat), camera(), forward_pose(), points, 4.0).any()


def test_view_averaging_weighs_views_alike():
    scene = tiny_scene("mvbts")
    averaging = averaging_scene(scene)
    points = np.array([[8.0, 0.5, 1.0], [12.0, -1.0, 1.5]])
    twice = [view(0), view(0)]
    for one in (scene, averaging):
        one.set_views(twice)
    # Equal views leave nothing to weigh; different ones do.
    np.testing.assert_allclose(scene.density(points)[0], averaging.density(points)[0], rtol=1e-4)
    for one in (scene, averaging):
        one.set_views([view(0), view(1, x=0.5)])
    assert not np.allclose(scene.density(points)[0], averaging.density(points)[0], rtol=1e-3)
    with pytest.raises(UserError, match="multi-view"):
        averaging_scene(tiny_scene("bts"))


def test_views_are_stereo_and_the_past(sample):
    left, right, earlier = (v.T_world_cam for v in sample.views)
    assert np.linalg.norm(right[:3, 3] - left[:3, 3]) == pytest.approx(0.54)
    to_past = np.linalg.inv(left) @ earlier
    assert to_past[2, 3] == pytest.approx(-1.6, abs=0.02)
    assert len({v.image.tobytes() for v in sample.views}) == 3


def test_further_views_leave_the_moment_as_it_is():
    (alone,) = synthetic_samples(1)
    (many,) = synthetic_samples(1, choice=ViewChoice(stereo=True, temporal=1))
    assert np.array_equal(alone.view.image, many.view.image)
    assert alone.world.digest() == many.world.digest()
    assert alone.world.digest() == StreetDrive(HELD_OUT_SEED, frames=1).world.digest()


def test_view_names():
    assert ViewChoice.parse("left") == ViewChoice.parse("") == ViewChoice()
    assert ViewChoice.parse("stereo, temporal:3") == ViewChoice(True, 3)
    assert str(ViewChoice.parse("temporal")) == "left,temporal:2"
    for wrong in ("right", "temporal:0", "temporal:x", "stereo:2"):
        with pytest.raises(UserError, match="views"):
            ViewChoice.parse(wrong)


def test_an_evaluation_compares_all_methods_on_the_same_columns(sample):
    scenes = {"mvbts": tiny_scene("mvbts"), "bts": tiny_scene("bts", seed=1)}
    gallery = Gallery(1)
    evaluation = OccupancyEvaluation(scenes, OccupancySettings(), gallery)
    scores = evaluation.run([sample])
    assert next(iter(scores.methods)) == "mvbts"
    assert {"bts", "view averaging", "depth + 4 m", "true depth + 4 m"} <= set(scores.methods)
    assert len({frames[0].confusion.sum() for frames in scores.methods.values()}) == 1
    truly = {int(f[0].confusion[..., 1].sum()) for f in scores.methods.values()}
    assert len(truly) == 1
    assert "mvbts" not in scores.certain and "depth + 4 m" in scores.certain
    ((name, picture),) = gallery.pictures()
    assert name == sample.name and picture.ndim == 3


def test_the_reference_protocol_runs_on_spun_scans(sample):
    found = ReferenceEvaluation({"bts": tiny_scene()}).run([sample])
    assert {"bts", "visible surface", "depth + 4 m"} == set(found)
    assert all(0 <= rows[0]["O_acc"] <= 1 for rows in found.values())


def test_the_level_frame_follows_the_road_or_a_given_pitch():
    pitch = 0.1
    T_world_cam = forward_pose(yaw=0.3)
    c, s = np.cos(pitch), np.sin(pitch)
    T_world_cam[:3, :3] = T_world_cam[:3, :3] @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    tilted = Sample("tilted", (_posed(T_world_cam),), base_pose(), np.zeros((64, 128), np.float32))
    for level in (level_frame(tilted), level_frame(tilted, pitch)):
        np.testing.assert_allclose(level, forward_pose(yaw=0.3), atol=1e-9)


def _posed(T_world_cam):
    one = view()
    return type(one)(one.image, Camera(128, 64, 77, 77, 64, 32), T_world_cam)


def test_the_gallery_keeps_and_draws_the_worst_only():
    drawn = []

    def draw(name):
        drawn.append(name)
        return np.zeros((1, 1, 3), np.uint8)

    gallery = Gallery(2)
    for name, value in (("a", 0.5), ("b", 0.9), ("c", np.nan), ("d", 0.95), ("e", 0.1)):
        gallery.offer(name, value, lambda name=name: draw(name))
    assert gallery.worst() == [("e", 0.1), ("a", 0.5)]
    assert drawn == ["a", "b", "e"]


def test_prefetching_keeps_order_and_errors():
    assert list(prefetched(range(5))) == [0, 1, 2, 3, 4]

    def broken():
        yield 1
        raise UserError("no second")

    source = prefetched(broken())
    assert next(source) == 1
    with pytest.raises(UserError, match="no second"):
        next(source)


class FakeDrive:
    """A drive of frames 10 to 19 that lacks the scan of frame 16."""

    name = "made up"
    frames = tuple(range(10, 20))

    def has_lidar(self, index):
        return index != 16

    def T_world_base(self, index):
        return base_pose(x=0.8 * index)


def windows(**asked):
    samples = RecordedSamples(FakeDrive(), ViewChoice(), **asked)
    return {i: (samples._window(i), samples._around(i)) for i in samples.moments}


def test_frames_count_with_a_whole_window_or_with_as_much_of_it_as_was_said():
    whole = windows(scans=4)
    assert {i: len(w) for i, (w, _) in whole.items()} == {10: 4, 11: 4, 12: 4}
    shorter = windows(scans=4, least=3)
    assert {i: len(w) for i, (w, _) in shorter.items()} == {10: 4, 11: 4, 12: 4, 13: 3, 17: 3}
    assert shorter[13][0] == [13, 14, 15]
    with pytest.raises(UserError, match="no frame of made up has 7 scans"):
        windows(scans=7)


def test_scans_around_a_frame_judge_it_whatever_its_window():
    found = windows(scans=4, around=2)
    assert sorted(found) == [10, 11, 12, 13, 14, 15, 17, 18, 19]
    assert found[14] == ([], [14, 13, 15, 12])
    assert found[10] == ([10, 11, 12, 13], [10, 11, 12])
    assert sorted(windows(around=0)) == sorted(found)


def test_a_corrected_window_judges_the_map_on_its_own_band(sample):
    scenes = {"bts": tiny_scene(), "kdbts": tiny_scene("kdbts", seed=3)}
    maps = OccupancySettings(BAND, threshold=0.5)
    evaluation = CorrectedEvaluation(scenes, ReferenceSettings(quirks=frozenset()), maps=maps)
    grid = evaluation.grid_of(sample)
    height = sample.view.T_world_cam[2, 3]
    assert grid.y == pytest.approx((height - BAND.high, height - BAND.low))
    evaluation.add(sample)
    assert evaluation.windows == {sample.name: 2}
    assert {"bts", "kdbts", "depth + 4 m"} <= set(evaluation.scores)
    # A point is as its cell of the map.
    points = np.array([[8.0, 0.05, 1.0], [12.3, -2.1, 1.0]])
    scene = scenes["bts"]
    scene.set_views(sample.views)
    told = evaluation.occupied_by(scene, sample, points)
    window = Box().window(sample.T_world_base, maps.resolution)
    found = map_around(scene, sample.T_world_base, window, BAND).probability
    cells = [
        found[int((y - window.y0) / 0.2 + 1e-9), int((x - window.x0) / 0.2 + 1e-9)]
        for x, y, _ in points
    ]
    assert told.tolist() == [bool(p >= 0.5) for p in cells]


def test_a_sample_without_enough_scans_is_left_to_others(sample):
    evaluation = ReferenceEvaluation({"bts": tiny_scene()})
    evaluation.add(dataclasses.replace(sample, scans=()))
    assert not evaluation.windows and not evaluation.scores
