"""Does an earlier view still show the same world? A photometric gate for views of other times.

Fusing views takes the world to stand still. Where a car has driven on, the surface that the newest
view sees there does not look the same from an earlier pose. This gate moves the obstacles' surfaces
of the reference view into the other view, by the rendered depth, and counts how many of them have
there a colour that fits, as the photometric loss does in training (Godard et al., "Digging into
Self-Supervised Monocular Depth Estimation", ICCV 2019).

A colour fits when it lies between the darkest and brightest colour around the place it is expected,
within a tolerance (after Birchfield and Tomasi, "A Pixel Dissimilarity Measure That Is Insensitive
to Image Sampling", PAMI 1998): depth is never exact, and a gate that punished its errors would drop
the views that could correct them. A common change of brightness is taken out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import DepthMap
from kdbts_ros.density.geometry.camera import Array, Camera, inverse, transform
from kdbts_ros.density.views.keyframes import KeptView
from kdbts_ros.errors import UserError

Floats = npt.NDArray[np.float32]

# Width of the images and depth maps that are compared, whatever the network's: about 80 x 24 pixels
# see a car within the map's reach, and cost a millisecond.
COLUMNS = 80


class Coloured(Protocol):
    """What is asked of a view: `kdbts_ros.density.engines.encoded_view.EncodedView`."""

    @property
    def camera(self) -> Camera: ...

    @property
    def T_world_cam(self) -> Array: ...

    @property
    def image(self) -> npt.NDArray[np.uint8]: ...


@dataclass(frozen=True)
class ConsistencyRules:
    """What is compared and what is asked.

    tolerance: of a colour, as a share of the range from black to white.
    reach: surfaces up to this z-depth count, m: beyond the map nothing can be spoilt.
    height: above the ground, m; below lies road, which never moves.
    least_share: of fitting surfaces; a view with less is dropped.
    least_points: fewer comparable surfaces say nothing, and the view stays.
    """

    tolerance: float = 0.06
    reach: float = 25.0
    height: float = 0.3
    least_share: float = 0.9
    least_points: int = 40

    def __post_init__(self) -> None:
        if not (0 < self.tolerance < 1 and 0 <= self.least_share <= 1 and self.reach > 0):
            raise UserError(
                "a consistency gate needs a tolerance and a share between 0 and 1 and a reach "
                "above 0 m"
            )


@dataclass(frozen=True)
class Agreement:
    """share (0..1) of `points` surfaces of the reference view that another view shows alike."""

    share: float
    points: int


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Obstacle surfaces of a view: xyz (N,3) in the world, m, and colour (N,3) in 0..1."""

    xyz: Array
    colour: Floats

    @classmethod
    def of(
        cls, view: Coloured, depth: DepthMap, ground_z: float, rules: ConsistencyRules
    ) -> Surfaces:
        """What a view sees, by its depth map; the ground is the plane z = ground_z of the world."""
        camera = depth.camera
        z = depth.valid()
        xyz = transform(view.T_world_cam, camera.rays() * np.nan_to_num(z)[..., None])
        chosen = np.isfinite(z) & (z < rules.reach) & (xyz[..., 2] > ground_z + rules.height)
        small = cv2.resize(view.image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        return cls(xyz[chosen], np.asarray(small, np.float32)[chosen] / np.float32(255))


def stride_for(width: int) -> int:
    """Every how many pixels of images of this width are compared."""
    return max(1, round(width / COLUMNS))


def agreement(surfaces: Surfaces, view: Coloured, rules: ConsistencyRules) -> Agreement:
    """How many of the surfaces another view shows alike; those outside its image do not count."""
    height, width = view.image.shape[:2]
    stride = stride_for(width)
    size = width // stride, height // stride
    camera = view.camera.resized(*size)
    uv, z = camera.project(transform(inverse(view.T_world_cam), surfaces.xyz))
    with np.errstate(invalid="ignore"):
        inside = (z > 0.5) & (uv >= 0).all(-1) & (uv < size).all(-1)
    if not inside.any():
        return Agreement(1.0, 0)
    small = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    around = np.ones((3, 3), np.uint8)
    column, row = uv[inside].astype(np.int64).T
    darkest, brightest, expected = (
        np.asarray(image, np.float32)[row, column] / 255
        for image in (cv2.erode(small, around), cv2.dilate(small, around), small)
    )
    colour = surfaces.colour[inside]
    # Exposure and white balance change between images; most surfaces do not.
    colour = colour + np.median(expected - colour, axis=0)
    outside = np.maximum(darkest - colour, colour - brightest).clip(0)
    fits = outside.max(-1) <= rules.tolerance
    return Agreement(float(fits.mean()), int(inside.sum()))


class ConsistencyGate:
    """A `ViewGate`: 1 for a view that shows the world of the reference view, 0 for another.

    Args:
        depth_of: depth map of a view, see `pipeline.depth_from`; asked once per reference view.
        rules: may be changed between frames.

    Attributes:
        ground_z: height of the ground below the robot in the world, m; set it with every frame.
        dropped: views so far.
    """

    def __init__(
        self,
        depth_of: Callable[[KeptView], DepthMap],
        rules: ConsistencyRules | None = None,
    ) -> None:
        self._depth_of = depth_of
        self.rules = rules or ConsistencyRules()
        self.ground_z = 0.0
        self._reference: KeptView | None = None
        self._surfaces: Surfaces | None = None
        self.dropped = 0

    def __call__(self, reference: KeptView, candidate: KeptView) -> float:
        """The weight of a candidate beside the reference view."""
        rules = self.rules
        if rules.least_share <= 0:
            return 1.0
        if self._surfaces is None or self._reference is not reference:
            depth = self._depth_of(reference)
            self._surfaces = Surfaces.of(reference.view, depth, self.ground_z, rules)
            self._reference = reference
        found = agreement(self._surfaces, candidate.view, rules)
        good = found.points < rules.least_points or found.share >= rules.least_share
        self.dropped += int(not good)
        return 1.0 if good else 0.0
