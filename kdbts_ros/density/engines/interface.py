"""What can be asked of encoded views, whoever computes the answer.

`CompiledQueries` answers on a CPU, `TorchQueries` on any device and for any head. Depths and
densities are those of the world, in metres, whatever the scale of a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array, inverse

# Where less light than this is left, light counts as ended.
HALF_LIGHT = 0.5


class ColumnSums(NamedTuple):
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, levels lit."""

    density: Floats
    seen: npt.NDArray[np.int32]
    lit: npt.NDArray[np.int32]


class RayDepths(NamedTuple):
    """Expected and median depth m and opacity, each (h,w)."""

    expected: Floats
    median: Floats
    opacity: Floats


class Queries(Protocol):
    """Answers of one head about `views`, the first of which is the reference view."""

    views: Sequence[EncodedView]

    def point_densities(self, points: Array) -> Floats:
        """(N,) 1/m of world points (N,3); what it says of unseen ones means nothing."""
        ...

    def grid_densities(self, grid: AffineGrid) -> Floats:
        """(levels,rows,columns) 1/m, NaN where no view sees."""
        ...

    def grid_occupancy(
        self, grid: AffineGrid, reach: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        """(levels,rows,columns): opacity over `length` m, NaN where no view sees, and `lit`."""
        ...

    def column_sums(self, grid: AffineGrid, reach: Sequence[Floats]) -> ColumnSums:
        """Sums down the columns of a grid; reach: see `lit`."""
        ...

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        """(rows,columns): levels whose running sum of densities is at most `limit`.

        Unseen levels count as 1/m, as in the reference's profile.
        """
        ...

    def seen(self, points: Array) -> Bools:
        """(N,): world points (N,3) that some view has in its image."""
        ...

    def lit(self, points: Array, reach: Sequence[Floats]) -> Bools:
        """(N,): world points that light from some view reaches.

        reach: by view, the depth (h,w) m over its image up to which light gets.
        """
        ...

    def depths(self, view: int, t: Floats, size: tuple[int, int], stop: float) -> RayDepths:
        """Depth on a grid of `size` (h,w) over a view's image, sampled at z-depths t (S,) m.

        `stop`: a ray may end when less light than this is left. The expectation forces the last
        sample opaque.
        """
        ...

    def reach(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        """(h,w): the median depth of `depths` alone, which is where half the light is gone."""
        ...


def projection(view: EncodedView) -> Array:
    """(3,4): world to homogeneous positions (u z, v z, z) in the world the network is shown."""
    return np.asarray(view.scale * (view.camera.ndc @ inverse(view.T_world_cam)[:3]))


def lengths(t: Floats) -> Floats:
    """(S,) length a sample stands for: up to the next one, the last as long as the one before."""
    steps = np.diff(t)
    return np.append(steps, steps[-1]).astype(np.float32)


def opacity(sigma: Floats, length: float) -> Floats:
    """1 - exp(-length sigma) of densities 1/m, in place."""
    np.multiply(sigma, -length, out=sigma)
    return np.negative(np.expm1(sigma, out=sigma), out=sigma)


def transparent(sigma: Floats, limit: float) -> npt.NDArray[np.int32]:
    """`Queries.transparent_levels` of densities (levels,rows,columns), NaN unseen."""
    running = np.where(np.isnan(sigma), np.float32(1), sigma).cumsum(0)
    return np.asarray((running <= limit).sum(0), np.int32)
