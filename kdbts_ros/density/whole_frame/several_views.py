"""Maps of several views as a GPU finishes them: column sums, probabilities, published cells."""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.birds_eye_map import (
    MIN_SEEN_SHARE,
    completed,
    map_alone,
    map_together,
    no_less_than,
)
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import (
    CompletedCells,
    GridWindow,
    HeightBand,
    MapArea,
    OccupancyMap,
    band_columns,
)
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.single_view import LEAST_ALIKE, alike
from kdbts_ros.errors import in_one_line

# Maps that are compared: of the grey image at load, and of a real one.
_CHECKED = 2


class MultiViewMaps:
    """Maps of the views that a scene has in use, finished by its queries where these can. `note`
    says in a sentence why they do no more, once one of the first differed from `map_together`."""

    def __init__(self, scene: SceneCompleter) -> None:
        self._scene = scene
        self._unchecked, self._refused, self.note = _CHECKED, False, ""

    def map(
        self,
        T_fixed_base: Array,
        window: GridWindow,
        band: HeightBand,
        threshold: float,
        completed_cells: CompletedCells,
        newest: OccupancyMap | None = None,
    ) -> OccupancyMap:
        """What `map_around` says.

        newest: the map of the reference view alone, where it is there. threshold, completed_cells:
        of the two forms that come along with a finished map and are compared as well.
        """
        scene, area = self._scene, MapArea(T_fixed_base, window, band)
        together = self.finished(*area, threshold, completed_cells)
        if together is None:
            together = map_together(scene, *area)
        if newest is None:
            newest = map_alone(scene, *area)
        found = no_less_than(newest, together, scene.columns_from(len(scene.views)))
        return completed(scene, scene.views, found, area)

    def finished(
        self,
        T_fixed_base: Array,
        window: GridWindow,
        band: HeightBand,
        threshold: float,
        completed_cells: CompletedCells,
    ) -> OccupancyMap | None:
        """What `map_together` says; None where the scene's queries cannot."""
        scene, queries = self._scene, self._scene.queries
        if self._refused:
            return None
        grid, thickness = band_columns(T_fixed_base, window, band)
        params = frame_params.pack_map(
            np.zeros(frame_params.PARAMS, np.float32), grid.shape[0], thickness,
            scene.spec.depth_near, scene.curves, threshold, completed_cells, MIN_SEEN_SHARE,
        )  # fmt: skip
        try:
            found = queries.finished(grid, scene.visibility(), params)
        except Exception as error:  # a kernel that does not compile, a device without memory
            self._refuse(in_one_line(error))
            return None
        if found is None:
            return None
        if self._unchecked:
            expected = map_together(scene, T_fixed_base, window, band)
            share = alike(found, expected, threshold, completed_cells)
            if not share >= LEAST_ALIKE:
                self._refuse(f"{share:.3f} of one was right")
                return None
            self._unchecked -= 1
        return OccupancyMap(window, found.probability, found.observed)

    def _refuse(self, reason: str) -> None:
        self._refused = True
        self.note = f"maps of several views take longer: the GPU's were refused, {reason}"
