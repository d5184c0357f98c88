"""The bird's-eye occupancy map a planner reads: densities of columns over a height band, summed.

What the newest image observes is on the map, whatever earlier views say of the place.

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

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from kdbts_ros.density.engines.answers import Bools
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import ColumnSums
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.maps.grid import (
    GridWindow,
    HeightBand,
    MapArea,
    OccupancyMap,
    Pose,
    band_columns,
)
from kdbts_ros.density.maps.probability import ProbabilityCurves
from kdbts_ros.density.scene import SceneCompleter, Speaker

# A column says something only if the views see this share of its band; what little they see of the
# rest would call columns free by the sky above them.
MIN_SEEN_SHARE = 0.5
# How far behind its face a thing that moves is taken to reach, m. Chosen on drives with and without
# moving cars: less loses cars, more loses what earlier views know (docs/maps.md).
MOVED_WITHIN = 1.5


def map_around(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """Occupancy of the columns of `window`, fixed frame = world of the scene's views.

    The ground is the plane z = 0 of the robot's base frame, so that a pitching robot or a slope
    carries its band with it. A column's probability comes from its optical depth over the seen part
    of the band, the sum of density x layer thickness, by the curves of the head that answers. What
    the reference view observes is on the map whatever the others say, see above. Last, the map is
    completed by the network's map head, where it has one for so many views.
    """
    area = MapArea(T_fixed_base, window, band)
    return completed(scene, scene.views, map_of_columns(scene, area), area)


def map_of_columns(scene: SceneCompleter, area: MapArea) -> OccupancyMap:
    """As `map_around`, before any map head."""
    together, views = map_together(scene, *area), len(scene.views)
    if views == 1:
        return together
    return no_less_than(map_alone(scene, *area), together, scene.columns_from(views))


def completed(
    scene: SceneCompleter, views: Sequence[EncodedView], found: OccupancyMap, area: MapArea
) -> OccupancyMap:
    """The map of these views, the reference view first, by the network's map head; as it is where
    there is none for so many."""
    head = scene.map_head(len(views))
    if head is None:
        return found
    return head.completed(found, views[0], scene.feature_map(views[0]), area)


def map_together(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """As `map_around`, what all views in use say by the one head that fuses them."""
    return _map_by(scene.together, scene.spec.depth_near, T_fixed_base, window, band)


def map_alone(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """As `map_around`, what the reference view says alone."""
    return _map_by(scene.alone, scene.spec.depth_near, T_fixed_base, window, band)


def _map_by(
    speaker: Speaker,
    depth_near: float,
    T_fixed_base: Pose,
    window: GridWindow,
    band: HeightBand,
) -> OccupancyMap:
    grid, thickness = band_columns(T_fixed_base, window, band)
    sums = speaker.queries.column_sums(grid, speaker.visibility)
    within = within_range(speaker.views, depth_near, grid)
    return map_of_sums(sums, within, speaker.curves, window, grid.shape[0], thickness)


def map_of_sums(
    sums: ColumnSums,
    within: Bools,
    curves: ProbabilityCurves,
    window: GridWindow,
    levels: int,
    thickness: float,
) -> OccupancyMap:
    """What sums down columns of so many levels, `thickness` m each, say of them.

    within (H,W): see `within_range`. Columns of which no level is seen are unknown.
    """
    known = (sums.seen >= MIN_SEEN_SHARE * levels) & within
    observed = known & (sums.visible * 2 >= sums.seen)
    probability = np.full(known.shape, np.nan, np.float32)
    # NaN stays NaN: a density that is not a number makes its column unknown, not free.
    probability[known] = curves.probability(
        sums.density[known] * np.float32(thickness), observed[known]
    )
    return OccupancyMap(window, probability, observed)


def within_range(views: Sequence[EncodedView], depth_near: float, grid: AffineGrid) -> Bools:
    """(H,W): columns that are not nearer to every view than depths were ever learnt.

    Nearer ones still lie in the image, and their densities look plausible: a wall across the lower
    edge of the view that no planner would pass.
    """
    levels, height, width = grid.shape
    along_x, along_y, up = grid.steps
    middle = grid.origin + up * (levels - 1) / 2
    within = np.zeros((height, width), np.bool_)
    for view in views:
        axis, centre = view.T_world_cam[:3, 2], view.T_world_cam[:3, 3]
        first = (middle - centre) @ axis
        # Depth, which is affine: what a column adds, against what a row lacks.
        missing = depth_near / view.scale - first - np.arange(height) * (along_y @ axis)
        within |= np.arange(width) * (along_x @ axis) >= missing[:, None]
    return within


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
    heard = newest.observed | (known & around(came, newest.window.resolution))
    probability = np.where(heard, np.fmax(alone, all_say), all_say)
    observed = together.observed | newest.observed
    return replace(together, probability=probability, observed=observed)


def around(cells: Bools, resolution: float) -> Bools:
    """(H,W): whether one of these cells (H,W) lies within `MOVED_WITHIN`."""
    reach = round(MOVED_WITHIN / resolution)
    if reach < 1 or not cells.any():
        return cells
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(cells.astype(np.uint8), disc), np.bool_)
