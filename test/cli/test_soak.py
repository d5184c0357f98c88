"""`kdbts soak` as a user types it, for some seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from kdbts_ros.cli.soak import usage_of
from kdbts_ros.density.checkpoints.checkpoint import save_network
from test.density.networks import tiny_network

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")


def test_every_image_of_two_cameras_is_accounted_for(tmp_path: Path) -> None:
    weights = save_network(tmp_path / "tiny.safetensors", tiny_network("mvbts"), {})
    words = ["soak", "--minutes", "0.1", "--rate", "20", "--cameras", "2", "-c", weights]
    done = subprocess.run(
        [sys.executable, "-m", "kdbts_ros.cli.start", *words, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, "wrong" in done.stdout) == (0, False), done.stdout + done.stderr
    figures = json.loads((tmp_path / "out" / "soak.json").read_text())
    fates = figures["maps_out"] + figures["views_in"] + sum(figures["drops"].values())
    assert figures["frames_in"] == fates > 50
    assert figures["open"] == 0 and figures["maps_out"] > 0 and figures["views_in"] > 0
    assert cv2.imread(str(tmp_path / "out" / "soak.png")) is not None
    assert (tmp_path / "out" / "node.log").stat().st_size > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_usage_is_that_of_a_process_as_long_as_it_lives() -> None:
    mine = usage_of(os.getpid())
    assert mine is not None and mine.resident_mb > 10 and mine.files > 2
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert usage_of(ended.pid) is None
