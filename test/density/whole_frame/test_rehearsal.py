"""Who listens or asks waits for no compiler: a pipeline that is loaded has compiled all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: other tests have compiled, or read, what listeners ask for.
LISTENED = """
import numpy as np

from kdbts_ros import loops
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.cameras.lenses import Equidistant, Lens
from kdbts_ros.density.geometry.camera import Camera, inverse
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules

CHECKPOINT, MODE = {checkpoint!r}, {mode!r}
pipeline = Pipeline(
    PipelineSettings(
        CHECKPOINT, mode=MODE, accumulate=True, follow_ground="auto", range_m=10.0, resolution=0.4,
        views=BufferRules(min_overlap=0.0),
    )
)
loaded = loops.signatures()

straight = Lens(Camera(320, 240, 215.0, 215.0, 160.0, 120.0))
fisheye = Lens(Camera(320, 240, 115.0, 115.0, 160.0, 120.0), Equidistant((0.02, -0.003, 0, 0)))
rng = np.random.default_rng(0)
used = set()
for camera, lens in (("front", straight), ("back", fisheye)):
    for i in range(2):
        T_world_base = np.eye(4)
        T_world_base[0, 3] = 1.5 * i
        T_world_cam = T_world_base @ mount((0.1, 0.0, 1.2), 0.0, 0.1, 0.02)
        image = rng.integers(0, 256, (240, 320, 3), np.uint8)
        view = pipeline.view(image, lens, T_world_cam, T_world_base)
        wanted, stamp = Wanted(preview=True, queries=True), FrameStamp(camera, 10**9 * (i + 1))
        result = pipeline.process(view, T_world_base, wanted, stamp)
        used.add(result.views.used)
        result.beside.occupied_cells()
        result.beside.volume()
        result.beside.surface(T_world_cam)
        result.beside.frusta()
        result.snapshot.points(rng.uniform(1.0, 8.0, (100, 3)))
        corners = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])
        result.map_snapshot.footprints([[4.0, 0, 0, 0, 0, 0, 1]], corners)
        pipeline.concerns(lens, inverse(T_world_base) @ T_world_cam)
        pipeline.remember(view, FrameStamp("other", 10**9 * (i + 1) + 5))
    result.beside.novel_view(5.0, 2.0)
    pipeline.forget()
print(max(used), sorted(loops.signatures() - loaded))
"""


@pytest.mark.parametrize(
    ("checkpoint", "mode", "views"), [("kdbts", "kdbts", 1), ("mvbts", "mvbts", 2)]
)
def test_nothing_that_can_be_asked_is_compiled_after_loading(
    checkpoint: str, mode: str, views: int
) -> None:
    code = LISTENED.format(checkpoint=checkpoint, mode=mode)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{views} []"
