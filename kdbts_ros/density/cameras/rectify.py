"""One image through a lens, as a pinhole camera in the same place sees it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

Rgb = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

# A straight image of a fisheye is cut to this half field of view: at 60 degrees a pixel already
# stands for four times the area that it stands for in the middle.
MAX_STRAIGHT_ANGLE = np.radians(60)
# Pixels a side of the blocks in whose middle a lens is asked where it shows them, and how far off
# what lies between may be, in pixels of the lens: half a step of OpenCV's tables.
_BLOCK, _CLOSE = 4, 1 / 64


@dataclass(frozen=True, eq=False)
class Warp:
    """A table that turns images of `lens` into those of the pinhole `camera`.

    Attributes:
        lens: of the images that come in.
        camera: of the images that go out; the same centre of projection.
        R_lens_camera: (3,3) optical frame of `camera` to that of `lens`.
        valid: (H,W) pixels of `camera` that `lens` has in its image. The others repeat the nearest
            of these: a frame of black would be an object to a network.
        table_xy, table_fraction: fixed-point positions, as OpenCV takes them.
    """

    lens: Lens
    camera: Camera
    R_lens_camera: Array
    valid: Bools
    table_xy: npt.NDArray[np.int16]
    table_fraction: npt.NDArray[np.uint16]

    @classmethod
    def build(cls, lens: Lens, camera: Camera, R_lens_camera: Array) -> Warp:
        """Compute the table, some 30 ns per pixel of `camera`, 150 more where some are not valid.

        Raises:
            UserError: the lens sees nothing of what the camera would.
        """
        uv = close_positions(lens, camera, R_lens_camera)
        valid = lens.inside(uv)
        if not valid.any():
            raise UserError("the camera sees nothing of what the network expects to see")
        if not valid.all():
            nearest = ndimage.distance_transform_edt(
                ~valid, return_distances=False, return_indices=True
            )
            uv = uv[tuple(nearest)]
        # OpenCV counts pixel centres at integers.
        source = (uv - 0.5).astype(np.float32)
        x, y = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
        table_xy, table_fraction = cv2.convertMaps(x, y, cv2.CV_16SC2)
        return cls(
            lens,
            camera,
            R_lens_camera,
            valid,
            np.asarray(table_xy, np.int16),
            np.asarray(table_fraction, np.uint16),
        )

    @property
    def covered(self) -> float:
        """Share of the camera's image that the lens sees."""
        return float(self.valid.mean())

    def image(self, image: Rgb) -> Rgb:
        """(h,w,3) uint8 of the lens to (H,W,3) uint8 of the camera."""
        warped = cv2.remap(
            image,
            self.table_xy,
            self.table_fraction,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(warped, np.uint8)

    def source(self, image: Rgb, deferred: bool) -> Rgb | RawImage:
        """The camera's image, or what makes it when a `View` is asked for it."""
        return RawImage(image, self) if deferred else self.image(image)


@dataclass(frozen=True, eq=False)
class RawImage:
    """An image (h,w,3) uint8 as a lens took it, and the warp that makes a pinhole's of it: a GPU
    is given both, and where nothing else asks for the pinhole's image it is never made.

    Raises:
        UserError: an image of another size than the lens's.
    """

    pixels: Rgb
    warp: Warp

    def __post_init__(self) -> None:
        camera = self.warp.lens.camera
        expected = (camera.height, camera.width, 3)
        if self.pixels.shape != expected or self.pixels.dtype != np.uint8:
            raise UserError(
                f"a lens needs a uint8 RGB image of shape {expected}, "
                f"got {self.pixels.dtype} {self.pixels.shape}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H,W,3) of the pinhole's image."""
        return self.warp.camera.height, self.warp.camera.width, 3

    def image(self) -> Rgb:
        """(H,W,3) uint8 of the pinhole."""
        return self.warp.image(self.pixels)


def positions(lens: Lens, camera: Camera, R_lens_camera: Array) -> Array:
    """(H,W,2) where the lens shows the camera's pixels, NaN where it shows none."""
    return lens.project(camera.rays().astype(np.float64) @ R_lens_camera.T)


def close_positions(lens: Lens, camera: Camera, R_lens_camera: Array) -> Array:
    """`positions` to within `_CLOSE` pixels of the lens: asked of one pixel in sixteen, between
    which it is a straight line, and wherever it is not."""
    # One block more on each side, to lie between.
    blocks = Camera(
        -(-camera.width // _BLOCK) + 2,
        -(-camera.height // _BLOCK) + 2,
        camera.fx / _BLOCK,
        camera.fy / _BLOCK,
        camera.cx / _BLOCK + 1,
        camera.cy / _BLOCK + 1,
    )
    nodes = positions(lens, blocks, R_lens_camera)
    size = blocks.width * _BLOCK, blocks.height * _BLOCK
    inner = slice(_BLOCK, _BLOCK + camera.height), slice(_BLOCK, _BLOCK + camera.width)
    found = cv2.resize(nodes, size, interpolation=cv2.INTER_LINEAR)[inner]
    # A line between points that bend by d is off by an eighth of it; NaN is never close.
    bends = np.full(nodes.shape[:2], np.nan)
    down = np.abs(np.diff(nodes[:, 1:-1], 2, axis=0)).max(-1)
    across = np.abs(np.diff(nodes[1:-1], 2, axis=1)).max(-1)
    bends[1:-1, 1:-1] = (down + across) / 8
    bends = np.pad(bends[1:-1, 1:-1], 1, "edge")
    doubtful = cv2.dilate((~(bends <= _CLOSE)).astype(np.uint8), np.ones((3, 3), np.uint8))
    if doubtful.any():
        rows, columns = np.nonzero(doubtful.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[inner])
        rays = camera.rays()[rows, columns].astype(np.float64)
        found[rows, columns] = lens.project(rays @ R_lens_camera.T)
    return np.asarray(found)


def straight_camera(lens: Lens) -> Camera:
    """The largest pinhole along the lens's axis, of the same size, that invents no pixel.

    OpenCV's rule for alpha = 0, for every model; a fisheye is cut to `MAX_STRAIGHT_ANGLE`.

    Raises:
        UserError: the optical axis lies outside the image.
    """
    camera = lens.camera
    if not lens.bends:
        return camera
    along_x, along_y = np.linspace(0, camera.width, 33), np.linspace(0, camera.height, 33)
    left = _slope(lens, np.stack([np.zeros(33), along_y], -1), 0)
    right = _slope(lens, np.stack([np.full(33, camera.width), along_y], -1), 0)
    top = _slope(lens, np.stack([along_x, np.zeros(33)], -1), 1)
    bottom = _slope(lens, np.stack([along_x, np.full(33, camera.height)], -1), 1)
    furthest = float(np.tan(MAX_STRAIGHT_ANGLE))
    x0, x1 = max(float(left.max()), -furthest), min(float(right.min()), furthest)
    y0, y1 = max(float(top.max()), -furthest), min(float(bottom.min()), furthest)
    if not (x0 < 0 < x1 and y0 < 0 < y1):
        raise UserError("the optical axis of the lens lies outside its image: calibrate the camera")
    fx, fy = camera.width / (x1 - x0), camera.height / (y1 - y0)
    return Camera(camera.width, camera.height, fx, fy, -x0 * fx, -y0 * fy)


def _slope(lens: Lens, uv: Array, axis: int) -> Array:
    """(N,) x / z or y / z of the rays through an edge, beyond all bounds where there are none."""
    rays = lens.unproject(uv)
    outward = np.sign(uv[:, axis] - [lens.camera.cx, lens.camera.cy][axis])
    with np.errstate(invalid="ignore", divide="ignore"):
        forward = rays[:, 2] > 0
        return np.where(forward, rays[:, axis] / rays[:, 2], outward * np.inf)
