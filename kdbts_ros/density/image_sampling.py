"""How the network's input is sampled from a larger image, as numbers a GPU can apply.

`Separable` has what `cv2.resize` does as weights of rows and of columns, `Table` what `cv2.remap`
does. Both give OpenCV's image to within a grey level, which is how far its own roundings go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.results import Floats
from kdbts_ros.density.warp import Warp

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
    """Positions xy (H*factor, W*factor, 2) in a source of size (height, width), pixel centres at
    whole numbers; an output pixel is the mean of factor x factor of them."""

    source: tuple[int, int]
    xy: Floats
    factor: int

    @classmethod
    def of_warp(cls, warp: Warp, factor: int) -> Table:
        """A warp to `factor` times the network's size, positions as OpenCV rounds them."""
        part = warp.map_fraction.astype(np.int32)
        ones = (1 << _FRACTION_BITS) - 1
        fractions = np.stack([part & ones, part >> _FRACTION_BITS], -1) / (1 << _FRACTION_BITS)
        camera = warp.lens.camera
        xy = (warp.map_xy + fractions).astype(np.float32)
        return cls((camera.height, camera.width), xy, factor)


Sampling = Separable | Table
