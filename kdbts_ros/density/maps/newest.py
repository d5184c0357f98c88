"""What the newest image observes is on the map, whatever earlier views say of the place.

Fusing views takes the world to stand still. Where a car has come since, earlier views saw a road,
and together they outvote the one image that shows the car. A map of several views is therefore
never less occupied than the map of the newest one alone

* in cells that the newest image observes: light reaches them, the face of what it sees included;
* within `MOVED_WITHIN` of a cell that it observes occupied and all views together call free: there
  something came into what was free before, and of its body, which the newest image can only
  complete, earlier views know nothing either.

Elsewhere the views together say what hides behind things, as they do it best. What only earlier
views called occupied stays: what has left is erased by their own fusion (docs/maps.md).
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from kdbts_ros.density.engines.answers import Bools
from kdbts_ros.density.maps.grid import OccupancyMap

# How far behind its face a thing that moves is taken to reach, m. Chosen on drives with and without
# moving cars: less loses cars, more loses what earlier views know (docs/maps.md).
MOVED_WITHIN = 1.5


def no_less_than(
    newest: OccupancyMap, together: OccupancyMap, occupied_from: float
) -> OccupancyMap:
    """The map of several views, no less occupied than that of the newest where it has a say.

    Both are of one window, each by the curves of its own head. A cell that the newest
    image observes is observed. occupied_from: probability from which a column is called occupied.
    """
    alone, all_say = newest.probability, together.probability
    known = np.isfinite(alone)
    # Of what is not a number nothing is called free or occupied.
    came = newest.observed & (alone >= occupied_from) & ~(all_say >= occupied_from)
    heard = newest.observed | (known & _around(came, newest.window.resolution))
    probability = np.where(heard, np.fmax(alone, all_say), all_say)
    observed = together.observed | newest.observed
    return replace(together, probability=probability, observed=observed)


def _around(cells: Bools, resolution: float) -> Bools:
    """(H,W): whether one of these cells (H,W) lies within `MOVED_WITHIN`."""
    reach = round(MOVED_WITHIN / resolution)
    if reach < 1 or not cells.any():
        return cells
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(cells.astype(np.uint8), disc), np.bool_)
