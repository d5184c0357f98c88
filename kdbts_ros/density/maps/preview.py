"""What a frame gave, as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kdbts_ros import pictures
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.density.maps.grid import GridWindow


def preview_panel(
    view: View,
    depth: npt.NDArray[np.float32],
    window: GridWindow,
    maps: Sequence[tuple[str, npt.NDArray[np.int8]]],
    T_fixed_base: Array,
) -> npt.NDArray[np.uint8]:
    """Camera, depth and captioned maps side by side, with the robot on the maps."""
    return pictures.panel(
        view.image,
        depth,
        [(name, map_with_robot(window, cells, T_fixed_base)) for name, cells in maps],
        near=pictures.near_for(0.5 * window.width * window.resolution),
    )


def map_with_robot(
    window: GridWindow, grid: npt.NDArray[np.int8], T_fixed_base: Array
) -> npt.NDArray[np.uint8]:
    """A map's picture (x up, y left) with the robot drawn on it."""
    picture = pictures.map_picture(grid)
    scale = max(1, round(400 / picture.shape[0]))
    picture = pictures.fitted(picture, picture.shape[0] * scale)
    column = (window.height - (T_fixed_base[1, 3] - window.y0) / window.resolution) * scale
    row = (window.width - (T_fixed_base[0, 3] - window.x0) / window.resolution) * scale
    heading = float(np.arctan2(T_fixed_base[1, 0], T_fixed_base[0, 0]))
    return pictures.robot_marker(picture, row, column, heading)
