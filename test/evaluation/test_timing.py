"""What is timed is what it is called."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.timing import FRAMES_PER_KEYFRAME, Benchmark
from test.density.engines.test_engine import scene_with_student
from test.density.networks import base_pose, view

REPEATS = 2


def benchmark(scene: SceneCompleter, views: int) -> Benchmark:
    posed = [view(k, x=0.5 * k) for k in range(views)]
    lattice = Lattice.from_bounds((1.0, 5.0), (-2.0, 2.0), (0.0, 2.0), 0.5)
    return Benchmark(scene, copy.deepcopy(scene.network), posed, lattice, REPEATS)


@pytest.mark.parametrize("views", [1, 3])
def test_a_frame_has_one_new_view_and_a_robot_that_drives_on(
    views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene: SceneCompleter = scene_with_student()  # type: ignore[no-untyped-call]
    bench, places = benchmark(scene, views), []
    use = scene.use

    def watched(encoded: list) -> None:  # type: ignore[type-arg]
        places.append([float(v.T_world_cam[0, 3]) for v in encoded])
        use(encoded)

    monkeypatch.setattr(scene, "use", watched)
    figures = bench.frame(base_pose())
    assert figures["ratio"] == pytest.approx(figures["frame_ms"] / figures["network_ms"])
    assert ("views_ratio" in figures) == (views > 1)
    several = np.array([p for p in places if len(p) == views])
    assert len(several) >= REPEATS + FRAMES_PER_KEYFRAME
    assert (np.diff(several[:, 0]) > 0).all(), "it drives on"
    assert (np.diff(several, axis=1) < 0).all(), "keyframes lie behind it, the nearest first"
    if views > 1:
        ahead = several[:, 0] - several[:, 1]
        assert ahead.max() <= FRAMES_PER_KEYFRAME * 0.4 + 1e-9
        assert {len(p) for p in places} == {1, views}
