"""`kdbts warm-up`: what it says, and that nothing is left to compile for those who come after."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kdbts_ros import loops
from kdbts_ros.cli import warm_up
from kdbts_ros.cli.main import app, register
from kdbts_ros.errors import UserError

# In a process of its own: other tests have compiled, or read, more than a first start has.
AFTERWARDS = """
import numpy as np

from kdbts_ros import loops
from kdbts_ros.cli import warm_up

for part in warm_up.parts():
    if part.name in ("synthetic worlds", "maps of kdbts", "maps of mvbts"):
        part.run()
before = loops.signatures()

from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.demo.sources import SEED
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.cameras.lenses import Equidistant, Lens
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted

# A robot's own camera and settings, in each mode.
fisheye = Lens(Camera(640, 480, 230.0, 230.0, 320.0, 240.0), Equidistant((0.02, -0.003, 0, 0)))
for checkpoint, mode in (("kdbts", "kdbts"), ("mvbts", "mvbts"), ("mvbts", "auto")):
    settings = PipelineSettings(
        checkpoint, mode=mode, range_m=10.0, resolution=0.25, depth_stride=2,
        completed_cells="unknown", height_step=0.4,
    )
    pipeline = Pipeline(settings)
    for i in range(2):
        T_world_base = np.eye(4)
        T_world_base[0, 3] = 1.5 * i
        T_world_cam = T_world_base @ mount((0.1, 0.0, 1.2), 0.0, 0.1, 0.02)
        image = np.full((480, 640, 3), 90, np.uint8)
        view = pipeline.view(image, fisheye, T_world_cam, T_world_base)
        stamp = FrameStamp("front", 10**9 * (i + 1))
        beside = pipeline.process(view, T_world_base, Wanted(), stamp).beside
        beside.occupied_cells()
        beside.volume()
        beside.surface(T_world_cam)
        beside.novel_view(5.0, 2.0)
# The demo's drive.
StreetDrive(SEED, 2).frame(0)
print(sorted(loops.signatures() - before))
"""


def test_nothing_is_left_to_compile_for_a_robot_of_another_kind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


DEMONSTRATED = """
import numpy as np

from kdbts_ros import loops
from kdbts_ros.cli import warm_up

for part in warm_up.DEMO.values():
    part.run()
before = loops.signatures()

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.demo.sources import SEED
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted

drive = StreetDrive(SEED, 3)
pipeline = Pipeline(PipelineSettings("mvbts", accumulate=True, completed_cells="keep"))
for i in (0, 2):
    T, taken = drive.T_world_base(i), drive.frame(i).views["left"]
    view = pipeline.view(taken.image, Lens(taken.camera), taken.T_world_cam, T)
    stamp = FrameStamp("left", drive.stamp_ns(i))
    beside = pipeline.process(view, T, Wanted(True, True, False), stamp).beside
    beside.occupied_cells()
    beside.surface(taken.T_world_cam)
column_truth(drive.world, np.arange(3.0), np.arange(4.0), 0.3, 2.0)
print(sorted(loops.signatures() - before))
"""


def test_what_make_demo_compiles_is_all_that_the_demo_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEMONSTRATED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="--only is one of worlds, maps"):
        warm_up.warm_up(only="everything")


def test_each_part_says_what_came_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiles() -> None:
        heard[0]("first_loop")
        heard[0]("second_loop")

    class Told:
        """Stands for numba: tells what a part says it compiles."""

        def __init__(self, tell: object) -> None:
            heard[:] = [tell]

        def __enter__(self) -> None:
            """Listening."""

        def __exit__(self, *of: object) -> None:
            """Deaf again."""

    heard: list = []
    monkeypatch.setattr(loops, "told_of_each", Told)
    parts = [warm_up.Part("worlds", compiles), warm_up.Part("maps", lambda: None)]
    monkeypatch.setattr(warm_up, "parts", lambda: parts)
    register()
    said = CliRunner().invoke(app, ["warm-up"])
    assert said.exit_code == 0, said.output
    assert "worlds: 2 loops compiled (" in said.output
    assert "maps: ready (" in said.output
    assert "2 loops compiled in " in said.output and "and kept in " in said.output
    parts.pop(0)
    again = CliRunner().invoke(app, ["warm-up"])
    assert "nothing to compile: every loop was kept already" in again.output
