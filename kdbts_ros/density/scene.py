"""The facade: set posed views once, then ask for densities, occupancy, depth or novel views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network
from kdbts_ros.density.engines.answers import Bools, DepthMap, Floats, Volume
from kdbts_ros.density.engines.choose import choose_engine, inference_precision, proven
from kdbts_ros.density.engines.encoded_view import EncodedView, resized
from kdbts_ros.density.engines.interface import Engine, FoldedField, Queries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.map_head import MapHead, MapHeads
from kdbts_ros.density.maps.probability import NOTE, ProbabilityCurves, read_note
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.precision import choose_device
from kdbts_ros.density.network.volume_rendering import (
    DEPTH_SAMPLES,
    HALF_THICKNESS,
    depth_samples,
    visibility_rays,
)
from kdbts_ros.density.novel_view import render_view
from kdbts_ros.errors import UserError

# Probability of a cell is its opacity over this length, whatever the size of the cell: densities
# are trained against occupancy at this scale.
OPACITY_LENGTH = 0.5


class Speaker(NamedTuple):
    """One head about some views: who answers for a map, and what its answers are worth."""

    queries: Queries
    views: tuple[EncodedView, ...]
    visibility: list[Floats]
    curves: ProbabilityCurves


class SceneCompleter:
    """Encode posed images once, query many times. Not thread-safe: one thread owns it."""

    def __init__(
        self,
        network: DensityNetwork,
        info: CheckpointInfo,
        device: torch.device,
        precision: str,
        convolutions: str = "auto",
    ) -> None:
        """precision, convolutions: see `load`."""
        self.info = info
        self._curves = read_note(info.notes.get(NOTE))
        self.map_heads = MapHeads(info.map_heads, device)
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        chosen = self.network, device, precision, convolutions, info.notes
        self.engine: Engine = choose_engine(*chosen)
        self._views: tuple[EncodedView, ...] = ()
        self._queries: Queries | None = None
        self._depth: dict[tuple[int, bool, float | None], DepthMap] = {}
        self._visibility: list[Floats] = []

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        device: str = "auto",
        precision: str = "auto",
        head: str | None = None,
        convolutions: str = "auto",
    ) -> SceneCompleter:
        """From a shipped name, a `.safetensors` or an original `.pt`.

        precision: of convolutions: "float32", "bfloat16", "float16", "int8" or "auto", see
            `inference_precision`.
        convolutions: whose, on a CPU: "torch", "openvino" or "auto", see `chosen_convolutions`.
        """
        chosen = choose_device(device)
        computed_in = inference_precision(precision, chosen)
        scene = cls(*load_network(checkpoint, head), chosen, computed_in, convolutions)
        scene.check_engine()
        return scene

    def check_engine(self) -> None:
        """Compare every head with the plain formulation, and go on without speed if they differ.

        `engine_note` then says so. What is to be compiled is compiled here.
        """
        self.engine = proven(self.engine, self.network, self.device)
        self._views, self._queries = (), None

    @property
    def spec(self) -> NetworkSpec:
        return self.info.spec

    @property
    def field(self) -> FoldedField:
        """The heads, folded."""
        return self.engine.field

    @property
    def precision(self) -> str:
        """Of convolutions, as they run."""
        return self.engine.precision

    @property
    def engine_note(self) -> str:
        """What the engine has to do without and why, as it is now."""
        return self.engine.note

    @property
    def maps_in_one_go(self) -> bool:
        """Whether a `SingleViewMaps` can make maps of single views."""
        return self.engine.frames(self.field.answering(1)) is not None

    @property
    def curves(self) -> ProbabilityCurves:
        """What optical depth is worth as a probability, for the head in use."""
        return self.curves_of(self.head_in_use)

    @curves.setter
    def curves(self, curves: ProbabilityCurves) -> None:
        self._curves[self.head_in_use] = curves

    def curves_of(self, head: str) -> ProbabilityCurves:
        """The same for the head of that name, whether in use or not."""
        return self._curves.get(head, ProbabilityCurves())

    def surface_of(self, head: str) -> float | None:
        """Optical depth at which the head of that name tells depth: the calibrated one, else that
        of the median where near things are known; None: it tells d̂, the expectation."""
        uncalibrated = HALF_THICKNESS if self.spec.tells_median else None
        return self.curves_of(head).surface_from or uncalibrated

    def map_head(self, views: int) -> MapHead | None:
        """What completes maps of so many views; None where there is none, or it is not used."""
        return self.map_heads.of(self.head_of(views))

    def feature_map(self, view: EncodedView) -> Tensor:
        """(channels,h,w) of a view, as map heads gather from: that of the head of one view."""
        return view.feature_maps[self.field.answering(1)]

    @property
    def head_in_use(self) -> str:
        """The head that answers: a student speaks for a single view."""
        return self.head_of(len(self._views) or 1)

    def head_of(self, views: int) -> str:
        """The head that answers of so many views."""
        return self.field.heads[self.field.answering(views)].name

    def encode(self, view: View) -> EncodedView:
        """Run the network on a posed image; the result can be queried now or later, see `use`."""
        return EncodedView.of(view, resized(view.image, self.spec), self.engine.encode, self.device)

    @torch.inference_mode()
    def use(self, encoded: Sequence[EncodedView]) -> None:
        """Make all later queries about these views, the first being the reference view.

        Their poses share one world. A head for one view looks at the reference view alone.
        """
        if not encoded:
            raise UserError("a scene needs at least one view")
        if not self.network.density_head.multi_view:
            encoded = encoded[:1]
        self._queries = self._queries_of(encoded)
        self._views = tuple(encoded)
        self._depth, self._visibility = {}, []

    def set_views(self, views: Sequence[View]) -> None:
        """Encode the views and use them."""
        if not self.network.density_head.multi_view:
            views = views[:1]
        self.use([self.encode(view) for view in views])

    @property
    def views(self) -> tuple[EncodedView, ...]:
        """The views in use, the reference view first."""
        return self._views

    @property
    def together(self) -> Speaker:
        """The head in use, about all views in use."""
        return Speaker(self.queries, self._views, self.visibility(), self.curves)

    @property
    def alone(self) -> Speaker:
        """The head of a single view, about the reference view."""
        own, head = self._views[:1], self.field.heads[self.field.answering(1)]
        return Speaker(self._queries_of(own), own, self.visibility()[:1], self.curves_of(head.name))

    def occupied_from(self, views: int, scale: float = 1.0) -> float:
        """Probability from which a column of a map of so many views is called occupied: that of
        the map head, where one completes maps whose newest view has this scale."""
        completed = self.completed_from(views, scale)
        return self.columns_from(views) if completed is None else completed

    def completed_from(self, views: int, scale: float = 1.0) -> float | None:
        """The same of the map head alone; None where none completes such maps."""
        head = self.map_head(views)
        return head.spec.occupied_from if head is not None and head.serves(scale) else None

    def columns_from(self, views: int) -> float:
        """The same before any map head: the least of the heads that have a say in the map, so that
        none of them is overruled."""
        heads = (self.field.heads[self.field.answering(n)] for n in {1, views})
        return min(self.curves_of(head.name).occupied_from for head in heads)

    @property
    def queries(self) -> Queries:
        """Answers about the views in use.

        Raises:
            UserError: there are none yet.
        """
        if self._queries is None:
            raise UserError("no views yet: call set_views before querying")
        return self._queries

    def density(self, points: npt.ArrayLike) -> tuple[Floats, Bools]:
        """Density of world points (N,3): sigma (N,) 1/m with NaN where unseen, and seen (N,)."""
        xyz = np.asarray(points, np.float64).reshape(-1, 3)
        seen = self.queries.seen(xyz)
        sigma = np.full(len(xyz), np.nan, np.float32)
        sigma[seen] = self.queries.point_densities(xyz[seen])
        return sigma, seen

    def seen(self, points: npt.ArrayLike) -> Bools:
        """(N,) bool: world points that some view has in its image."""
        return self.queries.seen(np.asarray(points, np.float64).reshape(-1, 3))

    def occupancy(
        self, lattice: Lattice, T_world_lattice: npt.NDArray[np.float64] | None = None
    ) -> Volume:
        """Occupancy probability of every cell of a lattice posed in the world."""
        grid = AffineGrid.of_lattice(lattice, T_world_lattice)
        found = self.queries.grid_occupancy(grid, self.visibility(), OPACITY_LENGTH)
        return Volume(lattice, *found)

    def observed(self, points: npt.ArrayLike) -> Bools:
        """(N,) bool: at least half the light of some view reaches the world point."""
        xyz = np.asarray(points, np.float64).reshape(-1, 3)
        return self.queries.visible(xyz, self.visibility())

    def visibility(self) -> list[Floats]:
        """By view, the z-depth (h,w) m over its image behind which half its light is gone.

        A student tells it of each view alone, and once: what a view sees does not change with the
        views beside it. Without a student all views are asked along each other's rays.
        """
        if len(self._views) > 1 and len(self.field.heads) == 1:
            if not self._visibility:
                queries, views = self.queries, range(len(self._views))
                self._visibility = [self._reach_of_light(queries, k, together=True) for k in views]
            return self._visibility
        for view in self._views:
            if not view.visibility:
                view.visibility.append(self._reach_of_light(self._queries_of((view,)), 0))
        return [view.visibility[0] for view in self._views]

    def _reach_of_light(self, queries: Queries, view: int, together: bool = False) -> Floats:
        # Rays of several views cost as many times more: coarser ones then.
        finest = visibility_rays(self.spec.image_height, self.spec.image_width)
        rows, columns = (max(n // (1 + together), 1) for n in finest)
        samples = self.samples_of(queries.views[view])
        return queries.visibility(view, samples, (rows, columns))

    def _queries_of(self, views: Sequence[EncodedView]) -> Queries:
        return self.engine.queries(self.field.answering(len(views)), views)

    def depth(self) -> tuple[Floats, Floats]:
        """z-depth (H,W) m and opacity (H,W) 0..1 of view 0 on the network's pixel grid.

        Depth is that of `depth_map`: mask it by opacity.
        """
        found = self.depth_map()
        return found.depth, found.opacity

    def depth_map(self, stride: int = 1, by_student: bool = False) -> DepthMap:
        """Depth of view 0 on the network's pixel grid, every `stride`-th pixel.

        by_student: of several views, let the student tell the depth of view 0 alone, where there
        is one: its rays stay on one pixel, which takes a hundredth of the time.
        """
        if stride < 1:
            raise UserError("depth stride must be at least 1")
        by_student &= len(self._views) > 1 and self.network.student is not None
        thickness = self.surface_of(self.head_of(1 if by_student else len(self._views)))
        key = stride, by_student, thickness
        if key not in self._depth:
            queries = self._queries_of(self._views[:1]) if by_student else self.queries
            reference, at = queries.views[0], thickness or HALF_THICKNESS
            size = self.spec.image_height // stride, self.spec.image_width // stride
            found = queries.depths(0, self.samples_of(reference), size, 0.0, at)
            camera = reference.camera.resized(size[1], size[0])
            told = found.expected if thickness is None else found.surface
            self._depth[key] = DepthMap(
                told, found.surface, found.opacity, camera, reference.valid, reference.own
            )
        return self._depth[key]

    def forget_answers(self) -> None:
        """Drop what was kept of the views in use since they were encoded: for timing it again."""
        self._depth, self._visibility = {}, []
        for view in self._views:
            view.visibility.clear()
            view.kept.clear()

    def forget_votes(self) -> None:
        """Drop what views of earlier maps said, and with it those views."""
        self.engine.forget()

    @torch.inference_mode()
    def render(
        self,
        camera: Camera,
        T_world_cam: npt.NDArray[np.float64],
        samples: int = DEPTH_SAMPLES,
        stop: float = 0.0,
    ) -> tuple[npt.NDArray[np.uint8], Floats]:
        """Novel view by image-based rendering: rgb (H,W,3) and weight (H,W).

        Densities weigh the colours that the views' images have at the projected samples; weight is
        the share of a pixel's light that some view could colour. stop: a ray may end where less
        light than this is left.
        """
        if not self._views:
            raise UserError("no views yet: call set_views before rendering")
        t = self.samples_of(self._views[0], samples)
        return render_view(self._views, self.density, camera, T_world_cam, t, self.device, stop)

    def samples_of(self, view: EncodedView, count: int = DEPTH_SAMPLES) -> Floats:
        """Depths (count,) m at which rays of a view are sampled: an anchor changes what they are
        called, not where the network is asked."""
        anchor = view.anchor.scale
        samples = self.depth_samples(view.scale / anchor, count)
        return samples if anchor == 1 else samples / np.float32(anchor)

    def depth_samples(self, scale: float, count: int = DEPTH_SAMPLES) -> Floats:
        """Depths (count,) m at which rays of a view of that scale are sampled."""
        return depth_samples(self.spec.depths, scale, count, self.spec.depth_spacing)
