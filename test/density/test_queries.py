"""What the views behind a map say of points: as the map, untorn, in one sentence."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.engines.choose import PlainTorch
from kdbts_ros.density.engines.cpu.lookups import FusedPoints, SingleViewPoints
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, MapArea
from kdbts_ros.density.queries import (
    MAYBE,
    NO,
    STATE_COMPLETED,
    STATE_OBSERVED,
    STATE_UNKNOWN,
    YES,
    Answers,
    ViewSnapshot,
)
from kdbts_ros.density.scene import SceneCompleter
from test.density.networks import (
    WHOLE_VECTORS,
    against_torch,
    base_pose,
    camera,
    forward_pose,
    tiny_scene,
    view,
    with_numbers,
)

AREA = MapArea(base_pose(), GridWindow.around(6.0, 0.0, 12.0, 0.5), HeightBand())
HEADS = ["bts", "mvbts"]


def snapshot(head: str = "bts", views: int = 2) -> ViewSnapshot:
    return ViewSnapshot.of(scene_of(head, views), "discount")


def scene_of(head: str, views: int = 2) -> SceneCompleter:
    scene = tiny_scene(head)
    scene.set_views([view(k, x=0.5 * k, yaw=0.1 * k) for k in range(views)])
    return scene


def some_points(count: int = 500) -> np.ndarray:
    """Seen and unseen ones, before and behind the cameras, and before where their light ends."""
    rng = np.random.default_rng(0)
    far = rng.uniform([-4, -8, 0], [20, 8, 3], (count // 2, 3))
    return np.concatenate([far, rng.uniform([2.6, -2, 0.6], [4.5, 2, 2.6], (count // 2, 3))])


@against_torch("cpu/points", "cpu/point_votes", "cpu/fusion")
@pytest.mark.parametrize("head", ["bts", "mvbts", "simple_multiview"])
def test_points_are_what_torch_says_of_them(head: str) -> None:
    scene = with_numbers(tiny_scene(head), "floats")
    scene.set_views(half_and_whole())
    found = scene.engine.points(0, scene.views)
    assert isinstance(found, SingleViewPoints if head == "bts" else FusedPoints)
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    points, visibility = some_points(), scene.visibility()
    seen = plain.seen(points)
    assert 0 < seen.sum() < len(points) and (found.seen(points) == seen).all()
    sigma = found.point_densities(points)
    assert (np.isnan(sigma) == ~seen).all()
    expected = plain.point_densities(points)
    np.testing.assert_allclose(sigma[seen], expected[seen], rtol=3e-4, atol=1e-4)
    light = found.visible(points, visibility)
    assert (light == plain.visible(points, visibility)).all() and 0 < light.sum() < seen.sum()
    # The loops of frames, which share threads, say the same to the bit.
    np.testing.assert_array_equal(sigma, scene.queries.point_densities(points))


@against_torch("cpu/int16_points")
@pytest.mark.parametrize("head", HEADS)
def test_points_through_integers_are_what_torch_says_of_them(head: str) -> None:
    scene = with_numbers(tiny_scene(head, widths=WHOLE_VECTORS), "integers")
    scene.set_views(half_and_whole())
    found = scene.engine.points(0, scene.views)
    assert scene.views[0].kept[head].features.size
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    # Before the nearest that tables know, too; no whole number of blocks.
    near = np.stack([np.linspace(0.2, 2.0, 37), np.full(37, -0.1), np.full(37, 1.6)], -1)
    points = np.concatenate([some_points(), near])
    seen, sigma = plain.seen(points), found.point_densities(points)
    assert (np.isnan(sigma) == ~seen).all() and seen[-37:].any()
    expected = plain.point_densities(points)
    np.testing.assert_allclose(sigma[seen], expected[seen], rtol=2e-3, atol=1e-3)
    assert (sigma != scene.queries.point_densities(points))[seen].any()
    assert found.point_densities(points[:0]).shape == (0,)


def half_and_whole() -> list[View]:
    """A view of a smaller camera whose image is valid on its right alone, and another."""
    half = np.ones((2, 2), bool)
    half[:, 0] = False
    first = View(view(0).image, camera(), forward_pose(), scale=1.3, valid=half)
    return [first, view(1, x=0.5, yaw=0.1)]


def test_a_head_that_no_loop_knows_is_asked_through_torch() -> None:
    scene = tiny_scene("bts")
    scene.engine = PlainTorch(scene.field, "float32")
    scene.set_views([view()])
    plain = ViewSnapshot.of(scene, "discount")
    assert isinstance(plain.together.queries, TorchQueries)
    fast = snapshot("bts", 1)
    for said, expected in zip(plain.points(some_points()), fast.points(some_points()), strict=True):
        np.testing.assert_allclose(said, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_a_point_is_unknown_observed_or_completed(head: str) -> None:
    scene = scene_of(head)
    found = ViewSnapshot.of(scene, "discount").points(some_points())
    near = [
        scene.spec.depth_near > (some_points() - v.T_world_cam[:3, 3]) @ v.T_world_cam[:3, 2]
        for v in scene.views
    ]
    known = scene.seen(some_points()) & ~np.logical_and.reduce(near)
    assert 0 < known.sum() < len(known)
    assert (np.isnan(found.probability) == ~known).all()
    assert (found.state == STATE_UNKNOWN).tolist() == (~known).tolist()
    observed = known & scene.observed(some_points())
    assert ((found.state == STATE_OBSERVED) >= observed).all()
    assert set(found.state[known]) == {STATE_OBSERVED, STATE_COMPLETED}
    assert (found.collision[~known] == MAYBE).all()


def test_a_point_collides_as_a_cell_of_the_map_is_published() -> None:
    """`discount`: what is completed is free below half the threshold alone."""
    made = snapshot("bts")
    said = made.points(some_points(), threshold=0.4)
    p, known = said.probability, said.state != STATE_UNKNOWN
    assert (said.collision[known & (p >= 0.4)] == YES).all()
    observed, completed = said.state == STATE_OBSERVED, said.state == STATE_COMPLETED
    assert (said.collision[observed & (p < 0.4)] == NO).all()
    assert (said.collision[completed & (p < 0.2)] == NO).all()
    assert (said.collision[completed & (p >= 0.2) & (p < 0.4)] == MAYBE).all()
    hidden = replace(made, completed="unknown").points(some_points(), 0.4)
    assert (hidden.collision[completed] == MAYBE).all()
    kept = replace(made, completed="keep").points(some_points(), 0.4)
    assert (kept.collision[known] == np.where(p[known] >= 0.4, YES, NO)).all()


def test_earlier_views_do_not_erase_what_the_newest_observes() -> None:
    made = snapshot("mvbts")
    assert made.alone is not None
    alone = replace(made, together=made.alone, alone=None).points(some_points())
    together = replace(made, alone=None).points(some_points())
    both = made.points(some_points())
    own = alone.state == STATE_OBSERVED
    assert (both.probability[own] >= alone.probability[own]).all()
    assert (both.probability[own] > together.probability[own]).any()
    assert (both.state[own] == STATE_OBSERVED).all()
    np.testing.assert_array_equal(both.probability[~own], together.probability[~own])


def test_frames_move_points() -> None:
    made, T = snapshot("mvbts"), base_pose(1.0, -0.5, 0.3)
    local = some_points(50)
    same_answers(made.points(local, T_world_frame=T), made.points(local @ T[:3, :3].T + T[:3, 3]))


def same_answers(found: Answers, expected: Answers) -> None:
    np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-4, atol=1e-5)
    assert (found.state == expected.state).mean() > 0.97
    assert (found.collision == expected.collision).mean() > 0.97


def test_nothing_asked_is_nothing_answered() -> None:
    assert [part.size for part in snapshot("mvbts").points([])] == [0, 0, 0]


@pytest.mark.parametrize("head", HEADS)
def test_frames_that_follow_change_no_answer(head: str) -> None:
    """A snapshot asked in one thread while another encodes, maps and forgets, says the same."""
    scene = scene_of(head)
    made = ViewSnapshot.of(scene, "discount")

    def ask() -> bytes:
        return b"".join(part.tobytes() for part in made.points(some_points()))

    expected, ended, faults = ask(), threading.Event(), list[str]()

    def frames() -> None:
        try:
            for k in range(4):
                scene.set_views([view(10 + k, x=k), view(k, x=k - 0.5)])
                map_around(scene, *AREA)
                scene.depth_map()
                scene.forget_answers()
                scene.forget_votes()
        except Exception as error:
            faults.append(repr(error))
        finally:
            ended.set()

    thread = threading.Thread(target=frames)
    thread.start()
    asked = 0
    while not ended.is_set() or asked == 0:
        assert ask() == expected
        asked += 1
    thread.join()
    assert faults == [] and ask() == expected


def test_another_thread_runs_while_a_loop_computes() -> None:
    """Loops hold no lock: otherwise a question would wait for the map under way."""
    scene = scene_of("bts", 1)
    grid = AffineGrid(np.array([3.0, -6.0, 0.0]), np.diag([0.02, 0.02, 0.1]), (20, 600, 900))
    scene.queries.column_sums(grid, scene.visibility())
    turns, ended = 0, threading.Event()

    def compute() -> None:
        scene.queries.column_sums(grid, scene.visibility())
        ended.set()

    thread = threading.Thread(target=compute)
    thread.start()
    while not ended.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 3
