"""The map of a few columns as the node would publish it, which looks at more than these."""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, OccupancyMap
from kdbts_ros.density.scene import SceneCompleter

# Of the side of a map head's lattice, around the columns that are asked for.
_MARGIN = 0.25


def mapped(
    scene: SceneCompleter, T_world_base: Array, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """What `map_around` says of a window within a larger one: a map head looks at neighbours."""
    head = scene.map_head(len(scene.views))
    if head is None:
        return map_around(scene, T_world_base, window, band)
    around = _MARGIN * head.spec.length
    cells = int(np.ceil(around / window.resolution))
    low = cells * window.resolution
    wide = GridWindow(
        window.resolution, window.width + 2 * cells, window.height + 2 * cells,
        window.x0 - low, window.y0 - low,
    )  # fmt: skip
    found = map_around(scene, T_world_base, wide, band)
    inner = slice(cells, cells + window.height), slice(cells, cells + window.width)
    return OccupancyMap(window, found.probability[inner], found.observed[inner])
