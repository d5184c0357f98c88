"""Figures 4 and 5: where their points lie, what their pictures say, and the command."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from kdbts_ros.cli.main import run
from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.geometry.camera import View, inverse, transform
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation import paper_figures as paper
from kdbts_ros.evaluation.samples import Sample, synthetic_samples
from kdbts_ros.evaluation.shown_methods import ShownMethod
from test.density.networks import base_pose, forward_pose, tiny_network, tiny_scene, view
from test.evaluation.fake_lidar import Block, scan_of

WIDTHS = {"ibrnet": (16, 8, 8), "pixelnerf": (16, 8, 8)}


def sample_of(**more) -> Sample:
    """A camera that looks 0.05 rad downwards, on a robot 3 m along x that looks along y."""
    T_world_base = base_pose(3.0, 0.0, np.pi / 2)
    T = forward_pose()
    c, s = np.cos(0.05), np.sin(0.05)
    T[:3, :3] = T[:3, :3] @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    shown = view()
    posed = View(shown.image, shown.camera, T_world_base @ T)
    return Sample("made up", (posed,), T_world_base, np.zeros((64, 128), np.float32), **more)


class Slab:
    """Queries of a world that is dense below a height; unseen: to the left, and nearer than 5 m
    below half a metre."""

    def __init__(self, top: float, T_world_base: np.ndarray) -> None:
        self.top, self.T_base_world = top, inverse(T_world_base)

    def grid_densities(self, grid):
        x, y, z = transform(self.T_base_world, grid.points()).T
        sigma = np.where(z < self.top, 5.0, 0.0)
        sigma[(y > 0) | ((x < 5) & (z < 0.5))] = np.nan
        return sigma.reshape(grid.shape).astype(np.float32)


def test_the_points_of_the_profile_are_level_and_from_the_top_downwards():
    sample = sample_of()
    grid = paper.profile_grid(sample, 0.5)
    assert grid.shape == (paper.LEVELS, 40, 36)
    points = transform(inverse(sample.T_world_base), grid.points()).reshape(*grid.shape, 3)
    heights = points[..., 2]
    assert np.ptp(heights, axis=(1, 2)).max() < 1e-9
    half = 1 / (2 * paper.LEVELS)
    np.testing.assert_allclose(heights[[0, -1], 0, 0], [1 - half, half])
    # Base axes: x ahead, y to the left.
    np.testing.assert_allclose(points[0, [0, -1], 0, 0], [3.25, 22.75])
    np.testing.assert_allclose(points[0, 0, [0, -1], 1], [8.75, -8.75])


@pytest.mark.parametrize(("top", "free"), [(-1.0, 1.0), (0.5, 0.5), (2.0, 0.0)])
def test_a_profile_says_how_far_light_from_above_gets(top, free):
    sample = sample_of()
    grid = paper.profile_grid(sample, 1.0)
    found = paper.density_profile(Slab(top, sample.T_world_base), grid)
    assert np.isnan(found[:, :9]).all()
    assert (found[2:, 9:] == free).all()
    # Of what is hidden below the image nothing is said.
    assert (found[:2, 9:] == (0.0 if top > 1 else 1.0)).all()


def test_the_profile_of_a_scan_is_as_high_as_what_it_met():
    wall = Block(8.1, -3.0, 0.2, 6.0, 0.5)
    sample = Sample(
        "made up",
        (View(view().image, view().camera, forward_pose()),),
        np.eye(4),
        np.zeros((64, 128), np.float32),
        around=(scan_of([wall]),),
    )
    grid = paper.profile_grid(sample, 0.2)
    found = paper.true_profile(sample, grid)
    row, columns = round((8.1 - 3.1) / 0.2), slice(35, 55)
    assert (found[row, columns] == 0.5).mean() > 0.9
    assert (found[: row - 1, columns] > 0.8).all()
    assert np.isnan(paper.true_profile(sample_of(), grid)).all()


def test_the_profile_of_a_world_is_its_truth():
    (sample,) = synthetic_samples(1)
    found = paper.true_profile(sample, paper.profile_grid(sample, 0.5))
    assert set(np.unique(found * paper.LEVELS)) <= set(range(paper.LEVELS + 1))
    assert (found == 1).mean() > 0.5 and (found == 0).any()


def test_one_image_of_a_multi_view_network_is_answered_by_its_multi_view_head():
    scene = tiny_scene("mvbts")
    views = [view(0), view(1, x=0.5)]
    alone = ShownMethod("one", scene, fused=True).asked(views)
    both = ShownMethod("both", scene, several=True).asked(views)
    assert len(alone.views) == 1 and len(both.views) == 2
    points = np.array([[8.0, 0.5, 1.0], [12.0, -1.0, 1.5]])
    scene.set_views(views)
    np.testing.assert_allclose(both.point_densities(points), scene.density(points)[0], rtol=1e-5)
    scene.set_views(views[:1])
    np.testing.assert_allclose(alone.point_densities(points), scene.density(points)[0], rtol=1e-5)
    with pytest.raises(UserError, match="multi-view head, not 'bts'"):
        ShownMethod("MVBTS", tiny_scene("bts"), several=True)


def test_depth_of_every_method_has_the_size_that_was_asked_for():
    for name in ("bts", "ibrnet"):
        scene = tiny_scene(name, widths={**WIDTHS, "bts": (16,)})
        method = ShownMethod(name, scene)
        found = paper.termination_depth(method, method.asked([view()]), 4)
        assert found.shape == (16, 32)
        assert (found > 3).all() and (found < 80).all()


def test_colours_of_depth_go_there_and_back():
    depth = np.array([3.0, 4.0, 10.0, 80.0])
    np.testing.assert_allclose(paper._depth(paper._shade(depth)), depth)
    assert (np.diff(paper._shade(depth)) > 0).all()


def test_what_has_no_depth_is_grey(tmp_path):
    picture = np.full((20, 40), 10.0, np.float32)
    picture[:10] = np.nan
    rows = [paper.Row("a moment", np.zeros((20, 40, 3), np.uint8), {"half": picture})]
    paper.draw_depths(tmp_path / "depth.png", "a title " * 30, rows)
    drawn = cv2.imread(str(tmp_path / "depth.png")).reshape(-1, 3)
    grey = (np.abs(drawn - 0.7 * 255) < 2).all(1).mean()
    assert 0.05 < grey < 0.3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for head in ("bts", "kdbts", "mvbts"):
        found[head] = save_network(folder / f"{head}.safetensors", tiny_network(head), {})
    for head in WIDTHS:
        network = tiny_network(head, widths=WIDTHS)
        found[head] = save_network(folder / f"{head}.safetensors", network, {})
    return [word for head, file in found.items() for word in (f"--{head}", str(file))]


def asked(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["kdbts", "figures", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.mark.parametrize(
    ("kind", "more"), [("density", ("--resolution", 1)), ("depth", ("--stride", 8))]
)
def test_the_command_draws_all_methods_of_some_worlds(tmp_path, monkeypatch, weights, kind, more):
    few = ("--count", 1, "--views", "stereo")
    assert not asked(monkeypatch, kind, "worlds", "--out", tmp_path, *few, *more, *weights)
    picture = cv2.imread(str(tmp_path / f"{kind}.png"))
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_mistakes_get_one_sentence(tmp_path, monkeypatch, weights, capfd):
    out = ("--out", tmp_path)
    for arguments, words in (
        (("density", "absent", *out), ("absent",)),
        (("depth", "absent", *out, "--dataset", "synthetic"), ("worlds",)),
        (("depth", "worlds", *out, *weights, "--ibrnet", weights[1]), ("ibrnet", "'bts'")),
        (("depth", "worlds", *out, "--views", "behind"), ("behind",)),
    ):
        assert asked(monkeypatch, *arguments) == 2
        (line,) = capfd.readouterr().err.strip().splitlines()
        assert all(word in line for word in words)


def test_help_has_an_example(monkeypatch, capfd):
    for kind in ("density", "depth"):
        assert not asked(monkeypatch, kind, "--help")
        assert f"kdbts figures {kind} KITTI" in capfd.readouterr().out
