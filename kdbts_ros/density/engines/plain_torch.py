"""The engine below all others: torch alone, for any head on any device, and to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids
from kdbts_ros.density.engines.encoded_view import EncodedView, project_world
from kdbts_ros.density.engines.folding import FoldedField, FoldedHead
from kdbts_ros.density.engines.interface import (
    CHUNK,
    HALF_LIGHT,
    ColumnSums,
    RayDepths,
    opacity,
    passed_over,
    transparent,
)
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.network.baseline_heads import RAY_SAMPLES, IbrnetHead, points_on_rays
from kdbts_ros.density.network.projection import Projected
from kdbts_ros.density.network.volume_rendering import (
    HALF_THICKNESS,
    begun,
    composite,
    depth_samples,
    surface_depth,
)


class PlainTorch:
    """See `Engine`."""

    def __init__(self, field: FoldedField, precision: str, refused: Sequence[str] = ()) -> None:
        """refused: by sentence, the faster engines it stands in for."""
        self.field, self.precision, self._refused = field, precision, tuple(refused)

    @property
    def note(self) -> str:
        exact = self.precision == "float32"
        return passed_over("slow but exact" if exact else "slow", self._refused)

    def encode(self, images: Tensor) -> list[Tensor]:
        return self.field.encode(images, self.precision)

    def queries(self, head: int, views: Sequence[EncodedView]) -> TorchQueries:
        return TorchQueries(
            self.field.heads[head], views, [view.feature_maps[head] for view in views]
        )

    def points(self, head: int, views: Sequence[EncodedView]) -> TorchQueries:
        return self.queries(head, views)

    def weaker(self, head: int, fault: str) -> PlainTorch | None:
        if self.precision == "float32":
            return None
        refused = f"convolutions in {self.precision} were refused, {fault}"
        return PlainTorch(self.field, "float32", (*self._refused, refused))

    def frames(self, head: int) -> None:
        return None

    def forget(self) -> None:
        """Nothing is kept."""


class TorchQueries:
    """See `Queries`."""

    def __init__(
        self, head: FoldedHead, views: Sequence[EncodedView], feature_maps: Sequence[Tensor]
    ) -> None:
        self.head, self.views = head, views
        self._device = feature_maps[0].device
        self._feature_maps = (
            feature_maps[0][None] if len(feature_maps) == 1 else torch.stack(list(feature_maps))
        )
        self._scale = views[0].scale

    @torch.inference_mode()
    def point_densities(self, points: Array) -> Floats:
        mixes = isinstance(self.head.head, IbrnetHead)
        chunk, ask = (CHUNK // RAY_SAMPLES, self._on_rays) if mixes else (CHUNK, self._alone)
        parts = [ask(points[i : i + chunk]) for i in range(0, len(points), chunk)]
        sigma = torch.cat([*parts, torch.empty(0, device=self._device)])
        return (sigma * self._scale).cpu().numpy()

    def _alone(self, points: Array, samples: int = 1) -> Tensor:
        """(N,) 1/m in the world the network is shown; points of rays of `samples` lie in order."""
        return self.head.density(self._feature_maps, self.project(points), samples)

    def _on_rays(self, points: Array) -> Tensor:
        """As `_alone`, each point on the reference view's ray through it."""
        spec, origin = self.head.spec, torch.from_numpy(self.views[0].T_world_cam[:3, 3])
        samples = depth_samples(spec.depths, self._scale, RAY_SAMPLES, spec.depth_spacing)
        t = torch.from_numpy(samples).double()
        rays, place = points_on_rays(torch.from_numpy(points), origin, t)
        found = self._alone(rays.reshape(-1, 3).numpy(), RAY_SAMPLES).view(-1, RAY_SAMPLES)
        return found.gather(-1, place.unsqueeze(-1).to(self._device)).squeeze(-1)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        points = grid.points()
        sigma = np.full(len(points), np.nan, np.float32)
        seen = self.seen(points)
        sigma[seen] = self.point_densities(points[seen])
        return sigma.reshape(grid.shape)

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        visible = self.visible(grid.points(), visibility).reshape(grid.shape)
        return opacity(self.grid_densities(grid), length), visible

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        points = grid.points()
        seen = self.seen(points)
        sigma = np.zeros(len(points), np.float32)
        sigma[seen] = self.point_densities(points[seen])
        visible = (self.visible(points, visibility) & seen).reshape(grid.shape)
        return ColumnSums(
            sigma.reshape(grid.shape).sum(0),
            seen.reshape(grid.shape).sum(0, np.int32),
            visible.sum(0, np.int32),
        )

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        return transparent(self.grid_densities(grid), limit)

    def seen(self, points: Array) -> Bools:
        return self.project(points).seen.any(0).cpu().numpy()

    def visible(self, points: Array, visibility: Sequence[Floats]) -> Bools:
        projected = self.project(points)
        masks = []
        for k, depth in enumerate(visibility):
            limits = torch.from_numpy(np.ascontiguousarray(depth)).to(self._device)
            h, w = limits.shape
            size = torch.tensor([w, h], device=self._device)
            uv = (projected.uv[k].clamp(-1, 1) + 1) / 2 * size
            column, row = uv.long().minimum(size - 1).unbind(-1)
            near = projected.z[k] <= limits[row, column] * self.views[k].scale
            masks.append(near & projected.seen[k])
        return torch.stack(masks).any(0).cpu().numpy()

    @torch.inference_mode()
    def depths(
        self,
        view: int,
        t: Floats,
        size: tuple[int, int],
        stop: float,
        thickness: float = HALF_THICKNESS,
    ) -> RayDepths:
        samples = torch.from_numpy(t).to(self._device)
        scale = self.views[view].scale
        if self.head.head.multi_view:
            expected, surface, opacity = self._fused_depths(view, samples, size, thickness)
        else:
            # The product of density and step, and so the opacity, is the same at any scale.
            expected, surface, opacity = self.head.own_depth(
                self._feature_maps[view], samples * scale, size, thickness
            )
            expected, surface = expected / scale, surface / scale
        return RayDepths(*(a.cpu().numpy() for a in (expected, surface, opacity)))

    def visibility(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        if self.head.head.multi_view:
            return begun(self.depths(view, t, size, HALF_LIGHT).surface, t)
        scale = np.float32(self.views[view].scale)
        samples = torch.from_numpy(t * scale).to(self._device)
        _, surface, _ = self.head.own_depth(self._feature_maps[view], samples, size)
        return np.asarray(begun(surface.cpu().numpy(), t * scale) / scale)

    def finished(
        self, grid: AffineGrid, visibility: Sequence[Floats], params: Floats
    ) -> FrameGrids | None:
        return None

    def _fused_depths(
        self, view: int, t: Tensor, size: tuple[int, int], thickness: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = self.views[view]
        rays = own.camera.resized(size[1], size[0]).rays().reshape(-1, 3).astype(np.float64)
        R, origin = own.T_world_cam[:3, :3], own.T_world_cam[:3, 3]
        depths = t.cpu().numpy()[:, None]
        parts = []
        for block in np.array_split(rays @ R.T, max(1, len(rays) * len(t) // CHUNK)):
            points = (origin + block[:, None] * depths).reshape(-1, 3)
            sigma = (self._alone(points, len(t)) * self._scale).cpu().numpy()
            found = np.where(self.seen(points), sigma, np.float32(0))
            parts.append(torch.from_numpy(found.reshape(len(block), -1)))
        densities = torch.cat(parts).to(self._device)
        rendered = composite(densities, t.expand_as(densities), force_last=True)
        return (
            rendered.depth.view(size),
            surface_depth(densities, t, thickness).view(size),
            rendered.opacity.view(size),
        )

    def project(self, points: Array) -> Projected:
        """World points (N,3) in every view: uv (V,N,2), z (V,N) as shown to the network, seen."""
        return project_world(self.views, points)
