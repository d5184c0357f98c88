"""Memory of a long drive in mvbts mode. KDBTS_SOAK_FRAMES=10000 makes it the long one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules
from test.density.networks import base_pose, thin_spec, view

FRAMES = int(os.environ.get("KDBTS_SOAK_FRAMES", "120"))
WARM_UP = FRAMES // 3
MEGABYTE = 1_000_000
# A folded map of 64 channels at 320x96, as the shipped networks leave behind each frame.
VIEW_BYTES = 8 * MEGABYTE
STATM = Path("/proc/self/statm")


def resident_mb() -> float:
    """Resident memory of this process."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """The smallest network there is, on a small map, with views of a real size."""
    spec = thin_spec("mvbts", (8, 8, 8), (64, 64), decoder_channels=(8, 8, 8, 8, 8))
    path = save_network(tmp_path / "tiny.safetensors", DensityNetwork(spec), {"licence": "none"})
    rules = BufferRules(max_bytes=10 * VIEW_BYTES, min_overlap=0.0)
    made = Pipeline(
        PipelineSettings(
            str(path), device="cpu", range_m=4.0, resolution=1.0, mode="mvbts", views=rules
        )
    )
    encode = made.scene.encode

    def encode_large(image: Any) -> Any:
        # Written to, or the memory would only be promised.
        ballast = np.full((1000, VIEW_BYTES // 3000, 3), 7, np.uint8)
        return dataclasses.replace(encode(image), image=ballast)

    made.scene.encode = encode_large  # type: ignore[method-assign]
    return made


# The long one takes as long as it takes.
@pytest.mark.timeout(300 if FRAMES < 1000 else 0)
@pytest.mark.skipif(not STATM.is_file(), reason="needs /proc")
def test_a_long_drive_needs_no_more_memory_than_a_short_one(pipeline: Pipeline) -> None:
    image, wanted, resident = view(0), Wanted(depth=False), []
    used, kept_bytes = [], []
    for index in range(FRAMES):
        x = 0.5 * index
        posed = dataclasses.replace(image, T_world_cam=view(0, x=x).T_world_cam)
        frame_stamp = FrameStamp("front", 1_000_000_000 + index * 100_000_000)
        views = pipeline.process(posed, base_pose(x), wanted, frame_stamp).views
        used.append(views.used)
        kept_bytes.append(views.kept_bytes)
        resident.append(resident_mb())
    assert min(used[WARM_UP:]) > 1, "the drive uses several views all along"
    assert max(kept_bytes) <= pipeline.settings.views.max_bytes
    frames = np.arange(WARM_UP, FRAMES)
    slope, _ = np.polyfit(frames, resident[WARM_UP:], 1)
    print(
        f"{FRAMES} frames: {resident[WARM_UP]:.0f} to {resident[-1]:.0f} MB, "
        f"{slope * 1000:.2f} MB per 1,000 frames"
    )
    # One view that leaked at every tenth frame would be 64 MB here.
    assert slope * (FRAMES - WARM_UP) < max(2 * VIEW_BYTES / MEGABYTE, FRAMES / 1000)
