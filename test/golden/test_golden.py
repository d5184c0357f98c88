"""A drive that is kept gives the maps and depths that are kept, by every engine and precision.

`make golden` gives both anew and tells what has changed: commit them with the reason.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.pipeline import Pipeline
from kdbts_ros.density.scene import SceneCompleter
from test.density import fake_gpu
from test.density.gpu_reference import interpreted
from test.golden.clip import (
    DRIVE,
    EXPECTED,
    FLOAT16,
    HERE,
    INTEGERS,
    MODES,
    VARIANTS,
    Arrays,
    Change,
    Mode,
    expected,
    made,
    read,
    results,
    settings,
)
from test.golden.network import save_golden_network


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_golden_network(tmp_path_factory.mktemp("golden") / "golden.safetensors")


@pytest.fixture(scope="module")
def drive() -> Arrays:
    return read(DRIVE)


@pytest.fixture(scope="module")
def held() -> Arrays:
    return read(EXPECTED)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VARIANTS)
def test_the_clip_gives_what_it_gave(
    name: str, mode: Mode, drive: Arrays, held: Arrays, checkpoint: Path
) -> None:
    variant = VARIANTS[name]
    found = made(drive, checkpoint, mode, variant)
    assert len(found["trinary"]) == variant.frames
    change = Change.between(expected(held, mode, name), found)
    assert change.within(variant.again), f"{change}; see `make golden`"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_kept_is_what_torch_says_in_float32(name: str, mode: Mode, held: Arrays) -> None:
    exact = Change.between(expected(held, mode, "torch"), expected(held, mode, name))
    assert exact.within(VARIANTS[name].exact), exact


@pytest.mark.parametrize("mode", MODES)
def test_the_clip_has_something_to_lose(mode: Mode, held: Arrays) -> None:
    kept = expected(held, mode, "torch")
    for kind in (-1, 0, 100):
        assert (kept["trinary"] == kind).mean() > 0.05, kind
    assert np.isfinite(kept["depth"]).mean() > 0.3
    low, high = np.nanpercentile(kept["depth"].astype(float), [10, 90])
    assert high > 3 * low
    assert kept["views"].tolist() == ([1] * 5 if mode == "kdbts" else [1, 2, 3, 4, 4])
    assert sum(file.stat().st_size for file in HERE.iterdir() if file.is_file()) < 1_000_000


def test_a_change_is_noticed(held: Arrays) -> None:
    kept = expected(held, "kdbts", "torch")
    allowed = VARIANTS["integers"].again
    assert Change.between(kept, kept) == Change(0.0, 0.0, 0.0)
    moved = np.roll(kept["trinary"], 1, axis=1)
    assert not Change.between(kept, kept | {"trinary": moved}).within(allowed)
    assert not Change.between(kept, kept | {"depth": kept["depth"] * 1.01}).within(allowed)
    assert not Change.between(kept, kept | {"percent": kept["percent"] + 1}).within(allowed)
    assert not Change.between(kept, kept | {"views": kept["views"] + 1}).within(allowed)
    holes = np.where(np.arange(64) < 4, np.nan, kept["depth"])
    assert not Change.between(kept, kept | {"depth": holes}).within(allowed)


@interpreted
# Half a minute a frame, and two without a map of their own.
@pytest.mark.parametrize(
    ("mode", "frames"), [("kdbts", 1), pytest.param("mvbts", 2, marks=pytest.mark.nightly)]
)
def test_the_gpus_kernels_give_it_too(
    mode: Mode,
    frames: int,
    drive: Arrays,
    held: Arrays,
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a CPU interprets them. Its float32 with approximations of exp is held to as the integers
    are."""
    fake_gpu.install(monkeypatch)
    load = SceneCompleter.load
    monkeypatch.setattr(
        SceneCompleter, "load", lambda *wanted: fake_gpu.scene_on_gpu(load(*wanted))
    )
    pipeline = Pipeline(settings(checkpoint, mode))
    assert pipeline.describe()["engine"] == "fast"
    exact = Change.between(expected(held, mode, "torch"), results(drive, pipeline, frames))
    assert exact.within(INTEGERS), exact


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("mode", MODES)
def test_a_gpu_gives_it_too(mode: Mode, drive: Arrays, held: Arrays, checkpoint: Path) -> None:
    pipeline = Pipeline(settings(checkpoint, mode, "cuda"))
    found = results(drive, pipeline, 5)
    exact = Change.between(expected(held, mode, "torch"), found)
    assert exact.within(FLOAT16), exact
