"""Pictures of inputs and outputs: depth, maps and the panel that sets them side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]

NEAR, FAR = 3.0, 80.0
# Of a map's range: what is nearer has one colour in the picture of depths beside it.
_NEAR_SHARE, _NEAREST = 0.15, 0.3
UNKNOWN_COLOUR = (112, 112, 122)
FREE_COLOUR = (240, 240, 236)
OCCUPIED_COLOUR = (24, 28, 52)
TEXT_COLOUR = (20, 20, 20)
BACKGROUND = 252
CAPTION_HEIGHT = 22


def near_for(range_m: float) -> float:
    """Brightest depth, m, beside maps that reach so far: 3 m on streets, less in rooms."""
    return min(NEAR, max(_NEAREST, _NEAR_SHARE * range_m))


def depth_picture(depth: npt.NDArray[np.float32], near: float = NEAR) -> Rgb:
    """(H,W) z-depth in m to RGB: `near` bright, far dark on an inverse scale, invalid grey."""
    valid = np.isfinite(depth) & (depth > 0)
    inverse = (1 / np.clip(np.where(valid, depth, FAR), near, FAR) - 1 / FAR) / (1 / near - 1 / FAR)
    shades = (np.sqrt(inverse) * 255).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_MAGMA), cv2.COLOR_BGR2RGB)
    coloured[~valid] = UNKNOWN_COLOUR
    return np.asarray(coloured, np.uint8)


def map_picture(grid: npt.NDArray[np.int8]) -> Rgb:
    """(H,W) occupancy -1 or 0..100 to RGB, seen from above with x up and y left."""
    share = np.clip(grid, 0, 100)[..., None] / 100.0
    mixed = (1 - share) * FREE_COLOUR + share * OCCUPIED_COLOUR
    mixed[grid < 0] = UNKNOWN_COLOUR
    # Rows are y and columns x: transposed and flipped, x points up and y to the left.
    return np.ascontiguousarray(mixed.transpose(1, 0, 2)[::-1, ::-1].astype(np.uint8))


def robot_marker(picture: Rgb, row: float, column: float, heading: float) -> Rgb:
    """Draw the robot as a triangle; (row, column) pixels of the picture, heading 0 up, ccw rad."""
    size = max(3.0, picture.shape[0] / 45)
    angles = heading + np.array([0.0, 2.5, -2.5])
    corners = np.stack([column - size * np.sin(angles), row - size * np.cos(angles)], -1)
    drawn = picture.copy()
    cv2.fillPoly(drawn, [np.rint(corners).astype(np.int32)], (214, 64, 48), cv2.LINE_AA)
    return drawn


def captioned(picture: Rgb, caption: str) -> Rgb:
    """The picture under a strip with its caption."""
    strip = np.full((CAPTION_HEIGHT, picture.shape[1], 3), BACKGROUND, np.uint8)
    cv2.putText(
        strip, caption, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT_COLOUR, 1, cv2.LINE_AA
    )
    return np.vstack([strip, picture])


def fitted(picture: Rgb, height: int) -> Rgb:
    """Scaled to a height; maps keep hard cell edges when enlarged."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    enlarges = height > picture.shape[0]
    method = cv2.INTER_NEAREST if enlarges else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def panel(
    image: Rgb,
    depth: npt.NDArray[np.float32],
    maps: Sequence[tuple[str, Rgb]],
    height: int = 420,
    near: float = NEAR,
) -> Rgb:
    """Camera above depth on the left, captioned maps (name, picture) to the right.

    near: of `depth_picture`.
    """
    half = (height - 2 * CAPTION_HEIGHT) // 2
    camera = fitted(image, half)
    shaded = cv2.resize(depth_picture(depth, near), (camera.shape[1], half))
    left = np.vstack(
        [captioned(camera, "camera"), captioned(np.asarray(shaded, np.uint8), "depth")]
    )
    columns = [left]
    for name, picture in maps:
        column = captioned(fitted(picture, left.shape[0] - CAPTION_HEIGHT), name)
        gap = np.full((left.shape[0], 6, 3), BACKGROUND, np.uint8)
        columns += [gap, column]
    return np.hstack(columns)
