"""Maps of several views as a GPU finishes them: sums, calibration and both published forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from kdbts_ros.density import frame_params
from kdbts_ros.density.affine import AffineGrid
from kdbts_ros.density.bev import (
    MIN_SEEN_SHARE,
    CompletedCells,
    GridWindow,
    HeightBand,
    band_columns,
    map_around,
)
from kdbts_ros.density.camera import Array
from kdbts_ros.density.frame_check import LEAST_ALIKE, alike
from kdbts_ros.density.frame_plan import FrameGrids, FrameMap
from kdbts_ros.density.results import Floats
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import in_one_line

# Maps that are compared: of the grey image at load, and of a real one.
_CHECKED = 2


@runtime_checkable
class FinishesMaps(Protocol):
    """Queries that make a map of column sums by themselves: `CudaFusedQueries`."""

    def finished(self, grid: AffineGrid, reach: Sequence[Floats], params: Floats) -> FrameGrids:
        """The map over a grid; params (PARAMS,): see `frame_params.pack_map`."""
        ...


class FusedMaps:
    """Maps of the views that a scene has in use, where its queries finish them. `note` says in a
    sentence why there are no more, once one of the first differed from `map_around`."""

    def __init__(self, scene: SceneCompleter) -> None:
        self._scene = scene
        self._unchecked, self._refused, self.note = _CHECKED, False, ""

    def map(
        self,
        T_fixed_base: Array,
        window: GridWindow,
        band: HeightBand,
        threshold: float,
        completed: CompletedCells,
    ) -> FrameMap | None:
        """What `map_around` says, and its two forms; None where the scene's queries cannot."""
        scene, queries = self._scene, self._scene.queries
        if self._refused or not isinstance(queries, FinishesMaps):
            return None
        grid, thickness = band_columns(T_fixed_base, window, band)
        params = frame_params.pack_map(
            np.zeros(frame_params.PARAMS, np.float32), grid.shape[0], thickness,
            scene.spec.depth_near, scene.calibration, threshold, completed, MIN_SEEN_SHARE,
        )  # fmt: skip
        try:
            found = queries.finished(grid, scene.reach(), params)
        except Exception as error:  # a kernel that does not compile, a device without memory
            return self._refuse(in_one_line(error))
        if self._unchecked:
            expected = map_around(scene, T_fixed_base, window, band)
            share = alike(found, expected, threshold, completed)
            if not share >= LEAST_ALIKE:
                return self._refuse(f"{share:.3f} of one was right")
            self._unchecked -= 1
        return FrameMap.of(window, found)

    def _refuse(self, reason: str) -> FrameMap | None:
        self._refused = True
        self.note = f"maps of several views take longer: the GPU's were refused, {reason}"
        return None
