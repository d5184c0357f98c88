"""The columns of an exact world that a map is compared with, chosen by geometry alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.truth import column_truth, visible
from kdbts_ros.density.birds_eye_map import MIN_SEEN_SHARE
from kdbts_ros.density.geometry.camera import Array, inverse, transform
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.scores import ColumnTruth

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Box:
    """Where columns are compared, in the base frame, metres."""

    x: tuple[float, float] = (3.0, 20.0)
    y: tuple[float, float] = (-9.0, 9.0)

    def __post_init__(self) -> None:
        if not (self.x[0] < self.x[1] and self.y[0] < self.y[1]):
            raise UserError(f"the box x {self.x}, y {self.y} holds no columns")

    def window(self, T_world_base: Array, resolution: float) -> GridWindow:
        """The smallest snapped grid of world axes that covers the box."""
        corners = np.array([[x, y, 0.0] for x in self.x for y in self.y])
        world = transform(T_world_base, corners)[:, :2]
        low = np.floor(world.min(0) / resolution)
        width, height = (np.ceil(world.max(0) / resolution) - low).astype(int).tolist()
        return GridWindow(resolution, width, height, *(low * resolution).tolist())

    def cells(self, window: GridWindow, T_world_base: Array) -> tuple[Array, Bools]:
        """Centres (H,W,3) of a window's cells in the base frame, and which (H,W) the box holds."""
        X, Y = np.meshgrid(*window.centres())
        base = transform(inverse(T_world_base), np.stack([X, Y, np.zeros_like(X)], -1))
        inside = (base[..., 0] >= self.x[0]) & (base[..., 0] <= self.x[1])
        return base, inside & (base[..., 1] >= self.y[0]) & (base[..., 1] <= self.y[1])


@dataclass(frozen=True, eq=False)
class Columns:
    """The compared columns of one sample.

    compared: (H,W) cells of window whose columns are compared: inside the box, and with at least
    `MIN_SEEN_SHARE` of their levels inside the reference image. points: (L,N,3) their levels in the
    world. truth: (N,). Nothing here depends on a method, so that all are compared on the same.
    """

    name: str
    window: GridWindow
    compared: Bools
    points: Array
    truth: ColumnTruth

    def on_grid(self, values: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
        """(H,W) of 100 where (N,) values hold, 0 where not, -1 where nothing is compared."""
        grid = np.full(self.compared.shape, -1, np.int8)
        grid[self.compared] = np.where(values, 100, 0)
        return grid


def columns_of(sample: Sample, band: HeightBand, box: Box, resolution: float) -> Columns:
    """Truth of the columns ahead of a synthetic sample.

    Raises:
        UserError: recorded data, which has no exact world.
    """
    if sample.world is None:
        raise UserError(
            f"{sample.name} has no exact world; the truth protocol needs synthetic data"
        )
    window = box.window(sample.T_world_base, resolution)
    x, y = window.centres()
    X, Y = np.meshgrid(x, y)
    base, inside = box.cells(window, sample.T_world_base)
    heights, _ = band.levels()
    points = np.empty((len(heights), int(inside.sum()), 3))
    points[..., 0], points[..., 1], points[..., 2] = X[inside], Y[inside], heights[:, None]
    seen = mostly_in_image(sample, points)
    points, compared = points[:, seen], inside.copy()
    compared[inside] = seen
    view = sample.view
    lit = visible(sample.world, view.camera, view.T_world_cam, points.reshape(-1, 3))
    occupied = column_truth(sample.world, x, y, band.low, band.high)
    distance = np.hypot(base[..., 0], base[..., 1])
    any_lit = np.asarray(lit.reshape(points.shape[:2]).any(0))
    truth = ColumnTruth(occupied[compared], any_lit, distance[compared])
    return Columns(sample.name, window, compared, points, truth)


def mostly_in_image(sample: Sample, points: Array) -> Bools:
    """(N,) columns of (L,N,3) points with enough levels inside the reference image."""
    camera = sample.view.camera
    local = transform(inverse(sample.view.T_world_cam), points.reshape(-1, 3))
    uv, z = camera.project(local)
    seen = (z > 0) & (uv >= 0).all(1) & (uv <= [camera.width, camera.height]).all(1)
    return np.asarray(seen.reshape(points.shape[:2]).mean(0) >= MIN_SEEN_SHARE)
