"""Maps of one view by a `GraphedFrame`: which graph a view needs, and what it is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density.birds_eye_map import MIN_SEEN_SHARE, map_together
from kdbts_ros.density.engines.answers import DepthImage, Floats, FrameGrids
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.frame_plan import (
    DepthGraph,
    DepthPlan,
    FramePlan,
    Graph,
    Shape,
    Tables,
    depth_key,
    plan_key,
    uploaded,
)
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor
from kdbts_ros.density.maps.grid import (
    CompletedCells,
    FrameMap,
    GridWindow,
    HeightBand,
    OccupancyMap,
    band_columns,
)
from kdbts_ros.density.maps.probability import ProbabilityCurves
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import in_one_line

# Share of cells, or of pixels, that must be alike. Alike are cells that are so many percent apart,
# and depths that differ by this share.
LEAST_ALIKE = 0.995
_MOST_PERCENT, _MOST_DEPTH = 5, 0.01
# Cameras and grids whose graphs are kept, and depth images of each.
_KEPT, _KEPT_DEPTHS = 4, 2
# An encoded view has its image for colours alone, and none are asked of it here.
_NO_IMAGE = np.empty((0, 0, 3), np.uint8)


@dataclass(eq=False)
class _KeptDepth:
    """A graph of depth images and the tables it was shown last; exchanged: at least once."""

    graph: DepthGraph
    tables: Tables
    exchanged: bool = False


@dataclass(eq=False)
class _Kept:
    """A graph, the tables it was shown last, and its depth images, by `depth_key`."""

    graph: Graph
    tables: Tables
    exchanged: bool = False
    depths: dict[tuple[object, ...], _KeptDepth] = field(default_factory=dict)


class SingleViewMaps:
    """Belongs to the thread that asks first. `note` says in a sentence what it had to do without;
    where a graph's first map differs from the scene's own, there are no more maps from here, and
    likewise for depth images."""

    def __init__(
        self, scene: SceneCompleter, capture: Callable[[FramePlan], Graph] | None = None
    ) -> None:
        """capture: makes what computes the frames of a plan; None for the engine's own."""
        self._scene = scene
        answering = scene.field.answering(1)
        self._head = scene.field.heads[answering]
        capture = capture or scene.engine.frames(answering)
        assert capture is not None
        self._capture = capture
        self._graphs: dict[tuple[object, ...], _Kept] = {}
        self._refused, self._no_depth, self.note = False, False, ""
        self._last: _Kept | None = None

    @property
    def curves(self) -> ProbabilityCurves:
        """Of the head that speaks for a single view."""
        return self._scene.curves_of(self._head.name)

    def map(
        self,
        view: View,
        T_fixed_base: Array,
        window: GridWindow,
        band: HeightBand,
        threshold: float,
        completed: CompletedCells,
        anchor: Anchor = AS_SEEN,
    ) -> FrameMap | None:
        """What `map_together` says of the view, whose world is the fixed frame, and its two forms.

        None where this engine has been refused.
        """
        if self._refused:
            return None
        grid, thickness = band_columns(T_fixed_base, window, band)
        params = self._params(view, anchor, grid, thickness, threshold, completed)
        try:
            self._last, fresh = self._graph(view, grid.shape)
        except Exception as error:  # a kernel that does not compile, a device without memory
            self._refuse(in_one_line(error))
            return None
        found = self._last.graph.run(uploaded(view), params)
        if fresh:
            # Of an image that the GPU warped: beside one that the CPU warped.
            self._scene.set_views([view])
            self._scene.use([self._scene.views[0].anchored(anchor)])
            expected = map_together(self._scene, T_fixed_base, window, band)
            share = alike(found, expected, threshold, completed)
            if not share >= LEAST_ALIKE:
                self._refuse(f"{share:.3f} of its first map was right")
                return None
        return FrameMap.of(window, found)

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone for a frame like the last one."""
        assert self._last is not None
        return self._last.graph.device_times(repeats)

    def shown_visibility(self) -> Floats:
        """(h,w) of the view that `map` was asked about last: see `FrameEncoding`."""
        assert self._last is not None
        return self._last.graph.visibility()

    def depth(self, view: View, stride: int, anchor: Anchor = AS_SEEN) -> DepthImage | None:
        """The depth of every `stride`-th pixel of the view that `map` was asked about last.

        None where there was no map of it, or depth images have been refused.
        """
        spec = self._scene.spec
        if self._last is None or self._no_depth or stride < 1:
            return None
        size = spec.image_height // stride, spec.image_width // stride
        try:
            graph, fresh = self._depth_graph(view, size, self._last)
        except Exception as error:  # a kernel that does not compile, a device without memory
            self._refuse_depth(in_one_line(error))
            return None
        found = graph.run().divided(anchor.scale)
        shown = view.camera.resized(size[1], size[0])
        image = DepthImage(found.valid, found.valid, shown)
        if found.own is not None and view.own is not None:
            image = DepthImage(found.valid, found.own, view.own.camera)
        if fresh:
            self._scene.use([self.encoded(view, anchor)])
            share = alike_depth(image, DepthImage.of(self._scene.depth_map(stride)))
            if not share >= LEAST_ALIKE:
                self._refuse_depth(f"{share:.3f} of its first pixels were right")
                return None
        return image

    def encoded(self, view: View, anchor: Anchor = AS_SEEN) -> EncodedView:
        """The view that `map` was asked about last, for the scene's other queries.

        Heads with a map of their own besides the student's are not to be asked about it.
        """
        assert self._last is not None
        found = self._last.graph.encoding()
        posed = self._encoded(view, found.image, (found.map,) * len(self._scene.field.heads))
        posed.visibility.append(found.visibility / np.float32(view.scale))
        return posed.anchored(anchor)

    def _refuse(self, reason: str) -> None:
        """No more maps from here, and why."""
        self._refused, self._last = True, None
        self.note = f"several times slower: the CUDA graph was refused, {reason}"
        self._graphs.clear()

    def _refuse_depth(self, reason: str) -> None:
        """No more depth images from here, and why."""
        self._no_depth = True
        why = f"depth images take longer: their CUDA graph was refused, {reason}"
        self.note = f"{self.note}; {why}" if self.note else why
        for kept in self._graphs.values():
            kept.depths.clear()

    def _depth_graph(
        self, view: View, size: tuple[int, int], frames: _Kept
    ) -> tuple[DepthGraph, bool]:
        """The graph of a view's depth images, and whether they are to be compared."""
        key, tables = depth_key(view, size), Tables.of(view)
        kept = frames.depths.pop(key, None)
        if kept is not None and kept.tables.are(tables):
            frames.depths[key] = kept
            return kept.graph, False
        told = self._scene.surface_of(self._head.name)
        plan = DepthPlan.of(view, size, self._scene.depth_samples(view.scale), told)
        if kept is not None:
            kept.graph.show(plan)
            fresh, kept.tables, kept.exchanged = not kept.exchanged, tables, True
        else:
            if len(frames.depths) == _KEPT_DEPTHS:
                frames.depths.pop(next(iter(frames.depths)))
            kept, fresh = _KeptDepth(frames.graph.depths(plan), tables), True
            self.note = self.note or kept.graph.note
        frames.depths[key] = kept
        return kept.graph, fresh

    def _params(
        self,
        view: View,
        anchor: Anchor,
        grid: AffineGrid,
        thickness: float,
        threshold: float,
        completed: CompletedCells,
    ) -> Floats:
        posed, arrays = self._encoded(view, _NO_IMAGE).anchored(anchor), self._head.arrays
        params = frame_params.pack_grid(grid, projection(posed), arrays, posed.scale)
        return frame_params.pack_map(
            params, grid.shape[0], thickness, self._scene.spec.depth_near, self.curves,
            threshold, completed, MIN_SEEN_SHARE,
        )  # fmt: skip

    def _graph(self, view: View, shape: Shape) -> tuple[_Kept, bool]:
        """The graph of a view's camera and a grid, and whether its map is to be compared: the first
        of a graph, and the first since its tables were exchanged for those of another tilt."""
        key, tables = plan_key(view, shape), Tables.of(view)
        # What was asked last goes last.
        kept = self._graphs.pop(key, None)
        if kept is not None and kept.tables.are(tables):
            self._graphs[key] = kept
            return kept, False
        samples = self._scene.depth_samples(view.scale)
        plan = FramePlan.of(view, shape, self._scene.spec, samples)
        if kept is not None:
            kept.graph.show(plan)
            fresh, kept.tables, kept.exchanged = not kept.exchanged, tables, True
        else:
            if len(self._graphs) == _KEPT:
                self._graphs.pop(next(iter(self._graphs)))
            kept, fresh = _Kept(self._capture(plan), tables), True
            self.note = self.note or kept.graph.note
        self._graphs[key] = kept
        return kept, fresh

    def _encoded(
        self, view: View, image: npt.NDArray[np.uint8], feature_maps: tuple[Tensor, ...] = ()
    ) -> EncodedView:
        return EncodedView(
            feature_maps, view.camera, view.T_world_cam, image, view.scale, view.valid, view.own
        )


def alike(
    found: FrameGrids, expected: OccupancyMap, threshold: float, completed: CompletedCells
) -> float:
    """Share of cells that say the same; a map that is all of one kind must agree in its numbers."""
    apart = np.abs(found.percent.astype(np.int16) - expected.percent(threshold, completed))
    same = (found.trinary == expected.trinary(threshold, completed)) & (apart <= _MOST_PERCENT)
    return float(same.mean())


def alike_depth(found: DepthImage, expected: DepthImage) -> float:
    """Share of published pixels that say the same."""
    a, b = found.published, expected.published
    with np.errstate(invalid="ignore"):
        same = (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= _MOST_DEPTH * b)
    return float(same.mean())
