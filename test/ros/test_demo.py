"""`kdbts demo` from the command line to its folder: node and player in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from kdbts_ros.viewer import sdk
from test.ros.robot import ROOT, environment, until

FRAMES = 6


def command(out: Path, *arguments: object) -> list[str]:
    words = [sys.executable, "-m", "kdbts_ros.cli.main", "demo", "--out", out, *arguments]
    return [str(word) for word in words]


def run(out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *arguments),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.is_file() else []


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    (out / "panels").mkdir(parents=True)
    (out / "panels" / "frame_0099.png").write_text("of an earlier demo")
    (out / "notes.txt").write_text("of the user")
    done = run(out, "--checkpoint", checkpoint, "--frames", FRAMES, "--rate", 0.2)
    assert done.returncode == 0, done.stderr + (out / "node.log").read_text()
    assert "maps out" in done.stdout and "IoU of occupied cells" in done.stdout
    assert ("the rerun viewer is not installed" in done.stderr) != sdk.installed()
    assert "[WARN]" not in done.stderr and "[INFO]" not in done.stderr
    return out


def test_every_image_is_accounted_for(demonstrated: Path) -> None:
    summary = json.loads((demonstrated / "summary.json").read_text())
    assert summary["frames_in"] == FRAMES
    assert summary["maps_out"] + sum(summary["drops"].values()) == FRAMES
    assert summary["maps_out"] >= 1
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p95"]
    assert summary["iou"] is None or 0 <= summary["iou"] <= 1


def test_the_outputs_are_a_bag_with_latched_maps(demonstrated: Path) -> None:
    summary = json.loads((demonstrated / "summary.json").read_text())
    with Reader(demonstrated / "outputs") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    for topic in ("occupancy", "occupancy_probability", "depth/image", "points", "views"):
        assert counts[f"/kdbts/{topic}"] == summary["maps_out"]
    # One comes every second, map or not.
    assert counts["/kdbts/report"] >= summary["maps_out"]
    assert counts["/tf"] == FRAMES and counts["/tf_static"] == 1
    assert (demonstrated / "outputs" / "outputs.mcap").is_file()


def test_pictures_and_film_can_be_opened(demonstrated: Path) -> None:
    maps = json.loads((demonstrated / "summary.json").read_text())["maps_out"]
    panels = sorted((demonstrated / "panels").glob("*.png"))
    assert len(panels) == maps, "an earlier demo's panels are gone"
    panel = cv2.imread(str(panels[0]))
    assert panel is not None and panel.shape[1] > panel.shape[0] > 200
    assert np.unique(panel.reshape(-1, 3), axis=0).shape[0] > 50
    overview = cv2.imread(str(demonstrated / "overview.png"))
    assert overview is not None and overview.shape[0] > panel.shape[0]
    film = cv2.VideoCapture(str(demonstrated / "drive.mp4"))
    assert film.read()[0]
    film.release()


def test_nothing_else_is_touched_or_left(demonstrated: Path) -> None:
    left = {path.name for path in demonstrated.iterdir()}
    kept = {"panels", "drive.mp4", "outputs", "summary.json", "node.log", "player.log"}
    kept |= {"overview.png"} | ({"drive.rrd"} if sdk.installed() else set())
    assert left == kept | {"notes.txt"}


def test_a_broken_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--checkpoint", "no_such_weights", "--frames", 2)
    assert done.returncode == 2
    assert "no_such_weights" in done.stderr and "Traceback" not in done.stderr


def test_without_a_rate_no_image_is_lost(tmp_path: Path, checkpoint: Path) -> None:
    done = run(tmp_path / "out", "--checkpoint", checkpoint, "--frames", FRAMES, "--single")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["maps_out"] == summary["frames_played"] == FRAMES and not summary["drops"]
    assert 0 < summary["rate"] <= 1.05


def test_ctrl_c_ends_the_node_too(tmp_path: Path, checkpoint: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(out, "--checkpoint", checkpoint, "--frames", 2, "--rate", 0.01),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(lambda: (out / "node.log").is_file() or process.poll() is not None, 120)
        started = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors
    assert started
    for child in started:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    assert not list(out.glob(".work-*"))
