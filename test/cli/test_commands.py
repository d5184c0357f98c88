"""Commands as a user types them: results, and one sentence with exit code 2 for mistakes."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kdbts_ros.cli.main import app, register, run
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from test.density.checkpoints.test_checkpoint import original_state
from test.density.networks import tiny_network


def kdbts(*arguments, timeout=240):
    return subprocess.run(
        [sys.executable, "-m", "kdbts_ros.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    return save_network(path, tiny_network(), {"licence": "Apache-2.0"})


def test_convert_accounts_for_every_key_and_info_shows_it(tmp_path):
    torch.save({"model": original_state(tiny_network(), "bts", "kdbts")}, tmp_path / "two.pt")
    refused = kdbts("convert", tmp_path / "two.pt", tmp_path / "out.safetensors")
    assert refused.returncode == 2
    (line,) = refused.stderr.strip().splitlines()
    assert "name the head" in line
    done = kdbts("convert", tmp_path / "two.pt", tmp_path / "out.safetensors", "--head", "kdbts")
    assert done.returncode == 0, done.stderr
    assert "ImageNet classifier" in done.stdout
    assert "kdbts" in done.stdout
    assert load_network(tmp_path / "out.safetensors")[1].spec.head == "kdbts"
    shown = kdbts("info", tmp_path / "out.safetensors")
    assert "ResNet-18" in shown.stdout


def test_predict_writes_a_panel_and_arrays(tmp_path, checkpoint):
    image = np.random.default_rng(0).integers(0, 255, (96, 320, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), image)
    done = kdbts("predict", tmp_path / "street.png", "--out", tmp_path / "out", "-c", checkpoint)
    assert done.returncode == 0, done.stderr
    panel = cv2.imread(str(tmp_path / "out" / "street.png"))
    assert panel.shape[0] > 300
    with np.load(tmp_path / "out" / "street.npz") as arrays:
        assert arrays["occupancy"].shape == (200, 200)
        assert set(np.unique(arrays["occupancy"])) <= {-1, 0, 100}
        assert (arrays["occupancy"] == -1).any()
        assert arrays["depth"].shape == (64, 128)


def test_evaluate_writes_figures_and_a_report(tmp_path, checkpoint):
    for kind, keys in (
        ("depth", {"abs_rel", "rmse", "a1", "frames", "baselines"}),
        ("occupancy", {"O_acc", "IE_acc", "IE_rec", "ece", "iou", "frames"}),
    ):
        out = tmp_path / f"{kind}.json"
        done = kdbts(
            *("evaluate", kind, "--worlds", 2, "-c", checkpoint),
            *("--json", out, "--report", tmp_path / kind),
        )
        assert done.returncode == 0, done.stderr
        figures = json.loads(out.read_text())
        assert keys <= figures.keys()
        assert figures["frames"] == 2
        assert (tmp_path / kind / "report.md").read_text().startswith("# ")
        curves = 1 if kind == "occupancy" else 0
        assert len(list((tmp_path / kind).glob("*.png"))) == 2 + curves


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("info", "nothing_here"), ("nothing_here", "shipped")),
        (("predict", "absent.png", "--out", "x"), ("absent.png", "does not exist")),
        (("evaluate", "depth", "--dataset", "kitti-raw"), ("--root",)),
        (("evaluate", "occupancy", "--views", "left,behind"), ("behind", "stereo")),
        (("evaluate", "occupancy", "--without", "noise"), ("noise", "own_depth")),
        (
            ("evaluate", "occupancy", "--dataset", "kitti-raw", "--ground-anchor", "on"),
            ("--protocol truth",),
        ),
        (("evaluate", "occupancy", "--lidar-box", "4"), ("--lidar-box",)),
        (
            ("evaluate", "occupancy", "--dataset", "kitti-raw", "--protocol", "truth"),
            ("exact truth", "synthetic"),
        ),
        (("convert", "absent.pt", "x.safetensors"), ("absent.pt",)),
        (("benchmark", "-c", "absent.pt"), ("absent.pt",)),
        (("train", "absent.yaml"), ("absent.yaml",)),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, monkeypatch, capfd, arguments, words):
    """In this process, as the next test; a real one is asked by the first test of this file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kdbts", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert all(word in line for word in words)


def test_every_command_has_help_with_an_example():
    """In one process: starting Python for each would cost more than everything else here."""
    register()
    runner = CliRunner()
    listing = runner.invoke(app, ["--help"]).output
    for command in (
        *(
            "predict",
            "calibrate",
            "quantise",
            "train",
            "distill",
            "adapt",
            "bag",
            "play",
            "convert",
        ),
        *("info", "benchmark", "demo", "soak"),
    ):
        assert command in listing
        assert f"kdbts {command}" in runner.invoke(app, [command, "--help"]).output, command
    for measured in ("depth", "occupancy", "cameras", "drive", "slopes"):
        told = runner.invoke(app, ["evaluate", measured, "--help"]).output
        assert f"kdbts evaluate {measured}" in told, measured


def test_ctrl_c_while_torch_is_imported_is_no_traceback(monkeypatch, capsys):
    def interrupted(word):
        raise KeyboardInterrupt

    monkeypatch.setattr("kdbts_ros.cli.main.register", interrupted)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "kdbts: interrupted\n"


def test_a_command_waits_for_no_library_of_another():
    told = "import sys; from kdbts_ros.cli.main import register; register('bag'); "
    told += "register('play'); register('view'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_command_alone_is_called_by_its_name():
    """A program of a single command would take the name for its first argument."""
    done = kdbts("play", "nothing")
    assert done.returncode == 2
    assert done.stderr.strip() == "kdbts: bag nothing does not exist; make one with `kdbts bag`"
