"""The clip: a drive along a street of ours, and what each engine makes of it.

`drive.npz` holds images (N,96,192,3) uint8 with intrinsics (fx, fy, cx, cy), T_base_cam (4,4) and
T_world_base (N,4,4); `expected.npz` what came of it, by the names that `key` gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.rig import front_stereo, training_camera
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.engines.cpu.engine import CpuEngine
from kdbts_ros.density.engines.interface import Engine
from kdbts_ros.density.engines.plain_torch import PlainTorch
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules

HERE = Path(__file__).parent
DRIVE, EXPECTED = HERE / "drive.npz", HERE / "expected.npz"
Mode = Literal["kdbts", "mvbts"]
MODES: tuple[Mode, ...] = ("kdbts", "mvbts")
Arrays = dict[str, npt.NDArray[Any]]
_FRAMES, _RATE_HZ, _SEED = 5, 4.0, 7


@dataclass(frozen=True)
class Tolerance:
    """Shares of cells and of pixels that may change kind, the mean change of percentages in
    points, and of depths relatively."""

    share: float
    percent: float
    depth: float

    def times(self, factor: float) -> Tolerance:
        return Tolerance(factor * self.share, factor * self.percent, factor * self.depth)


# Another processor sums in another order. In float32 that moves densities by some 1e-5, and a cell
# or a depth of 11 bits only where it lies on a border: torch's sums and those of the loops, as far
# apart as any two, differ by 0, 0.0003 and 9e-6.
FLOAT32 = Tolerance(1e-3, 0.02, 1e-4)
# A step of 16 bits is 2^-15 of a largest value; measured against float32: 1e-4, 0.017 and 4e-4.
INTEGERS = Tolerance(1e-3, 0.03, 1e-3)
# 11 bits through some 30 layers; measured: 4e-4, 0.07 and 2.7e-3. Two sums in this precision are as
# far from each other as either is from float32.
FLOAT16 = Tolerance(2e-3, 0.12, 4e-3)
# Three bits less are eight times as much; measured: 5e-3, 0.6 and 2.7e-2.
BFLOAT16 = FLOAT16.times(8)


@dataclass(frozen=True)
class Variant:
    """An engine in a precision.

    Attributes:
        engine: makes it from the one that was loaded.
        again: how far from what it gave, on another machine.
        exact: how far from what torch gives in float32.
        frames: how many of the drive: a CPU takes long to do without its own formats.
    """

    name: str
    engine: Callable[[Engine], Engine]
    again: Tolerance
    exact: Tolerance
    frames: int = 5


def _floats(engine: Engine) -> Engine:
    """Compiled loops of a processor without instructions for the integers."""
    assert isinstance(engine, CpuEngine)
    engine.tables = [None] * len(engine.tables)
    return engine


def _integers(engine: Engine) -> Engine:
    if not isinstance(engine, CpuEngine) or None in engine.tables:
        pytest.skip("this processor has no AVX2: nothing is asked through integers")
    return engine


# Of float16 a CPU has no engine of its own: torch alone shows what the precision costs.
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("torch", lambda e: PlainTorch(e.field, "float32"), FLOAT32, FLOAT32),
        Variant("loops", _floats, FLOAT32, FLOAT32),
        Variant("integers", _integers, FLOAT32, INTEGERS),
        Variant("float16", lambda e: PlainTorch(e.field, "float16"), FLOAT16, FLOAT16, 2),
        Variant("bfloat16", lambda e: CpuEngine(e.field, "bfloat16"), BFLOAT16, BFLOAT16, 2),
    )
}


@dataclass(frozen=True)
class Change:
    """From one result to another: the largest share of cells or pixels of another kind, the mean
    change of percentages where both know one, and of depths where both have one."""

    share: float
    percent: float
    depth: float

    @classmethod
    def between(cls, old: Arrays, new: Arrays) -> Change:
        """Of as many frames as both have."""
        count = min(len(old["trinary"]), len(new["trinary"]))
        old, new = ({k: v[:count] for k, v in each.items()} for each in (old, new))
        if any(old[k].shape != new[k].shape for k in old) or (old["views"] != new["views"]).any():
            return cls(1.0, 100.0, np.inf)
        known = (old["percent"] >= 0) & (new["percent"] >= 0)
        percent = np.abs(old["percent"].astype(int) - new["percent"])[known]
        valid = [np.isfinite(each["depth"]) for each in (old, new)]
        both = valid[0] & valid[1]
        depth = np.abs(new["depth"][both].astype(float) / old["depth"][both] - 1)
        kinds = (old["trinary"] != new["trinary"]).mean(), (valid[0] != valid[1]).mean()
        return cls(float(max(kinds)), float(percent.mean()), float(depth.mean()))

    def within(self, allowed: Tolerance) -> bool:
        return (
            self.share <= allowed.share
            and self.percent <= allowed.percent
            and self.depth <= allowed.depth
        )

    def __str__(self) -> str:
        return (
            f"{self.share:.4%} of another kind, percentages off by {self.percent:.4f}, "
            f"depths by {self.depth:.1e}"
        )


def draw_drive() -> Arrays:
    """The drive anew, from the synthetic street as it is now."""
    rig = {"left": front_stereo(training_camera(192, 96))["left"]}
    drive = StreetDrive(_SEED, frames=_FRAMES, rig=rig, rate_hz=_RATE_HZ)
    camera, T_base_cam = rig["left"]
    return {
        "images": np.stack([drive.rendered(i, "left", threads=1).image for i in range(_FRAMES)]),
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        "T_base_cam": T_base_cam,
        "T_world_base": np.stack([drive.T_world_base(i) for i in range(_FRAMES)]),
    }


def settings(checkpoint: Path, mode: Mode, device: str = "cpu") -> PipelineSettings:
    """Of every variant. Nothing filters or decides over frames but the choice of views."""
    return PipelineSettings(
        checkpoint=str(checkpoint),
        device=device,
        precision="float32" if device == "cpu" else "float16",
        range_m=8.0,
        resolution=0.25,
        depth_stride=2,
        canonical_camera="off",
        ground_anchor="off",
        mode=mode,
        views=BufferRules(min_overlap=0.0),
    )


def made(drive: Arrays, checkpoint: Path, mode: Mode, variant: Variant) -> Arrays:
    """What a variant makes of the drive; see `results`."""
    pipeline = Pipeline(settings(checkpoint, mode))
    assert pipeline.describe()["engine"] == "fast", pipeline.describe()
    pipeline.scene.engine = variant.engine(pipeline.scene.engine)
    return results(drive, pipeline, variant.frames)


def results(drive: Arrays, pipeline: Pipeline, frames: int) -> Arrays:
    """trinary, percent (N,H,W) int8; depth (N,h,w) float16, NaN where invalid; views (N,), those
    behind each map."""
    _, height, width, _ = drive["images"].shape
    lens = Lens(Camera(width, height, *map(float, drive["intrinsics"])))
    rows: list[Arrays] = []
    for i in range(frames):
        image, T_world_base = drive["images"][i], drive["T_world_base"][i]
        view = pipeline.view(image, lens, T_world_base @ drive["T_base_cam"], T_world_base)
        stamp = FrameStamp("left", 1_000_000_000 + round(i * 1e9 / _RATE_HZ))
        result = pipeline.process(view, T_world_base, Wanted(), stamp)
        assert result.depth is not None and result.percent is not None
        rows.append({
            "trinary": result.trinary,
            "percent": result.percent,
            "depth": result.depth.astype(np.float16),
            "views": np.array(result.views.used, np.int8),
        })  # fmt: skip
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def key(mode: Mode, variant: str, array: str) -> str:
    """The name of an array in `expected.npz`."""
    return f"{mode}/{variant}/{array}"


def expected(held: Arrays, mode: Mode, variant: str) -> Arrays:
    """What a variant gave; empty where it is not held."""
    before = key(mode, variant, "")
    return {k.removeprefix(before): v for k, v in held.items() if k.startswith(before)}


def read(path: Path) -> Arrays:
    """A file of the clip; empty where there is none."""
    if not path.exists():
        return {}
    with np.load(path) as held:
        return dict(held)
