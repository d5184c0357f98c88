"""The facade: set posed views once, then ask for densities, occupancy, depth or novel views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.calibration import NOTE, Calibration, read_note
from kdbts_ros.density.camera import Camera, View, inverse, transform
from kdbts_ros.density.checkpoint import CheckpointInfo, load_network
from kdbts_ros.density.device import choose_device, choose_precision
from kdbts_ros.density.encoded import EncodedView
from kdbts_ros.density.folded import FoldedField, median_depth
from kdbts_ros.density.lattice import Lattice
from kdbts_ros.density.network import DensityNetwork, NetworkSpec, sample_features
from kdbts_ros.density.projection import Projected, project, rays_world
from kdbts_ros.density.rendering import composite, sample_distances
from kdbts_ros.density.results import Bools, DepthMap, Floats, Volume
from kdbts_ros.errors import UserError

# Probability of a cell is its opacity over this length, whatever the size of the cell: densities
# are trained against occupancy at this scale.
OPACITY_LENGTH = 0.5
DEPTH_SAMPLES = 64
# Points per query: bounds memory at about 100 MB of code vectors.
CHUNK = 1 << 18


class SceneCompleter:
    """Encode posed images once, query many times. Not thread-safe: one thread owns it."""

    def __init__(
        self, network: DensityNetwork, info: CheckpointInfo, device: torch.device, precision: str
    ) -> None:
        self.info = info
        self._calibrations = read_note(info.notes.get(NOTE))
        self.device = device
        self.precision = precision
        self.network = network.to(device).eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.field = FoldedField(self.network)
        self._views: tuple[EncodedView, ...] = ()
        self._maps: Tensor | None = None
        self._depth: dict[int, DepthMap] = {}

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        device: str = "auto",
        precision: str = "auto",
        head: str | None = None,
    ) -> SceneCompleter:
        """From a shipped name, a `.safetensors` or an original `.pt`.

        precision: "float32", "bfloat16" (convolutions only) or "auto", see `choose_precision`.
        """
        chosen = choose_device(device)
        chosen_precision = choose_precision(precision, chosen)
        network, info = load_network(checkpoint, head)
        return cls(network, info, chosen, chosen_precision)

    @property
    def spec(self) -> NetworkSpec:
        return self.info.spec

    @property
    def calibration(self) -> Calibration:
        """What optical depth is worth as a probability, for the head in use."""
        return self._calibrations.get(self.head_in_use, Calibration())

    @calibration.setter
    def calibration(self, calibration: Calibration) -> None:
        self._calibrations[self.head_in_use] = calibration

    @property
    def head_in_use(self) -> str:
        """The head that answers: a student speaks for a single view."""
        alone = self.network.student is not None and len(self._views) <= 1
        return "kdbts" if alone else self.spec.head

    @torch.inference_mode()
    def encode(self, view: View) -> EncodedView:
        """Run the network on a posed image; the result can be queried now or later, see `use`."""
        image = self._resize(view.image)
        images = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            maps = self.field.encode(images)
        return EncodedView(
            maps[0], view.camera, view.T_world_cam, image, view.scale, view.valid, view.own
        )

    @torch.inference_mode()
    def use(self, encoded: Sequence[EncodedView]) -> None:
        """Make all later queries about these views, the first being the reference view.

        Their poses share one world. A head for one view looks at the reference view alone.
        """
        if not encoded:
            raise UserError("a scene needs at least one view")
        if not self.network.density_head.multi_view:
            encoded = encoded[:1]
        maps = [view.maps for view in encoded]
        stacked = maps[0][None] if len(maps) == 1 else torch.stack(maps)
        self._maps = stacked.contiguous(memory_format=torch.channels_last)
        self._views = tuple(encoded)
        self._depth = {}

    def set_views(self, views: Sequence[View]) -> None:
        """Encode the views and use them."""
        if not self.network.density_head.multi_view:
            views = views[:1]
        self.use([self.encode(view) for view in views])

    @property
    def views(self) -> tuple[EncodedView, ...]:
        """The views in use, the reference view first."""
        return self._views

    @torch.inference_mode()
    def density(self, points: npt.ArrayLike) -> tuple[Floats, Bools]:
        """Density of world points (N,3): sigma (N,) 1/m with NaN where unseen, and seen (N,)."""
        xyz = np.asarray(points, np.float64).reshape(-1, 3)
        sigma = np.full(len(xyz), np.nan, np.float32)
        projected = self._project(xyz)
        seen = projected.seen.any(0)
        indices = seen.nonzero().squeeze(1)
        for part in torch.split(indices, CHUNK):
            chunk = Projected(projected.uv[:, part], projected.z[:, part], projected.seen[:, part])
            sigma[part.cpu().numpy()] = self._density(chunk).cpu().numpy()
        return sigma, seen.cpu().numpy()

    @torch.inference_mode()
    def seen(self, points: npt.ArrayLike) -> Bools:
        """(N,) bool: world points that some view has in its image."""
        return self._project(points).seen.any(0).cpu().numpy()

    def occupancy(
        self, lattice: Lattice, T_world_lattice: npt.NDArray[np.float64] | None = None
    ) -> Volume:
        """Occupancy probability of every cell of a lattice posed in the world."""
        centres = lattice.centres().reshape(-1, 3).astype(np.float64)
        if T_world_lattice is not None:
            centres = transform(T_world_lattice, centres)
        sigma, _ = self.density(centres)
        probability = (1 - np.exp(-sigma * OPACITY_LENGTH)).reshape(lattice.shape)
        return Volume(lattice, probability, self.observed(centres).reshape(lattice.shape))

    @torch.inference_mode()
    def observed(self, points: npt.ArrayLike) -> Bools:
        """(N,) bool: at least half the light of view 0 reaches the world point."""
        view = self._views[0]
        uv, z = view.camera.project(transform(inverse(view.T_world_cam), points))
        seen_depth = self.depth_map(stride=2)
        scale = np.array([seen_depth.camera.width, seen_depth.camera.height])
        inside = (uv >= 0).all(-1) & (uv <= [view.camera.width, view.camera.height]).all(-1)
        pixel = np.nan_to_num(uv) / [view.camera.width, view.camera.height] * scale
        column, row = np.clip(pixel.astype(np.int64), 0, scale - 1).T
        inside &= view.shows(torch.from_numpy(pixel / scale * 2 - 1)).numpy()
        return np.asarray(inside & (z <= seen_depth.median[row, column]))

    def depth(self) -> tuple[Floats, Floats]:
        """z-depth (H,W) m and opacity (H,W) 0..1 of view 0 on the network's pixel grid.

        Depth is the expectation with a forced last sample: mask it by opacity, or see `depth_map`.
        """
        found = self.depth_map()
        return found.depth, found.opacity

    @torch.inference_mode()
    def depth_map(self, stride: int = 1) -> DepthMap:
        """Depth of view 0 on the network's pixel grid, every `stride`-th pixel."""
        if stride < 1:
            raise UserError("depth stride must be at least 1")
        if stride not in self._depth:
            self._depth[stride] = self._compute_depth(stride)
        return self._depth[stride]

    def forget_depth(self) -> None:
        """Drop the rendered depth, as `set_views` does: for timing it again."""
        self._depth = {}

    @torch.inference_mode()
    def render(
        self, camera: Camera, T_world_cam: npt.NDArray[np.float64], samples: int = DEPTH_SAMPLES
    ) -> tuple[npt.NDArray[np.uint8], Floats]:
        """Novel view by image-based rendering: rgb (H,W,3) and weight (H,W).

        Densities weigh the colours that the views' images have at the projected samples; weight is
        the share of a pixel's light that some view could colour.
        """
        colours = torch.zeros(camera.height * camera.width, 3, device=self.device)
        weights = torch.zeros(camera.height * camera.width, device=self.device)
        images = self._colour_images()
        t = self._depth_samples(samples)
        pixels = torch.arange(camera.height * camera.width, device=self.device)
        for part in torch.split(pixels, max(1, CHUNK // samples)):
            colours[part], weights[part] = self._render_pixels(part, camera, T_world_cam, t, images)
        rgb = (colours / weights.clamp_min(1e-6).unsqueeze(-1) * 255).round().clamp(0, 255)
        shape = (camera.height, camera.width)
        return (
            rgb.view(*shape, 3).to(torch.uint8).cpu().numpy(),
            weights.view(shape).cpu().numpy(),
        )

    def _render_pixels(
        self,
        pixels: Tensor,
        camera: Camera,
        T_world_cam: npt.NDArray[np.float64],
        t: Tensor,
        images: Tensor,
    ) -> tuple[Tensor, Tensor]:
        u = ((pixels % camera.width) + 0.5) / camera.width * 2 - 1
        v = ((pixels // camera.width) + 0.5) / camera.height * 2 - 1
        T_ref_cam = inverse(self._reference().T_world_cam) @ T_world_cam
        K, T = self._tensor(camera.ndc), self._tensor(T_ref_cam)
        origin, direction = rays_world(torch.stack([u, v], -1), K, T, unit=False)
        points = origin[:, None] + direction[:, None] * t[:, None]
        projected = self._project_local(points.reshape(-1, 3))
        seen = projected.seen.any(0)
        sigma = self._density(projected)
        # Unseen space neither stops light nor has a colour.
        sigma = torch.where(seen, sigma, 0.0).view(len(pixels), -1)
        rendered = composite(sigma, t.expand_as(sigma), force_last=True)
        sampled = sample_features(images[None], projected.uv[None])[0]
        share = projected.seen.float().unsqueeze(-1)
        mixed = ((sampled * share).sum(0) / share.sum(0).clamp_min(1)).view(len(pixels), -1, 3)
        weight = rendered.weights * seen.view(len(pixels), -1)
        return (weight.unsqueeze(-1) * mixed).sum(1), weight.sum(1)

    def _compute_depth(self, stride: int) -> DepthMap:
        maps = self._encoded()
        camera = self._views[0].camera.resized(
            self.spec.image_width // stride, self.spec.image_height // stride
        )
        t, scale = self._depth_samples(DEPTH_SAMPLES), self._views[0].scale
        if self.network.density_head.multi_view:
            expected, median, opacity = self._fused_depth(camera, t)
        else:
            # The product of density and step, and so the opacity, is the same at any scale.
            expected, median, opacity = self.field.own_depth(maps, t * scale, stride)
            expected, median = expected / scale, median / scale
        to_numpy = [a.cpu().numpy() for a in (expected, median, opacity)]
        reference = self._views[0]
        return DepthMap(
            to_numpy[0], to_numpy[1], to_numpy[2], camera, reference.valid, reference.own
        )

    def _fused_depth(self, camera: Camera, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rays = camera.rays().reshape(-1, 3)
        parts = []
        depths = t.cpu().numpy()
        for block in np.array_split(rays, max(1, len(rays) * len(depths) // CHUNK)):
            points = block[:, None] * depths[:, None]
            sigma, _ = self.density(transform(self._views[0].T_world_cam, points.reshape(-1, 3)))
            parts.append(torch.from_numpy(np.nan_to_num(sigma)).view(len(block), -1))
        densities, t = torch.cat(parts), t.cpu()
        rendered = composite(densities, t.expand_as(densities), force_last=True)
        shape = (camera.height, camera.width)
        return (
            rendered.depth.view(shape),
            median_depth(densities, t).view(shape),
            rendered.opacity.view(shape),
        )

    def _project(self, points: npt.ArrayLike) -> Projected:
        """Project world points (N,3) into every view, without a batch axis."""
        # Through view 0's frame in float64: odometry coordinates of kilometres would cost
        # centimetres in float32.
        T_ref_world = inverse(self._reference().T_world_cam)
        return self._project_local(self._tensor(transform(T_ref_world, points)))

    def _project_local(self, xyz_ref: Tensor) -> Projected:
        """The same for points (N,3) in the frame of view 0."""
        T_ref_world = inverse(self._reference().T_world_cam)
        poses = [inverse(T_ref_world @ view.T_world_cam) for view in self._views]
        T = self._tensor(np.stack(poses))[None]
        K = self._tensor(np.stack([view.camera.ndc for view in self._views]))[None]
        uv, z, seen = (batched[0] for batched in project(K, T, xyz_ref[None]))
        scales = self._tensor([view.scale for view in self._views])
        shown = torch.stack([view.shows(uv[k]) for k, view in enumerate(self._views)])
        return Projected(uv, z * scales[:, None], seen & shown)

    def _density(self, projected: Projected) -> Tensor:
        """Densities (M,) per metre of the world, not of what the network is shown."""
        return self.field.density(self._encoded(), projected) * self._reference().scale

    def _reference(self) -> EncodedView:
        self._encoded()
        return self._views[0]

    def _encoded(self) -> Tensor:
        if self._maps is None:
            raise UserError("no views yet: call set_views before querying")
        return self._maps

    def _colour_images(self) -> Tensor:
        self._encoded()
        stacked = np.stack([view.image for view in self._views])
        return torch.from_numpy(stacked).to(self.device).permute(0, 3, 1, 2).float() / 255

    def _depth_samples(self, count: int) -> Tensor:
        jitter = torch.full((count,), 0.5, device=self.device)
        # The network knows nothing nearer than `depth_near` in the world it is shown.
        near = self.spec.depth_near / self._reference().scale
        return sample_distances(near, self.spec.depth_far, jitter)

    def _tensor(self, array: npt.ArrayLike) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device)

    def _resize(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        size = (self.spec.image_width, self.spec.image_height)
        if image.shape[1::-1] == size:
            return np.ascontiguousarray(image)
        shrinks = image.shape[1] > size[0] and image.shape[0] > size[1]
        method = cv2.INTER_AREA if self.spec.resize == "area" and shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
