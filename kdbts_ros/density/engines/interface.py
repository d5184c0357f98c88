"""What can be asked of encoded views, and of the engine that computes the answer.

An `Engine` encodes images and makes `Queries` of a head about some views. Depths and densities are
those of the world, in metres, whatever the scale of a view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids
from kdbts_ros.density.engines.cuda.frame_plan import FramePlan, Graph
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField as FoldedField
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS

# Where less light than this is left, light counts as ended.
HALF_LIGHT = 0.5
# Points per query of torch: bounds memory at about 100 MB of code vectors.
CHUNK = 1 << 18


class ColumnSums(NamedTuple):
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, levels visible."""

    density: Floats
    seen: npt.NDArray[np.int32]
    visible: npt.NDArray[np.int32]


class RayDepths(NamedTuple):
    """d̂ (expected termination depth), depth of the surface, m, and opacity, each (h,w)."""

    expected: Floats
    surface: Floats
    opacity: Floats


class PointQueries(Protocol):
    """Answers of one head about single points in `views`, the first of which is the reference view.

    World points are (N,3), metres.
    """

    views: Sequence[EncodedView]

    def point_densities(self, points: Array) -> Floats:
        """σ (N,) 1/m of points; what it says of unseen ones means nothing."""
        ...

    def seen(self, points: Array) -> Bools:
        """(N,): points that some view has in its image."""
        ...

    def visible(self, points: Array, visibility: Sequence[Floats]) -> Bools:
        """(N,): points that light from some view reaches.

        visibility: by view, the depth (h,w) m over its image up to which light gets.
        """
        ...


class Queries(PointQueries, Protocol):
    """Answers of one head about points, grids and rays in `views`."""

    def grid_densities(self, grid: AffineGrid) -> Floats:
        """σ (levels,rows,columns) 1/m, NaN where no view sees."""
        ...

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        """(levels,rows,columns): opacity over `length` m, NaN where no view sees, and `visible`."""
        ...

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        """Sums down the columns of a grid; visibility: see `visible`."""
        ...

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        """(rows,columns): levels whose running sum of densities is at most `limit`.

        Unseen levels count as 1/m, as in the reference's profile.
        """
        ...

    def depths(
        self,
        view: int,
        t: Floats,
        size: tuple[int, int],
        stop: float,
        thickness: float = HALF_THICKNESS,
    ) -> RayDepths:
        """Depth on a grid of `size` (h,w) over a view's image, sampled at z-depths t (S,) m.

        `stop`: a ray may end when less light than this is left. The expectation forces the last
        sample opaque. thickness: optical depth at which the surface is, see `surface_depth`.
        """
        ...

    def visibility(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        """(h,w): where the sample begins behind which half the light is gone, see `begun`."""
        ...

    def finished(
        self, grid: AffineGrid, visibility: Sequence[Floats], params: Floats
    ) -> FrameGrids | None:
        """The map over a grid with its published forms; None: not here.

        params (PARAMS,): see `frame_params.pack_map`.
        """
        ...


class Engine(Protocol):
    """Answers for every head of a network on one machine.

    Attributes:
        field: the heads, folded.
        precision: of convolutions, as they run now.
    """

    field: FoldedField
    precision: str

    @property
    def note(self) -> str:
        """What it has to do without and why, as it is now: read it for every report; or ""."""
        ...

    def encode(self, images: Tensor) -> list[Tensor]:
        """F_k, folded: images (N,3,H,W) in [0,1] to a map (N,hidden,H,W) float32 per head."""
        ...

    def queries(self, head: int, views: Sequence[EncodedView]) -> Queries:
        """What the head of that index says about views."""
        ...

    def points(self, head: int, views: Sequence[EncodedView]) -> PointQueries:
        """What that head says of points, for any thread while frames go on in the engine's own.

        Nothing that it reads is written again.
        """
        ...

    def weaker(self, head: int, fault: str) -> Engine | None:
        """The next one down, once a head's answers were refused for a fault; None: no other."""
        ...

    def frames(self, head: int) -> Callable[[FramePlan], Graph] | None:
        """Makes what computes whole frames of one view by a head; None: not here."""
        ...

    def forget(self) -> None:
        """Drop what views of earlier maps said, and with it those views."""
        ...


def passed_over(effect: str, refused: Sequence[str]) -> str:
    """A sentence that names everything that was passed over and why; "" for nothing."""
    return f"{effect}: {'; '.join(refused)}" if refused else ""


def opacity(sigma: Floats, length: float) -> Floats:
    """1 - exp(-length sigma) of densities 1/m, in place."""
    np.multiply(sigma, -length, out=sigma)
    return np.negative(np.expm1(sigma, out=sigma), out=sigma)


def transparent(sigma: Floats, limit: float) -> npt.NDArray[np.int32]:
    """`Queries.transparent_levels` of densities (levels,rows,columns), NaN unseen."""
    running = np.where(np.isnan(sigma), np.float32(1), sigma).cumsum(0)
    return np.asarray((running <= limit).sum(0), np.int32)
