"""The bird's-eye occupancy map a planner reads: densities of columns over a height band, summed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdbts_ros.density.engines.answers import Bools
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.maps.grid import (
    GridWindow,
    HeightBand,
    MapArea,
    OccupancyMap,
    Pose,
    band_columns,
)
from kdbts_ros.density.maps.newest import no_less_than
from kdbts_ros.density.scene import SceneCompleter, Speaker

# A column says something only if the views see this share of its band; what little they see of the
# rest would call columns free by the sky above them.
MIN_SEEN_SHARE = 0.5


def map_around(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """Occupancy of the columns of `window`, fixed frame = world of the scene's views.

    The ground is the plane z = 0 of the robot's base frame, so that a pitching robot or a slope
    carries its band with it. A column's probability comes from its optical depth over the seen part
    of the band, the sum of density x layer thickness, by the curves of the head that answers. What
    the reference view observes is on the map whatever the others say, see `newest`.
    """
    area = MapArea(T_fixed_base, window, band)
    together = map_together(scene, *area)
    if len(scene.views) == 1:
        return together
    return no_less_than(map_alone(scene, *area), together, scene.occupied_from(len(scene.views)))


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
    # A density that is not a number is not free space: it makes its column unknown.
    known = (sums.seen >= MIN_SEEN_SHARE * grid.shape[0]) & _within_range(
        speaker.views, depth_near, grid
    )
    observed = known & (sums.visible * 2 >= sums.seen)
    probability = np.full(known.shape, np.nan, np.float32)
    probability[known] = speaker.curves.probability(
        sums.density[known] * np.float32(thickness), observed[known]
    )
    return OccupancyMap(window, probability, observed)


def _within_range(views: Sequence[EncodedView], depth_near: float, grid: AffineGrid) -> Bools:
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
