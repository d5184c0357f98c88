"""What a map head learns from: the maps of many images of drawn worlds, beside what stands there.

A world is drawn once and told to the network once; what the head is shown of it lies in files, a
few worlds in each, which are read from the disk as they are needed. Drawing goes on where it was
interrupted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.birds_eye_map import map_of_columns
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.map_head import Inputs, inputs_of, lattice_before
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, MapArea
from kdbts_ros.density.network.map_head import MapHeadSpec
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.shown import adapter_of, shown
from kdbts_ros.files import shown as shown_path
from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.augmentation import jitter_colours
from kdbts_ros.learning.frames.draws import Draws

# Worlds of one file.
WORLDS_PER_FILE = 20
# The share of maps of another band than the usual one, and of images with other colours.
OTHER_BANDS, OTHER_COLOURS = 0.35, 0.6
# Ends of other bands, m.
LOWS, HIGHS = (0.05, 0.6), (0.8, 2.5)
# As weights learn from them: looks that no world has.
COLOURS = JitterConfig(
    gain=0.4, contrast=0.4, gamma=0.4, saturation=0.6, channel_gain=0.15, noise=0.04, blur=0.4,
    shade=0.15, bloom=0.2, vignette=0.3, jpeg=0.3,
)  # fmt: skip

Bools = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of worlds (N): what the head is shown of each, see `Inputs`, and what stands in its cells.

    planes (N,PLANES,n,n) and features (N,heights*channels,n/2,n/2) as float16; truth (N,n,n),
    False of cells that the map does not know.
    """

    planes: Halves
    features: Halves
    truth: Bools


def evidence_of(
    scene: SceneCompleter, spec: MapHeadSpec, sample: Sample, band: HeightBand, cell: float
) -> tuple[Inputs, Bools]:
    """What the head is shown of the map of a sample's images, and the truth (n,n).

    band, cell: heights and side in m of the map that the head completes.
    """
    adapter = adapter_of(scene)
    scene.set_views([shown(view, sample, adapter) for view in sample.views])
    view, T_world_base = scene.views[0], sample.T_world_base
    lattice = lattice_before(spec, view, T_world_base)
    # All of the lattice, wherever the camera looks.
    side = 2 * 1.13 * spec.length
    x, y = (float(T_world_base[k, 3]) for k in range(2))
    window = GridWindow.around(x, y, side, cell)
    found = map_of_columns(scene, MapArea(T_world_base, window, band))
    inputs = inputs_of(spec, lattice, found, view, scene.feature_map(view), band)
    assert sample.world is not None
    ahead, aside = lattice.axes()
    known = np.asarray(inputs.planes[2].numpy() > 0)
    truth = column_truth(
        sample.world, ahead, aside, band.low, band.high,
        T_world_grid=lattice.T_fixed_lattice, where=known,
    )  # fmt: skip
    return inputs, truth


class EvidenceFolder:
    """Evidence in the files of a folder: `00000.planes.npy` and its fellows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def draw(
        self,
        scene: SceneCompleter,
        spec: MapHeadSpec,
        settings: tuple[HeightBand, float],
        samples: Callable[[int, int], Iterable[Sample]],
        worlds: int,
        advance: Callable[[], None],
    ) -> None:
        """Add what is missing of so many worlds.

        settings: the usual band, and the side of a cell, m. samples: so many, from a world on.
        advance: called once for each world.

        Raises:
            UserError: the folder cannot be written to.
        """
        for first in range(0, worlds, WORLDS_PER_FILE):
            count = min(WORLDS_PER_FILE, worlds - first)
            if self._path(first, "truth").exists():
                for _ in range(count):
                    advance()
                continue
            found = []
            for number, sample in enumerate(samples(first, count), first):
                bent, band = _otherwise(sample, settings[0], number)
                found.append(evidence_of(scene, spec, bent, band, settings[1]))
                advance()
            self._write(first, found)

    def read(self, worlds: int) -> list[Evidence]:
        """What was drawn of the first worlds, file by file, mapped into memory."""
        firsts = range(0, worlds, WORLDS_PER_FILE)
        return [Evidence(*(self._mapped(f, part) for part in _PARTS)) for f in firsts]

    def _mapped(self, first: int, part: str) -> npt.NDArray[Any]:
        path = self._path(first, part)
        try:
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:
            raise UserError(f"{shown_path(path)} cannot be read ({error}): remove it and start "
                            "again with --resume") from None  # fmt: skip

    def _path(self, first: int, part: str) -> Path:
        return self.folder / f"{first:06d}.{part}.npy"

    def _write(self, first: int, found: list[tuple[Inputs, Bools]]) -> None:
        arrays = {
            "planes": np.stack([inputs.planes.numpy() for inputs, _ in found]).astype(np.float16),
            "features": torch.stack([inputs.features for inputs, _ in found]).half().cpu().numpy(),
            "truth": np.stack([truth for _, truth in found]),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The truth last: where it is, all is.
            for part in _PARTS:
                partial = self._path(first, part).with_suffix(".partial")
                with partial.open("wb") as file:
                    np.save(file, arrays[part])
                partial.replace(self._path(first, part))
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise UserError(
                f"cannot write to {shown_path(self.folder)} ({error.strerror}): free disk space, "
                "then use --resume"
            ) from error


_PARTS = ("planes", "features", "truth")


def _otherwise(sample: Sample, usual: HeightBand, number: int) -> tuple[Sample, HeightBand]:
    """A sample in other colours, with another band, and, where it has several images, with fewer
    of them, but two at least: as its number has it."""
    rng, band = np.random.default_rng([17, number]), usual
    if rng.uniform() < OTHER_BANDS:
        band = HeightBand(float(rng.uniform(*LOWS)), float(rng.uniform(*HIGHS)), usual.step)
    if len(sample.views) > 2:
        sample = replace(sample, views=sample.views[: 2 + number % (len(sample.views) - 1)])
    if rng.uniform() >= OTHER_COLOURS:
        return sample, band
    images = torch.from_numpy(np.stack([view.image for view in sample.views]))
    scene = images.permute(0, 3, 1, 2)[None] / 255
    bent = jitter_colours(scene, COLOURS, Draws(17, 0, number, [0]))
    pixels = (bent[0] * 255).round().byte().permute(0, 2, 3, 1).numpy()
    pairs = zip(pixels, sample.views, strict=True)
    views = tuple(View(np.asarray(p), view.camera, view.T_world_cam) for p, view in pairs)
    return replace(sample, views=views), band
