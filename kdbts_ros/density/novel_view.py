"""Novel views by image-based rendering: densities weigh the colours that views have at samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView, project_world
from kdbts_ros.density.engines.interface import CHUNK
from kdbts_ros.density.geometry.camera import Array, Camera, transform
from kdbts_ros.density.network.network import sample_features
from kdbts_ros.density.network.projection import rays_world
from kdbts_ros.density.network.volume_rendering import composite

# World points (N,3) to densities (N,) 1/m, NaN unseen, and whether a view sees them.
Density = Callable[[Array], tuple[Floats, Bools]]


def render_view(
    views: Sequence[EncodedView],
    density: Density,
    camera: Camera,
    T_world_cam: Array,
    t: Floats,
    device: torch.device,
) -> tuple[npt.NDArray[np.uint8], Floats]:
    """rgb (H,W,3) and weight (H,W): the share of a pixel's light that some view could colour.

    t: (S,) z-depths m at which rays of the new camera are sampled.
    """
    count = camera.height * camera.width
    colours, weights = torch.zeros(count, 3, device=device), torch.zeros(count, device=device)
    stacked = np.stack([view.image for view in views])
    images = torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2).float() / 255
    samples = torch.from_numpy(t).to(device)
    for part in torch.split(torch.arange(count, device=device), max(1, CHUNK // len(t))):
        directions = _directions(part, camera)
        local = (directions[:, None] * samples[:, None]).reshape(-1, 3).cpu().numpy()
        points = transform(T_world_cam, local)
        colours[part], weights[part] = _composited(views, density, points, samples, images)
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


def _composited(
    views: Sequence[EncodedView], density: Density, points: Array, t: Tensor, images: Tensor
) -> tuple[Tensor, Tensor]:
    """Colours (N,3) and weights (N,) of rays sampled at points (N*S,3)."""
    projected = project_world(views, points)
    seen = projected.seen.any(0)
    # Unseen space neither stops light nor has a colour.
    found, _ = density(points)
    sigma = torch.from_numpy(np.nan_to_num(found)).to(t.device).view(-1, len(t))
    rendered = composite(sigma, t.expand_as(sigma), force_last=True)
    sampled = sample_features(images[None], projected.uv[None])[0]
    share = projected.seen.float().unsqueeze(-1)
    mixed = ((sampled * share).sum(0) / share.sum(0).clamp_min(1)).view(*sigma.shape, 3)
    weight = rendered.weights * seen.view(sigma.shape)
    return (weight.unsqueeze(-1) * mixed).sum(1), weight.sum(1)
