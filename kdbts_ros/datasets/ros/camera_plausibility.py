"""What no real camera has: calibrations that would make maps of nonsense, refused by their field.

The bounds are wide on purpose. They hold fisheyes beyond 180 degrees, telephoto lenses of 5
degrees, crops whose principal point lies outside the image, and pixels three times as wide as high.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kdbts_ros.density.cameras.lenses import BrownConrady, Distortion, Equidistant, Lens
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

# Larger than any camera; what claims more is broken, or an attempt to exhaust memory.
MAX_PIXELS = 100_000_000
# Full field of view: of the wider axis at least, of either axis of an image without a fisheye at
# most.
NARROWEST, WIDEST = 5.0, 170.0
# fx may be this many times fy, and the reverse: half-height video and one-sided binning have 2.
ASPECT = 3.0
# How far outside the image the principal point may lie, as a share of the image.
OUTSIDE = 0.5
# Pixels with a ray, as a share of the image: a lens is calibrated with what its image shows, while
# the image circle of a fisheye may fill less than half of a wide sensor.
COVERED, COVERED_FISHEYE = 2 / 3, 1 / 3
# Distortion may narrow the view to the border by this much: real pincushions have a few per cent.
PINCUSHION = 2.0
# Rays are asked for on a grid of so many pixels along each side.
GRID = 33


def check_size(width: int, height: int) -> None:
    """Raise UserError for a size that no camera has."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UserError(f"camera_info width x height is {width}x{height}")


def check_matrix(matrix: Array, name: str) -> None:
    """Raise UserError unless (3,3) K, or that part of P, has the form of a camera matrix."""
    columns = 4 if name == "P" else 3
    for row, column, expected in ((1, 0, 0.0), (2, 0, 0.0), (2, 1, 0.0), (2, 2, 1.0)):
        value = matrix[row, column]
        if abs(value - expected) > 1e-6:
            raise UserError(
                f"camera_info {name}[{row * columns + column}] is {value:g}: it must be "
                f"{expected:g}; calibrate the camera"
            )
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise UserError(
            f"camera_info {name} has focal lengths {matrix[0, 0]:g} and {matrix[1, 1]:g}: "
            "they must be positive; calibrate the camera"
        )
    if abs(matrix[0, 1]) > 1e-6 * matrix[0, 0]:
        raise UserError(f"camera_info {name} has a skew of {matrix[0, 1]:g}: rectify the image")


@lru_cache(maxsize=64)
@np.errstate(all="ignore")  # what overflows is refused here
def check_camera(camera: Camera, distortion: Distortion, name: str) -> None:
    """Raise UserError unless a whole sensor's camera could be real.

    Drivers say the same with every image: what was found good is not looked at again.

    Args:
        name: of the matrix that the camera was read from, for the sentence.
    """
    ratio = camera.fx / camera.fy
    if not 1 / ASPECT <= ratio <= ASPECT:
        raise UserError(
            f"camera_info {name} has focal lengths {camera.fx:g} and {camera.fy:g}: no pixel is "
            f"{max(ratio, 1 / ratio):.3g} times as long as wide; calibrate the camera"
        )
    for axis, centre, size in (("x", camera.cx, camera.width), ("y", camera.cy, camera.height)):
        if not -OUTSIDE * size <= centre <= (1 + OUTSIDE) * size:
            raise UserError(
                f"camera_info {name} has its principal point at c{axis} {centre - 0.5:g}, far "
                f"outside {camera.width}x{camera.height}: calibrate the camera at this size"
            )
    _check_view(camera, distortion, name)
    _check_domain(Lens(camera, distortion))


def _check_view(camera: Camera, distortion: Distortion, name: str) -> None:
    """The field of view by the matrix alone; a lens that bends lines is judged by its domain."""
    left, top = camera.cx / camera.fx, camera.cy / camera.fy
    right, bottom = camera.width / camera.fx - left, camera.height / camera.fy - top
    if isinstance(distortion, Equidistant):
        # The radius is the angle; a picture of the whole circle may be wider than the circle.
        views = np.degrees([left + right, top + bottom])
        fits = views.max() >= NARROWEST and views.min() <= 360
    else:
        views = np.degrees(np.arctan([left, top]) + np.arctan([right, bottom]))
        fits = NARROWEST <= views.max() <= WIDEST
    if not fits:
        raise UserError(
            f"camera_info {name} has focal lengths {camera.fx:g} and {camera.fy:g} for "
            f"{camera.width}x{camera.height} pixels, a field of view of {views[0]:.3g} x "
            f"{views[1]:.3g} degrees: calibrate the camera at this size"
        )


def _check_domain(lens: Lens) -> None:
    if not lens.bends:
        return
    camera, share = lens.camera, np.linspace(0.0, 1.0, GRID)
    u, v = np.meshgrid(share * camera.width, share * camera.height)
    uv = np.stack([u, v], -1)
    with np.errstate(all="ignore"):
        rays = lens.unproject(uv)
    seen = np.isfinite(rays).all(-1)
    bent_little = isinstance(lens.distortion, BrownConrady)
    if seen.mean() < (COVERED if bent_little else COVERED_FISHEYE):
        raise UserError(
            f"camera_info D bends back: only {seen.mean():.0%} of the image has a direction; "
            "calibrate the camera"
        )
    if bent_little:
        _check_pincushion(lens, uv, rays)


def _check_pincushion(lens: Lens, uv: Array, rays: Array) -> None:
    flat = np.hypot(rays[..., 0], rays[..., 1]) / rays[..., 2]
    camera = lens.camera
    bent = np.hypot((uv[..., 0] - camera.cx) / camera.fx, (uv[..., 1] - camera.cy) / camera.fy)
    if np.nanmax(bent) > PINCUSHION * np.nanmax(flat):
        raise UserError(
            f"camera_info D moves the border of the image {np.nanmax(bent) / np.nanmax(flat):.3g} "
            "times as far out as it would be: calibrate the camera"
        )
