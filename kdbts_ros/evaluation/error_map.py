"""Where a map is right and wrong, in colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.maps.preview import map_with_robot
from kdbts_ros.evaluation.columns import Columns
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.pictures import UNKNOWN_COLOUR, Rgb, fitted, near_for, panel

# Rows: truly free, truly occupied; columns: predicted free, predicted occupied.
COLOURS = np.array([[(240, 240, 236), (206, 62, 48)], [(48, 110, 206), (24, 28, 52)]], np.uint8)
LEGEND = "errors: red false, blue missed, pale hidden"
# How much of its colour a hidden column keeps.
_HIDDEN = 0.7


def error_picture(columns: Columns, predicted: npt.NDArray[np.bool_]) -> Rgb:
    """The compared cells by `COLOURS`, hidden ones paler, x up and y left."""
    truth = columns.truth
    colours = COLOURS[truth.occupied.astype(int), predicted.astype(int)].astype(np.float64)
    pale = 255 - (255 - colours) * _HIDDEN
    mixed = np.where(truth.visible[:, None], colours, pale)
    picture = np.full((*columns.compared.shape, 3), UNKNOWN_COLOUR, np.uint8)
    picture[columns.compared] = np.rint(mixed).astype(np.uint8)
    return np.ascontiguousarray(picture.transpose(1, 0, 2)[::-1, ::-1])


def occupancy_panel(
    sample: Sample,
    depth: npt.NDArray[np.float32],
    columns: Columns,
    probability: npt.NDArray[np.float32],
    predicted: npt.NDArray[np.bool_],
) -> Rgb:
    """Camera and depth beside the map, the true map and where they differ."""
    window, T = columns.window, sample.T_world_base
    percent = np.full(columns.compared.shape, -1, np.int8)
    percent[columns.compared] = np.rint(np.nan_to_num(probability) * 100)
    maps = [
        ("probability", map_with_robot(window, percent, T)),
        ("truth", map_with_robot(window, columns.on_grid(columns.truth.occupied), T)),
        (LEGEND, fitted(error_picture(columns, predicted), 400)),
    ]
    near = near_for(window.width * window.resolution)
    return panel(sample.view.image, depth, maps, near=near)
