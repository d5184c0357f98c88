"""How the network's input is sampled from a larger image, as numbers a GPU can apply.

`Separable` has what `cv2.resize` does as weights of rows and of columns, to within a grey level,
which is how far OpenCV's own roundings go; `Table` has what `cv2.remap` does, to the bit. A
`Sampling` is one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.engines.answers import Floats

Ints = npt.NDArray[np.int32]
# Bits of a fraction in OpenCV's fixed-point tables.
_FRACTION_BITS = 5


@dataclass(frozen=True, eq=False)
class Axis:
    """Output pixel i of an axis is the sum of weights[i] (n,taps) times pixels from start[i] (n,)
    on; weights beyond the border are 0."""

    start: Ints
    weights: Floats

    @classmethod
    def area(cls, source: int, target: int) -> Axis:
        """The mean over what a pixel covers: OpenCV's INTER_AREA, for target <= source."""
        edges = np.arange(target + 1) * (source / target)
        low, high = edges[:-1], np.minimum(edges[1:], source)
        # Edges such as 3 * (10 / 3) may miss a whole number by rounding.
        start = np.floor(low + 1e-9).astype(np.int32)
        taps = int(np.max(np.ceil(high - 1e-9) - start))
        pixels = start[:, None] + np.arange(taps)
        shared = np.minimum(pixels + 1, high[:, None]) - np.maximum(pixels, low[:, None])
        weights = np.maximum(shared, 0) * (pixels < source)
        weights /= weights.sum(1, keepdims=True)
        return cls(start, weights.astype(np.float32))

    @classmethod
    def linear(cls, source: int, target: int) -> Axis:
        """Between the two nearest centres: OpenCV's INTER_LINEAR."""
        centres = (np.arange(target) + 0.5) * (source / target) - 0.5
        centres = np.clip(centres, 0, source - 1)
        start = np.minimum(np.floor(centres), max(source - 2, 0)).astype(np.int32)
        share = (centres - start).astype(np.float32)
        return cls(start, np.stack([1 - share, share], -1))


@dataclass(frozen=True, eq=False)
class Separable:
    """Rows and columns apart, of a source of size (height, width)."""

    source: tuple[int, int]
    rows: Axis
    columns: Axis

    @classmethod
    def resize(cls, source: tuple[int, int], target: tuple[int, int], method: str) -> Separable:
        """What `SceneCompleter` does to an image of size `source` (height, width).

        method: "area" or "linear", as in `NetworkSpec.resize`. Area averaging is for images that
        are larger along both axes.
        """
        shrinks = source[0] > target[0] and source[1] > target[1]
        axis = Axis.area if method == "area" and shrinks else Axis.linear
        rows, columns = (axis(s, t) for s, t in zip(source, target, strict=True))
        return cls(source, rows, columns)

    def apply(self, image: npt.NDArray[np.uint8]) -> Floats:
        """(h,w,3) to (H,W,3) grey levels before rounding; the plain form of the GPU's kernel."""
        rows = np.minimum(
            self.rows.start[:, None] + np.arange(self.rows.weights.shape[1]), self.source[0] - 1
        )
        across = np.minimum(
            self.columns.start[:, None] + np.arange(self.columns.weights.shape[1]),
            self.source[1] - 1,
        )
        tall = np.einsum("ot,otwc->owc", self.rows.weights, image[rows].astype(np.float32))
        found = np.einsum("ot,hotc->hoc", self.columns.weights, tall[:, across])
        return np.asarray(found, np.float32)


@dataclass(frozen=True, eq=False)
class Table:
    """Positions xy (H,W,2) in an image of size `source` (height, width), pixel centres at whole
    numbers, of the pixels of another image."""

    source: tuple[int, int]
    xy: Floats

    @classmethod
    def of_warp(cls, warp: Warp) -> Table:
        """Positions as OpenCV rounds them: to five bits behind the point, so that a sample is the
        same in float32 as in OpenCV's integers."""
        part = warp.table_fraction.astype(np.int32)
        ones = (1 << _FRACTION_BITS) - 1
        fractions = np.stack([part & ones, part >> _FRACTION_BITS], -1) / (1 << _FRACTION_BITS)
        camera = warp.lens.camera
        xy = (warp.table_xy + fractions).astype(np.float32)
        return cls((camera.height, camera.width), xy)

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """(h,w,3) to (H,W,3); the plain form of the GPU's kernel."""
        limit = np.array(self.source[::-1], np.float32) - 1
        xy = np.clip(self.xy, 0, limit)
        left, top = np.moveaxis(xy.astype(np.int32), -1, 0)
        fx, fy = np.moveaxis(xy - np.floor(xy), -1, 0)[..., None]
        right, below = np.minimum(left + 1, limit[0]), np.minimum(top + 1, limit[1])
        corners = image.astype(np.float32)
        upper = (1 - fx) * corners[top, left] + fx * corners[top, right.astype(np.int32)]
        under = below.astype(np.int32)
        lower = (1 - fx) * corners[under, left] + fx * corners[under, right.astype(np.int32)]
        return np.floor((1 - fy) * upper + fy * lower + np.float32(0.5)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Sampling:
    """The network's input of the image that is uploaded: `resize`, of what `table` makes of it
    where there is one. The image between the two is rounded to whole grey levels, as on a CPU."""

    resize: Separable
    table: Table | None = None

    @classmethod
    def of_warp(cls, warp: Warp, target: tuple[int, int], method: str) -> Sampling:
        """Of an image as a lens took it, to `target` (height, width); method: see `Separable`."""
        between = warp.camera.height, warp.camera.width
        return cls(Separable.resize(between, target, method), Table.of_warp(warp))

    @property
    def source(self) -> tuple[int, int]:
        """Height and width of the image that is uploaded."""
        return self.resize.source if self.table is None else self.table.source

    def apply(self, image: npt.NDArray[np.uint8]) -> Floats:
        """(h,w,3) to (H,W,3) grey levels before rounding; the plain form of the GPU's kernel."""
        return self.resize.apply(image if self.table is None else self.table.apply(image))
