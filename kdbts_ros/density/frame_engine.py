"""Maps of one view by a `GraphedFrame`: which graph a view needs, and what it is told of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density import cuda_engine, frame_params
from kdbts_ros.density.bev import (
    MIN_SEEN_SHARE,
    CompletedCells,
    GridWindow,
    HeightBand,
    OccupancyMap,
    band_columns,
    map_around,
)
from kdbts_ros.density.calibration import Calibration
from kdbts_ros.density.camera import Array, View
from kdbts_ros.density.cuda_field import CudaField
from kdbts_ros.density.cuda_frame import GraphedFrame
from kdbts_ros.density.cuda_head import CudaHead
from kdbts_ros.density.cuda_steps import FramePlan
from kdbts_ros.density.encoded import EncodedView
from kdbts_ros.density.image_sampling import Separable
from kdbts_ros.density.queries import projection
from kdbts_ros.density.scene import REACH_STRIDE, SceneCompleter

# Share of cells that a graph's first map must have as the scene's own queries have them.
_LEAST_ALIKE = 0.995
# Cameras and grids whose graphs are kept.
_KEPT = 4


class FrameMap(NamedTuple):
    """A map with its two published forms (H,W) int8."""

    occupancy: OccupancyMap
    trinary: npt.NDArray[np.int8]
    percent: npt.NDArray[np.int8]


class FrameEngine:
    """Belongs to the thread that asks first. `note` says in a sentence what it had to do without;
    where a graph's first map differs from the scene's own, there are no more maps from here."""

    def __init__(self, scene: SceneCompleter) -> None:
        field, head = scene.field.packed, scene.field.heads[scene.field.answering(1)]
        assert isinstance(field, CudaField) and cuda_engine.supports(head)
        self._scene, self._field = scene, field
        self._head = CudaHead(head)
        # Heads that share a hidden layer share a map as well.
        self._index = scene.field.map_index(scene.field.answering(1))
        self._graphs: dict[tuple[object, ...], GraphedFrame] = {}
        self._refused, self.note = False, ""
        self._last: GraphedFrame | None = None

    @property
    def calibration(self) -> Calibration:
        """Of the head that speaks for a single view."""
        return self._scene.calibration_of(self._head.head.name)

    def map(
        self,
        view: View,
        T_fixed_base: Array,
        window: GridWindow,
        band: HeightBand,
        threshold: float,
        completed: CompletedCells,
    ) -> FrameMap | None:
        """What `map_around` says of the view, whose world is the fixed frame, and its two forms.

        None where this engine has been refused.
        """
        if self._refused:
            return None
        grid, thickness = band_columns(T_fixed_base, window, band)
        # Everything of an encoded view but what the network says; the image is not looked at here.
        posed = self._encoded(view, view.image)
        scene, arrays = self._scene, self._head.head.arrays
        params = frame_params.pack_grid(grid, projection(posed), arrays, view.scale)
        near, calibration = scene.spec.depth_near, self.calibration
        frame_params.pack_map(
            params, grid.shape[0], thickness, near, calibration, threshold, completed,
            MIN_SEEN_SHARE,
        )  # fmt: skip
        known = len(self._graphs)
        self._last = self._graph(view, grid.shape)
        found = self._last.run(view.image, params)
        if len(self._graphs) > known:
            self._scene.set_views([view])
            expected = map_around(self._scene, T_fixed_base, window, band)
            alike = (found.trinary == expected.trinary(threshold, completed)).mean()
            if not alike >= _LEAST_ALIKE:
                self._refused = True
                self.note = f"several times slower: the CUDA graph was refused, {alike:.3f} of its "
                self.note += "first map was right"
                self._graphs.clear()
                return None
        occupancy = OccupancyMap(window, found.probability, found.observed)
        return FrameMap(occupancy, found.trinary, found.percent)

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone for a frame like the last one."""
        assert self._last is not None
        return self._last.device_times(repeats)

    def encoded(self, view: View) -> EncodedView:
        """The view that `map` was asked about last, for the scene's other queries."""
        assert self._last is not None
        maps = (self._last.folded_map(),) * len(self._scene.field.heads)
        return self._encoded(view, self._scene.resized(view.image), maps)

    def _graph(self, view: View, shape: tuple[int, int, int]) -> GraphedFrame:
        size = view.image.shape[:2]
        key = size, shape, view.scale, id(view.valid)
        if key not in self._graphs:
            if len(self._graphs) == _KEPT:
                self._graphs.pop(next(iter(self._graphs)))
            spec = self._scene.spec
            target = spec.image_height, spec.image_width
            plan = FramePlan(
                Separable.resize((size[0], size[1]), target, spec.resize),
                shape,
                self._scene.depth_samples(view.scale) * np.float32(view.scale),
                (target[0] // REACH_STRIDE, target[1] // REACH_STRIDE),
                view.valid,
            )
            self._graphs[key] = GraphedFrame(self._field, self._index, self._head, plan)
            self.note = self.note or self._graphs[key].note
        return self._graphs[key]

    def _encoded(
        self, view: View, image: npt.NDArray[np.uint8], maps: tuple[Tensor, ...] = ()
    ) -> EncodedView:
        return EncodedView(
            maps, view.camera, view.T_world_cam, image, view.scale, view.valid, view.own
        )
