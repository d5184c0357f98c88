"""Figures 4 and 5 of KDBTS: densities from above, and where rays end, method beside method.

Han et al., "Boosting Self-Supervision for Single-View Scene Completion via Knowledge Distillation"
(CVPR 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure

from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.interface import Queries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array, transform
from kdbts_ros.evaluation.lidar_columns import LEAST_RETURNS
from kdbts_ros.evaluation.reference import level_frame
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.shown_methods import ShownMethod
from kdbts_ros.files import make_folder, writing

# What Figure 4 shows: metres to the right of the camera, above the ground, and before the camera.
ACROSS, HEIGHTS, AHEAD = (-9.0, 9.0), (0.0, 1.0), (3.0, 23.0)
LEVELS = 8
# Light from above ends where it has passed so much optical depth: the reference's 8 summed raw
# densities over 64 levels of 0.75 m.
OPTICAL_LIMIT = 8 * 0.75 / 64
NEAREST, FARTHEST = 3.0, 80.0
_GREY = "0.7"
_LETTERS_PER_INCH = 11


class Row(NamedTuple):
    """One moment: its name, its image, and by title what is shown, (H,W) with NaN where nothing."""

    name: str
    image: npt.NDArray[np.uint8]
    pictures: Mapping[str, Floats]


def profile_grid(sample: Sample, resolution: float) -> AffineGrid:
    """The points of Figure 4 in the world: rows ahead, columns to the right, levels downwards."""
    T_world_level = level_frame(sample)
    normal = sample.T_world_base[:3, 2]
    height = float(normal @ (sample.view.T_world_cam[:3, 3] - sample.T_world_base[:3, 3]))
    thickness = (HEIGHTS[1] - HEIGHTS[0]) / LEVELS
    half = resolution / 2
    first = np.array([ACROSS[0] + half, height - HEIGHTS[1] + thickness / 2, AHEAD[0] + half])
    right, down, ahead = T_world_level[:3, :3].T
    steps = np.stack([right * resolution, ahead * resolution, down * thickness])
    columns, rows = (round((b - a) / resolution) for a, b in (ACROSS, AHEAD))
    return AffineGrid(transform(T_world_level, first), steps, (LEVELS, rows, columns))


def density_profile(queries: Queries, grid: AffineGrid) -> Floats:
    """(rows,columns): share of the height that light from above passes, of what is seen of it.

    1 is free down to the ground, which itself ends the light; 0 is as high as the slab. NaN where
    less than half of the levels is seen.
    """
    thickness = (HEIGHTS[1] - HEIGHTS[0]) / LEVELS
    sigma = queries.grid_densities(grid)
    seen = np.isfinite(sigma)
    passed = seen & (np.nan_to_num(sigma).cumsum(0) * thickness <= OPTICAL_LIMIT)
    count = seen.sum(0)
    share = passed.sum(0) / np.maximum(count, 1)
    return np.where(2 * count >= len(sigma), share, np.nan).astype(np.float32)


def true_profile(sample: Sample, grid: AffineGrid) -> Floats:
    """As `density_profile`, of an exact world, or of the returns of a scan, NaN without one."""
    if sample.world is not None:
        solid = occupied(sample.world, grid.points()).reshape(grid.shape)
    elif sample.around:
        solid = _returns(sample, grid)
    else:
        return np.full(grid.shape[1:], np.nan, np.float32)
    return np.asarray((np.cumsum(solid, 0) == 0).mean(0), np.float32)


def _returns(sample: Sample, grid: AffineGrid) -> npt.NDArray[np.bool_]:
    """(levels,rows,columns) cells in which a scan has returns."""
    scan = sample.around[0]
    away = transform(scan.T_world_velo, scan.xyz) - grid.origin
    # The steps of the grid are orthogonal.
    index = np.rint(away @ (grid.steps / (grid.steps**2).sum(1, keepdims=True)).T).astype(int)
    index = index[:, ::-1]
    inside = ((index >= 0) & (index < grid.shape)).all(1)
    count = np.zeros(grid.shape, np.int64)
    np.add.at(count, tuple(index[inside].T), 1)
    return count >= LEAST_RETURNS


def termination_depth(method: ShownMethod, queries: Queries, stride: int) -> Floats:
    """(h,w) expected termination depth m of the reference view, every `stride`-th pixel."""
    spec = method.scene.spec
    size = spec.image_height // stride, spec.image_width // stride
    t = method.scene.depth_samples(queries.views[0].scale)
    return queries.depths(0, t, size, 0.0).expected


def true_depth(sample: Sample) -> Floats:
    """(H,W) z-depth m, NaN where unknown; the points of a scan are thickened to be seen."""
    known = sample.depth
    if sample.world is None:
        known = np.asarray(_nearest(known), np.float32)
    return np.where(known > 0, known, np.float32(np.nan))


def _nearest(depth: Floats, size: int = 5) -> Floats:
    """The nearest depth of each pixel's neighbourhood, 0 where there is none."""
    far = np.where(depth > 0, depth, np.float32(1e6))
    found = cv2.erode(far, np.ones((size, size), np.uint8))
    return np.where(found < 1e6, found, 0).astype(np.float32)


def draw_profiles(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Figure 4 as PNG: a moment a row, its image first."""
    extent = (*ACROSS, *AHEAD)
    figure, axes = _grid(rows, 2.6, 2.9)
    for line, row in zip(axes, rows, strict=True):
        line[0].imshow(row.image)
        line[0].set_axis_off()
        for axis, picture in zip(line[1:], row.pictures.values(), strict=True):
            axis.set_facecolor(_GREY)
            axis.imshow(picture, "magma", origin="lower", extent=extent, vmin=0, vmax=1,
                        interpolation="nearest")  # fmt: skip
        line[1].set_ylabel("ahead, m")
    for axis in axes[-1][1:]:
        axis.set_xlabel("right, m")
    drawn = [axis for line in axes for axis in line]
    bar = figure.colorbar(ScalarMappable(cmap="magma"), ax=drawn, shrink=0.8, pad=0.01)
    bar.set_label(f"share of {HEIGHTS[0]:g}–{HEIGHTS[1]:g} m above ground free from above\n"
                  "(dark: density; grey: not seen)")  # fmt: skip
    _finish(figure, path, title)


def draw_depths(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Figure 5 as PNG: a method a row, a moment a column, the image on top."""
    titles = ["image", *rows[0].pictures]
    figure = Figure(figsize=(4.6 * len(rows) + 1.2, 1.45 * len(titles) + 0.7), layout="constrained")
    axes = figure.subplots(len(titles), len(rows), squeeze=False)
    norm = FuncNorm((_shade, _depth), NEAREST, FARTHEST)
    for column, row in zip(axes.T, rows, strict=True):
        height, width = row.image.shape[:2]
        extent = (0, width, height, 0)
        column[0].imshow(row.image, extent=extent, aspect="auto")
        column[0].set_title(row.name, fontsize=10)
        for axis, picture in zip(column[1:], row.pictures.values(), strict=True):
            axis.set_facecolor(_GREY)
            axis.imshow(np.clip(picture, NEAREST, FARTHEST), "magma_r", norm=norm,
                        extent=extent, aspect="auto")  # fmt: skip
        for axis in column:
            axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[:, 0], titles, strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    bar = figure.colorbar(
        ScalarMappable(norm, "magma_r"),
        ax=axes,
        ticks=[3, 4, 6, 10, 20, 40, 80],
        shrink=0.8,
        pad=0.01,
    )
    bar.set_label("expected termination depth, m")
    _finish(figure, path, title)


def _shade(depth: Array) -> Array:
    """0 near to 1 far; between inverse depth, where all is near, and depth, where all is far."""
    # Masked pixels stay masked: no conversion to a plain array here.
    inverse = 1 / np.clip(depth, NEAREST, FARTHEST) - 1 / FARTHEST
    shade: Array = 1 - np.sqrt(np.maximum(inverse / (1 / NEAREST - 1 / FARTHEST), 0))
    return shade


def _depth(shade: Array) -> Array:
    inverse = (1 - np.asarray(shade)) ** 2 * (1 / NEAREST - 1 / FARTHEST) + 1 / FARTHEST
    return np.asarray(1 / inverse)


def _grid(rows: Sequence[Row], width: float, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Axes by row; the first of each, for the image, is wider."""
    titles = list(rows[0].pictures)
    size = (width * len(titles) + 1.7 * width + 1, height * len(rows) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(
        len(rows), len(titles) + 1, squeeze=False, width_ratios=[1.7, *[1.0] * len(titles)]
    )
    for line, row in zip(axes, rows, strict=True):
        line[0].set_title(row.name, fontsize=10)
    for axis, title in zip(axes[0][1:], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure, axes.tolist()


def _finish(figure: Figure, path: Path, title: str) -> None:
    width = figure.get_size_inches()[0]
    figure.suptitle(fill(title, int(width * _LETTERS_PER_INCH)), fontsize=11)
    FigureCanvasAgg(figure)
    make_folder(path.parent)
    with writing(path):
        figure.savefig(path, dpi=110)
