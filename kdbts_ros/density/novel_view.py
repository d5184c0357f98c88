"""Novel views by image-based rendering: densities weigh the colours that views have at samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView, project_world
from kdbts_ros.density.engines.interface import CHUNK
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera, transform
from kdbts_ros.density.network.network import sample_features
from kdbts_ros.density.network.projection import rays_world
from kdbts_ros.density.network.volume_rendering import composite, lengths

# World points (N,3) to densities (N,) 1/m, NaN unseen, and whether a view sees them.
Density = Callable[[Array], tuple[Floats, Bools]]

# Where a following camera looks, ahead of the robot on its ground, m.
LOOKS_AHEAD = 12.0
# Its lens: small, since every pixel is a ray through the densities; 80 degrees wide.
LENS = Camera(240, 120, 142.0, 142.0, 120.0, 60.0)
# Samples that rays take together before those that met something drop out.
SLAB = 8


@dataclass(frozen=True)
class FollowingCamera:
    """A virtual camera so far behind and above the base, m, that looks at the ground ahead."""

    behind: float = 4.0
    above: float = 3.0
    camera: Camera = LENS

    def pose(self, T_fixed_base: Array) -> Array:
        """T_fixed_cam (4,4) of its optical frame."""
        down = np.arctan2(self.above, self.behind + LOOKS_AHEAD)
        c, s = np.cos(down), np.sin(down)
        T_base_cam = np.eye(4)
        T_base_cam[:3, :3] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ R_BODY_OPTICAL
        T_base_cam[:3, 3] = -self.behind, 0.0, self.above
        return np.asarray(T_fixed_base @ T_base_cam)


def render_view(
    views: Sequence[EncodedView],
    density: Density,
    camera: Camera,
    T_world_cam: Array,
    t: Floats,
    device: torch.device,
    stop: float = 0.0,
) -> tuple[npt.NDArray[np.uint8], Floats]:
    """rgb (H,W,3) and weight (H,W): the share of a pixel's light that some view could colour.

    t: (S,) z-depths m at which rays of the new camera are sampled. stop: a ray may end, and colours
    be left out, where less light than this is left.
    """
    count = camera.height * camera.width
    colours, weights = torch.zeros(count, 3, device=device), torch.zeros(count, device=device)
    stacked = np.stack([view.image for view in views])
    images = torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2).float() / 255
    samples = torch.from_numpy(t).to(device)
    for part in torch.split(torch.arange(count, device=device), max(1, CHUNK // len(t))):
        directions = _directions(part, camera)
        local = (directions[:, None] * samples[:, None]).cpu().numpy()
        points = transform(T_world_cam, local)
        sigma = torch.from_numpy(_densities(density, points, t, stop)).to(device)
        light = composite(sigma, samples.expand_as(sigma), force_last=True).weights
        colours[part], weights[part] = _coloured(views, points, light, images, stop / len(t))
    rgb = (colours / weights.clamp_min(1e-6).unsqueeze(-1) * 255).round().clamp(0, 255)
    shape = (camera.height, camera.width)
    return rgb.view(*shape, 3).to(torch.uint8).cpu().numpy(), weights.view(shape).cpu().numpy()


def _directions(pixels: Tensor, camera: Camera) -> Tensor:
    """(N,3) with z = 1 through the centres of pixels, counted row by row."""
    u = ((pixels % camera.width) + 0.5) / camera.width * 2 - 1
    v = ((pixels // camera.width) + 0.5) / camera.height * 2 - 1
    K = torch.from_numpy(camera.ndc.astype(np.float32)).to(pixels.device)
    T = torch.eye(4, device=pixels.device)
    return rays_world(torch.stack([u, v], -1), K, T, unit=False)[1]


def _densities(density: Density, points: Array, t: Floats, stop: float) -> Floats:
    """(N,S) 1/m along rays at points (N,S,3), 0 where no view sees and where rays have ended."""
    sigma, depth = np.zeros(points.shape[:2], np.float32), np.zeros(len(points))
    steps, darkest = lengths(t), -np.log(max(stop, 1e-30))
    for begin in range(0, len(t), SLAB):
        alive, slab = np.flatnonzero(depth < darkest), slice(begin, begin + SLAB)
        asked = points[alive, slab]
        # Unseen space neither stops light nor has a colour.
        found = np.nan_to_num(density(asked.reshape(-1, 3))[0]).reshape(asked.shape[:2])
        sigma[alive, slab] = found
        depth[alive] += found @ steps[slab]
    return sigma


def _coloured(
    views: Sequence[EncodedView], points: Array, light: Tensor, images: Tensor, least: float
) -> tuple[Tensor, Tensor]:
    """Colours (N,3) and weights (N,) of rays whose samples (N,S,3) send shares of light (N,S)."""
    shown = light > least
    projected = project_world(views, points[shown.cpu().numpy()])
    sampled = sample_features(images[None], projected.uv[None])[0]
    share = projected.seen.float().unsqueeze(-1)
    mixed = (sampled * share).sum(0) / share.sum(0).clamp_min(1)
    weight, colour = torch.zeros_like(light), light.new_zeros(*light.shape, 3)
    weight[shown] = light[shown] * projected.seen.any(0)
    colour[shown] = mixed
    return (weight.unsqueeze(-1) * colour).sum(1), weight.sum(1)
