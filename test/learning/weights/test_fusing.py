"""A head for several views that is the mean of what one view says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kdbts_ros.cli import main
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.maps.probability import NOTE, Curve, ProbabilityCurves, read_note, write_note
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.learning.weights.fusing import fuse
from test.density.networks import thin_spec

CURVES = ProbabilityCurves(Curve(1.0, 1.5), Curve(0.7, 1.2), 0.4)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    network = DensityNetwork(thin_spec("bts", (32,)))
    notes = {"run": "mine", NOTE: write_note({"bts": CURVES}), "activation_ranges": "{}"}
    return save_network(tmp_path / "single.safetensors", network, notes)


def view_at(x: float, spec: object, seed: int) -> View:
    height, width = spec.image_height, spec.image_width  # type: ignore[attr-defined]
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    T = np.eye(4)
    T[0, 3] = x
    return View(image, Camera(width, height, width, width, width / 2, height / 2), T)


def pre_densities(sigma: np.ndarray) -> np.ndarray:
    """What softplus made these densities 1/m of."""
    return np.log(np.expm1(sigma.astype(np.float64)))


def test_several_views_say_the_mean_of_each_on_the_engine_that_maps(
    single: Path, tmp_path: Path
) -> None:
    both = SceneCompleter.load(str(fuse(single, tmp_path / "both.safetensors")), device="cpu")
    alone = SceneCompleter.load(str(single), device="cpu")
    assert "naive" not in both.engine_note and both.spec.head == "mvbts"
    views = [view_at(x, both.spec, seed) for seed, x in enumerate((0.0, 0.4, -0.3))]
    points = np.random.default_rng(1).uniform([-1, -0.5, 4], [1, 0.5, 30], (400, 3))
    said, seen = [], []
    for view in views:
        alone.set_views([view])
        sigma, known = alone.density(points)
        said.append(np.where(known, pre_densities(sigma), 0)), seen.append(known)
    both.set_views(views)
    sigma, known = both.density(points)
    assert known.mean() > 0.5 and np.array_equal(known, np.any(seen, 0))
    mean = np.sum(said, 0)[known] / np.sum(seen, 0)[known]
    np.testing.assert_allclose(pre_densities(sigma[known]), mean, atol=2e-3)


def test_maps_of_one_view_stay_what_they_are(single: Path, tmp_path: Path) -> None:
    out = fuse(single, tmp_path / "both.safetensors")
    student, found = load_network(out, head="kdbts")
    before = load_network(single)[0].state_dict()
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())
    assert read_note(found.notes[NOTE]) == {"kdbts": CURVES}
    assert found.notes["run"] == "mine" and "activation_ranges" not in found.notes


def test_nothing_of_it_is_drawn(single: Path, tmp_path: Path) -> None:
    once, again = (load_network(fuse(single, tmp_path / f"{k}.safetensors"))[0] for k in "ab")
    theirs = again.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in once.state_dict().items())


def test_what_fuses_views_already_is_refused(single: Path, tmp_path: Path) -> None:
    out = fuse(single, tmp_path / "both.safetensors")
    with pytest.raises(UserError, match="fuses views already"):
        fuse(out, tmp_path / "twice.safetensors")


def test_the_command_says_what_comes_next(single: Path, tmp_path: Path) -> None:
    main.register()
    words = ["checkpoint", "fuse", str(single), "--out", str(tmp_path / "both.safetensors")]
    found = CliRunner().invoke(main.app, words)
    assert found.exit_code == 0, found.output
    assert "kdbts calibrate --views stereo,temporal:2" in " ".join(found.output.split())
