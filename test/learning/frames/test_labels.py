"""Labelled frames: points lie where they should and say what the world says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdbts_ros.density.geometry.camera import View, transform
from kdbts_ros.density.network.projection import project
from kdbts_ros.learning.config.stages import SupervisedStage
from kdbts_ros.learning.frames import labels
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.supervised import collate, column_loss, depth_loss, occupancy_loss
from test.learning import plain_world


@pytest.fixture
def view() -> View:
    return plain_world.picture(plain_world.pose(), wall=10.0)


def inside(view: View, points: np.ndarray) -> np.ndarray:
    uv, _ = view.camera.project(points)
    size = [view.camera.width, view.camera.height]
    return (uv >= -1e-6).all(-1) & (uv <= np.add(size, 1e-6)).all(-1)


def test_all_points_are_in_the_image(view: View) -> None:
    rng = np.random.default_rng(0)
    z = plain_world.depth_from(view.T_world_cam, 10.0)
    obstacle = labels.obstacle_pixels(view, z, np.eye(4), 0.0, 50.0)
    assert obstacle.any() and not obstacle.all()
    for points in (
        labels.surface_points(view.camera, z, [(obstacle, 0.5)], 500, 80.0, rng),
        labels.frustum_points(view.camera, 500, 3.0, rng),
        labels.useful_points(view, np.eye(4), 200, 3.0, rng),
    ):
        assert len(points) and inside(view, points).all()


def test_pixels_of_each_kind_get_their_share() -> None:
    obstacle, far = np.zeros((2, 10, 20), bool)
    wanted = [(obstacle, 0.5), (far, 0.25)]
    rng = np.random.default_rng(0)
    rows, columns = labels.draw_pixels((10, 20), wanted, 1000, rng)
    assert rows.max() < 10 and columns.max() < 20
    assert len(np.unique(rows * 20 + columns)) > 190, "without any of them all pixels alike"
    obstacle[3, 7] = far[9, 19] = True
    rows, columns = labels.draw_pixels((10, 20), wanted, 1000, rng)
    for row, column, share in ((3, 7, 0.5), (9, 19, 0.25)):
        found = np.count_nonzero((rows == row) & (columns == column))
        assert 1000 * share <= found < 1000 * share + 30


def test_what_is_far_is_asked_about_as_often_as_the_stage_says() -> None:
    wall = 60.0
    view = plain_world.picture(plain_world.pose(), wall)
    depth = plain_world.depth_from(view.T_world_cam, wall)
    frame = labels.label_frame(
        view,
        depth,
        np.eye(4),
        lambda points: plain_world.occupied(points, wall),
        100,
        np.random.default_rng(0),
        20,
        far=70.0,
    )
    assert frame.far_thing.any() and not frame.obstacle.any()
    assert frame.z.max() <= 70 and frame.points[:, 2].max() <= 70
    shares = []
    for share in (0.0, 0.4):
        stage = supervised_stage(rays=400, far_share=share)
        batch = collate([frame], stage, Draws(0, 0, 0, range(1)).rngs)
        assert batch.far.tolist() == [70.0]
        standing = (batch.z > 59) & (batch.rays[..., 1] * batch.z < plain_world.HEIGHT - 0.3)
        shares.append(float(standing.float().mean()))
    assert shares[1] == pytest.approx(0.4 + 0.6 * shares[0], abs=0.06)


def test_what_is_near_is_asked_about_as_often_as_the_stage_says() -> None:
    wall = 4.0
    view = plain_world.picture(plain_world.pose(), wall)
    # A near thing few pixels large, in a world that is otherwise ground and sky.
    depth = plain_world.depth_from(view.T_world_cam, np.inf)
    depth[20:30, 50:60] = wall
    frame = labels.label_frame(
        view,
        depth,
        np.eye(4),
        lambda points: plain_world.occupied(points, wall),
        100,
        np.random.default_rng(0),
        20,
        near=2.0,
    )
    assert frame.near_thing.sum() == 100
    shares = []
    for share in (0.0, 0.3):
        stage = supervised_stage(rays=400, near_share=share)
        batch = collate([frame], stage, Draws(0, 0, 0, range(1)).rngs)
        shares.append(float((batch.z < 4.01).float().mean()))
    # All obstacles are near here, and half of the rays end at obstacles.
    assert shares[0] == pytest.approx(0.5, abs=0.06)
    assert shares[1] == pytest.approx(0.8, abs=0.06)


def test_useful_points_lie_in_the_band_a_robot_drives_through(view: View) -> None:
    points = labels.useful_points(view, np.eye(4), 300, 3.0, np.random.default_rng(1))
    world = transform(view.T_world_cam, points)
    assert ((world[:, 2] >= -1e-9) & (world[:, 2] <= 2.5 + 1e-9)).all()
    assert ((points[:, 2] >= 3) & (points[:, 2] <= 30)).all()


def test_a_level_base_stands_below_the_camera() -> None:
    T_world_base = labels.level_base(plain_world.pose(2.0, 1.0))
    expected = np.eye(4)
    expected[:2, 3] = 2.0, 1.0
    np.testing.assert_allclose(T_world_base, expected, atol=1e-12)


def test_labels_and_depth_are_those_of_the_world() -> None:
    frame = plain_world.PlainWorlds(0, 0, 1000)(2)
    world = transform(plain_world.pose(), frame.points.astype(np.float64))
    wall = plain_world.wall_distance(2)
    clear = (np.abs(world[:, 2]) > 1e-3) & (np.abs(world[:, 0] - wall) > 1e-3)
    expected = plain_world.occupied(world, wall)
    np.testing.assert_array_equal(frame.occupied[clear], expected[clear])
    assert 0.2 < frame.occupied.mean() < 0.8


def supervised_stage(**values: object) -> SupervisedStage:
    return SupervisedStage(kind="supervised", steps=1, **{"points": 50, "rays": 40, **values})


def test_mirrored_draws_stay_consistent() -> None:
    """Whichever way a draw is mirrored, every view shows a ray's point in the point's colour."""
    frame = plain_world.PlainWorlds(0, 0, 400, 30, 2)(1)
    batch = collate([frame] * 16, supervised_stage(views=3), Draws(0, 0, 0, range(16)).rngs)
    cx = batch.K_ndc[:, 0, 0, 2]
    assert (cx > 0).any() and (cx < 0).any()
    surface = batch.rays * batch.z.unsqueeze(-1)
    # World colours do not depend on the mirroring, once the mirrored side is turned back.
    sign = torch.where(cx == cx.min(), 1.0, -1.0)
    sign = sign * (1 if frame.K_ndc[0, 0, 2] == cx.min().item() else -1)
    turned = surface * torch.stack([sign, torch.ones(16), torch.ones(16)], -1).unsqueeze(1)
    world = torch.from_numpy(transform(plain_world.pose(), turned.numpy()))
    expected = 0.5 + 0.5 * torch.sin(world * torch.tensor([1.5, 2.0, 3.0]))
    near = batch.z < 9
    projected = project(batch.K_ndc, batch.T_cam_ref, surface)
    for view in range(3):
        uv = projected.uv[:, view]
        colours = torch.nn.functional.grid_sample(
            batch.images[:, view], uv.unsqueeze(2), mode="nearest", align_corners=False
        )[..., 0]
        shown = near & projected.seen[:, view]
        assert shown.sum() > 50
        # Rays go through pixel centres of the reference: elsewhere up to half a pixel is lost.
        bound = 0.04 if view else 0.01
        assert (colours.permute(0, 2, 1) - expected).abs()[shown].mean() < bound


def test_columns_reach_over_the_band_and_know_what_stands_there() -> None:
    frame = plain_world.PlainWorlds(0, 0, 100, 300)(2)
    world = transform(plain_world.pose(), frame.columns.astype(np.float64))
    np.testing.assert_allclose(
        world[:, :, 2], np.tile(labels.STREET_COLUMNS.levels, (len(world), 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.ptp(world[..., :2], axis=1), 0, atol=1e-5)
    wall = plain_world.wall_distance(2)
    np.testing.assert_array_equal(frame.column_occupied, world[:, 0, 0] > wall)
    assert 0.2 < frame.column_occupied.mean() < 0.9


def test_a_column_is_judged_by_its_opacity_over_what_is_seen() -> None:
    sigma = torch.zeros(1, 1, 2, labels.LEVELS)
    sigma[..., 0, 3] = 30.0
    everything = torch.ones(sigma.shape, dtype=torch.bool)
    truth, layer = torch.tensor([[[1.0, 0.0]]]), torch.tensor([0.25])
    assert column_loss(sigma, everything, truth, layer) < 1e-2
    hidden = everything.clone()
    hidden[..., 0, 3] = False
    assert column_loss(sigma, hidden, truth, layer) > 1
    hidden[..., 0, :4] = False
    assert column_loss(sigma, hidden, truth, layer) == 0, "less than half seen: unknown, not wrong"
    # Thin layers of a dense thing are as opaque as thick ones of a thin one.
    faint = column_loss(sigma / 30, everything, truth, layer)
    thick = column_loss(sigma / 60, everything, truth, 2 * layer)
    torch.testing.assert_close(faint, thick)


def test_the_truth_has_the_smallest_loss() -> None:
    occupied = torch.tensor([1.0, 0.0])
    seen = torch.ones(2, dtype=torch.bool)
    right = occupancy_loss(torch.tensor([20.0, 0.0]), occupied, 0.5, seen)
    unsure = occupancy_loss(torch.tensor([1.4, 1.4]), occupied, 0.5, seen)
    wrong = occupancy_loss(torch.tensor([0.0, 20.0]), occupied, 0.5, seen)
    assert right < 1e-3 < unsure < wrong and torch.isfinite(wrong)
    assert occupancy_loss(torch.tensor([0.0, 20.0]), occupied, 0.5, ~seen) == 0
    t = torch.linspace(3, 80, 200).expand(1, 200)
    wall_at_10 = torch.where(t > 10, 50.0, 0.0)
    assert depth_loss(wall_at_10, t, torch.tensor([10.0])) < 0.05
    assert depth_loss(wall_at_10, t, torch.tensor([20.0])) > 0.6
