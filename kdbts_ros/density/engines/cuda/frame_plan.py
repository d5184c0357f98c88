"""What a GPU's frame is prepared for, which views share one, and what it is handed. No Triton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density.cameras.rectify import RawImage, Warp
from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids, OwnPixels, stretched
from kdbts_ros.density.engines.cuda.image_sampling import Sampling, Separable
from kdbts_ros.density.geometry.camera import OwnCamera, View
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.density.network.volume_rendering import visibility_rays

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class FramePlan:
    """What a graph is captured for; everything else of a frame is in its parameters.

    Numbers of `sampling` and `valid` may be exchanged for those of another plan of one `plan_key`.

    Attributes:
        sampling: of the network's input from the image that is uploaded.
        shape: (levels,rows,columns) of the map's grid.
        samples: (S,) depths as the network is shown, at which light is asked where it ends.
        visibility: (h,w) of the grid of rays along which that is asked.
        valid: see `View.valid`.
    """

    sampling: Sampling
    shape: Shape
    samples: Floats
    visibility: tuple[int, int]
    valid: Bools | None = None

    @classmethod
    def of(cls, view: View, shape: Shape, spec: NetworkSpec, samples: Floats) -> FramePlan:
        """For views like this one and grids of a shape; samples (S,) in m of the view's world."""
        target = spec.image_height, spec.image_width
        picture = _picture(view)
        sampling = (
            Sampling.of_warp(picture, target, spec.resize)
            if isinstance(picture, Warp)
            else Sampling(Separable.resize(picture, target, spec.resize))
        )
        visibility = visibility_rays(spec.image_height, spec.image_width)
        return cls(sampling, shape, samples * np.float32(view.scale), visibility, view.valid)


class FrameEncoding(NamedTuple):
    """Folded map (hidden,H,W) float32, channels last, on its device; the image (H,W,3) uint8 that
    the network was shown; the depth (h,w) at which half the light is gone, as it is shown."""

    map: Tensor
    image: npt.NDArray[np.uint8]
    visibility: Floats


@dataclass(frozen=True, eq=False)
class DepthPlan:
    """What a depth image of a frame is prepared for: see `DepthMap.valid` and `published`.

    Attributes:
        samples: (S,) depths as the network is shown, at which rays are sampled.
        size: (h,w) of the grid of rays.
        scale: see `View`.
        thickness: optical depth at which depth is told; None: d̂ is, the expectation.
        seen: (h,w) rays of which the image held something; None: all.
        own: the real camera of a warped view, and `pixels`, where its pixels lie in the view.
    """

    samples: Floats
    size: tuple[int, int]
    scale: float
    thickness: float | None = None
    seen: Bools | None = None
    own: OwnCamera | None = None
    pixels: OwnPixels | None = None

    @classmethod
    def of(
        cls, view: View, size: tuple[int, int], samples: Floats, thickness: float | None = None
    ) -> DepthPlan:
        """For views like this one; samples (S,) in m of the view's world."""
        own = view.own
        pixels = None if own is None else OwnPixels.of(own, view.camera.resized(size[1], size[0]))
        seen = None if view.valid is None else stretched(view.valid, size)
        shown = samples * np.float32(view.scale)
        return cls(shown, size, view.scale, thickness, seen, own, pixels)


class FrameDepth(NamedTuple):
    """`DepthMap.valid` (h,w), and of a warped view the depth (H,W) in its own camera."""

    valid: Floats
    own: Floats | None

    def divided(self, scale: float) -> FrameDepth:
        """Of a view that is anchored by a scale."""
        if scale == 1:
            return self
        by = np.float32(scale)
        return FrameDepth(self.valid / by, None if self.own is None else self.own / by)


class DepthGraph(Protocol):
    """What computes depth images of a graph's frames: `GraphedDepth`."""

    @property
    def note(self) -> str:
        """What it had to do without."""

    def run(self) -> FrameDepth:
        """Of the last frame."""
        ...

    def show(self, plan: DepthPlan) -> None:
        """Take the tables of another plan of the same key, from the next run on."""
        ...

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone."""
        ...


class Graph(Protocol):
    """What computes the frames of one plan: `GraphedFrame`."""

    @property
    def note(self) -> str:
        """What it had to do without."""

    def run(self, image: npt.NDArray[np.uint8], params: Floats) -> FrameGrids:
        """One frame from beginning to end."""
        ...

    def show(self, plan: FramePlan) -> None:
        """Take the tables of another plan of the same key, from the next run on."""
        ...

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone for a frame like the last one."""
        ...

    def depths(self, plan: DepthPlan) -> DepthGraph:
        """Prepares depth images of the last frame."""
        ...

    def visibility(self) -> Floats:
        """(h,w) of the last frame: see `FrameEncoding`."""
        ...

    def encoding(self) -> FrameEncoding:
        """What the network made of the last frame."""
        ...


def plan_key(view: View, shape: Shape) -> tuple[object, ...]:
    """Equal for views and grids whose plans differ at most in their tables: a camera that rocks."""
    picture = _picture(view)
    shown = (picture.lens, picture.camera) if isinstance(picture, Warp) else picture
    # Heights on one raster are equal but for rounding.
    return shown, shape, round(view.scale, 6), view.valid is None


def depth_key(view: View, size: tuple[int, int]) -> tuple[object, ...]:
    """Likewise for the `DepthPlan`s of views of one `plan_key`."""
    return (size, None) if view.own is None else (size, view.own.camera, view.camera)


class Tables(NamedTuple):
    """What plans of one key may differ in, held, and so to be told apart by identity."""

    picture: Warp | tuple[int, int]
    valid: Bools | None
    own: OwnCamera | None

    @classmethod
    def of(cls, view: View) -> Tables:
        return cls(_picture(view), view.valid, view.own)

    def are(self, other: Tables) -> bool:
        """Whether these are the same tables."""
        sized = self.picture == other.picture
        return sized and self.valid is other.valid and self.own is other.own


def uploaded(view: View) -> npt.NDArray[np.uint8]:
    """The image a GPU is handed: the camera's own, where there is a table that straightens it."""
    return view.source.pixels if isinstance(view.source, RawImage) else view.image


def _picture(view: View) -> Warp | tuple[int, int]:
    """What the input is sampled from: an image of a size, or what a table makes of another."""
    if isinstance(view.source, RawImage):
        return view.source.warp
    return view.camera.height, view.camera.width
