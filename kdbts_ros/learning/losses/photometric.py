"""Learning from images and poses: render some frames of a clip out of the others.

Behind the Scenes (CVPR 2023), section 3: densities from the encoded frames, colours from the
render frames, so that only geometry can explain the judged frames. MVBTS (KDBTS, CVPR 2024)
encodes several frames, BTS the first alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.network.baseline_heads import fuse_along
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec, sample_features
from kdbts_ros.density.network.projection import project, rays_world
from kdbts_ros.density.network.volume_rendering import composite, sample_distances
from kdbts_ros.learning.config.clip_stages import PhotometricStage, PhotometricTerm
from kdbts_ros.learning.config.training import Precision
from kdbts_ros.learning.frames.augmentation import jitter_colours
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.labels import FAR
from kdbts_ros.learning.frames.sampling import (
    PATCH,
    draw_patches,
    draw_views,
    drop_views,
    frame_order,
    split_frames,
)
from kdbts_ros.learning.losses.encoding import encode_views
from kdbts_ros.learning.losses.terms import PhotometricTerms, photometric_terms


@dataclass(frozen=True, eq=False)
class Clip:
    """Left and right images at two times: L t0, L t1, R t0, R t1.

    images (4,H,W,3) uint8 RGB; K_ndc (4,3,3); T_world_cam (4,4,4) in any world.
    """

    images: npt.NDArray[np.uint8]
    K_ndc: npt.NDArray[np.float32]
    T_world_cam: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClipBatch:
    """Clips in the optical frame of their first image, the reference.

    images (B,4,3,H,W) in [0,1]; K_ndc (B,4,3,3); T_world_cam and T_cam_world (B,4,4,4); encoded
    (B,V) frames that give densities, 0 first; render (B,2) frames that give colours; patches
    (B,P,3): judged frame, top row, left column.
    """

    images: Tensor
    K_ndc: Tensor
    T_world_cam: Tensor
    T_cam_world: Tensor
    encoded: Tensor
    render: Tensor
    patches: Tensor

    def to(self, device: torch.device) -> ClipBatch:
        return ClipBatch(*(value.to(device) for value in vars(self).values()))


def collate_clips(
    clips: Sequence[Clip], patches: int, rngs: Sequence[np.random.Generator], views: int = 1
) -> ClipBatch:
    """Order and split the frames of clips, draw `views` to encode and the patches to judge."""
    parts = [_draw(clip, patches, views, rng) for clip, rng in zip(clips, rngs, strict=True)]
    return ClipBatch(*(torch.stack(values) for values in zip(*parts, strict=True)))


def _draw(clip: Clip, patches: int, views: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    order = frame_order(rng)
    judged, render = split_frames(len(order), rng)
    images = torch.from_numpy(clip.images[order]).permute(0, 3, 1, 2).float() / 255
    T_first_world = inverse(clip.T_world_cam[order[0]])
    T_first_cam = [T_first_world @ T for T in clip.T_world_cam[order]]
    drawn = draw_patches(judged, patches, images.shape[2], images.shape[3], rng)
    return (
        images,
        torch.from_numpy(clip.K_ndc[order]),
        torch.from_numpy(np.stack(T_first_cam).astype(np.float32)),
        torch.from_numpy(np.stack([inverse(T) for T in T_first_cam]).astype(np.float32)),
        torch.from_numpy(draw_views(len(order), views, rng)),
        torch.from_numpy(render),
        torch.from_numpy(np.stack(drawn, axis=-1)),
    )


@dataclass(frozen=True)
class PatchRays:
    """Samples along the rays of judged patches, in the reference's frame.

    truth (B,P,8,8,3) colours; t (B,P,8,8,S) distances m; points (B,M,3) all samples flat; colours
    (B,P,8,8,S,K,3) and invalid (B,P,8,8,S,K) of the K render frames there.
    """

    truth: Tensor
    t: Tensor
    points: Tensor
    colours: Tensor
    invalid: Tensor


def cast_patches(
    images: Tensor, batch: ClipBatch, spec: NetworkSpec, samples: int, draws: Draws
) -> PatchRays:
    """Sample the rays of a batch's patches as a network does; the (jittered) images are given."""
    uv, truth = patch_pixels(images, batch.patches)
    origin, direction = patch_rays(batch, uv)
    jitter = draws.uniform(*truth.shape[:-1], samples).to(uv.device)
    t = sample_distances(spec.depth_near, FAR, jitter, spec.depth_spacing)
    points = (origin.unsqueeze(-2) + direction.unsqueeze(-2) * t.unsqueeze(-1)).flatten(1, -2)
    colours, seen = render_colours(images, batch, points)
    return PatchRays(
        truth,
        t,
        points,
        colours.reshape(*t.shape, *colours.shape[2:]),
        ~seen.reshape(*t.shape, seen.shape[-1]),
    )


def judge(sigma: Tensor, rays: PatchRays, stage: PhotometricTerm) -> PhotometricTerms:
    """Photometric and smoothness terms of densities (B,M) at the samples of the rays."""
    rendering = composite(sigma.reshape(rays.t.shape), rays.t, force_last=True)
    rendered = (rendering.weights[..., None, None] * rays.colours).sum(-3)
    return photometric_terms(
        rendered,
        rays.truth,
        rendering.depth,
        rendering.weights,
        rays.invalid,
        stage.invalid_policy,
        smoothness_weight=stage.smoothness,
    )


def photometric_step(
    network: DensityNetwork,
    batch: ClipBatch,
    stage: PhotometricStage,
    draws: Draws,
    precision: Precision,
) -> dict[str, Tensor]:
    """Losses of a batch; `loss` is the one to descend. All heads of the network learn."""
    images = jitter_colours(batch.images, stage.jitter, draws)
    features = encode_mirrored(network, images_of(images, batch.encoded), draws, precision)
    rays = cast_patches(images, batch, network.spec, stage.samples, draws)
    vectors, seen = read_points(network, features, batch, rays.points)
    found: dict[str, Tensor] = {}
    loss = torch.zeros((), device=vectors.device)
    for name, head in network.heads().items():
        usable = drop_views(seen, stage.view_dropout, draws) if head.multi_view else seen
        read = head.first_layers()(vectors)
        sigma = F.softplus(fuse_along(head, read, usable, stage.samples))
        terms = judge(sigma, rays, stage)
        loss = loss + terms.total
        found |= {f"{name}{term}": value for term, value in figures(terms).items()}
    return {"loss": loss, **found}


def figures(terms: PhotometricTerms) -> dict[str, Tensor]:
    """What is logged of the terms."""
    return {
        "photometric": terms.photometric.detach(),
        "smoothness": terms.smoothness.detach(),
        "invalid": terms.invalid_share.detach(),
    }


def images_of(images: Tensor, frames: Tensor) -> Tensor:
    """(B,V,3,H,W) the frames (B,V) of clips (B,N,3,H,W)."""
    return images[torch.arange(len(images), device=images.device)[:, None], frames]


def read_points(
    network: DensityNetwork, features: Tensor, batch: ClipBatch, points: Tensor
) -> tuple[Tensor, Tensor]:
    """What heads read at points (B,M,3) of the encoded views' features (B,V,C,H,W)."""
    rows = torch.arange(len(points), device=points.device)[:, None]
    return network.vectors(
        features, batch.K_ndc[rows, batch.encoded], batch.T_cam_world[rows, batch.encoded], points
    )


def encode_mirrored(
    network: DensityNetwork, images: Tensor, draws: Draws, precision: Precision
) -> Tensor:
    """Encode (B,V,3,H,W); by a coin mirrored, and the features mirrored back."""
    if draws.coin():
        return encode_views(network, images, precision).features
    return encode_views(network, images.flip(-1), precision).features.flip(-1)


def patch_pixels(images: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (B,P,8,8,2) of patch pixels in [-1,1]^2 and their colours (B,P,8,8,3)."""
    height, width = images.shape[-2:]
    steps = torch.arange(PATCH, device=images.device)
    rows = (patches[..., 1, None] + steps)[..., :, None].expand(-1, -1, PATCH, PATCH)
    columns = (patches[..., 2, None] + steps)[..., None, :].expand(-1, -1, PATCH, PATCH)
    u = (columns + 0.5) / width * 2 - 1
    v = (rows + 0.5) / height * 2 - 1
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    view = patches[..., 0, None, None]
    colours = images.permute(0, 1, 3, 4, 2)[batch, view, rows, columns]
    return torch.stack([u, v], dim=-1), colours


def patch_rays(batch: ClipBatch, uv: Tensor) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (B,P,8,8,3) of patch pixels in the encoded camera's frame."""
    rows = torch.arange(len(uv), device=uv.device)[:, None]
    view = batch.patches[..., 0]
    K, T = batch.K_ndc[rows, view], batch.T_world_cam[rows, view]
    return rays_world(uv, K[:, :, None, None], T[:, :, None, None], unit=True)


def render_colours(images: Tensor, batch: ClipBatch, points: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (B,M,K,3) of points (B,M,3) in the render frames, and whether they are seen there."""
    rows = torch.arange(len(images), device=images.device)[:, None]
    sources = images[rows, batch.render]
    projected = project(
        batch.K_ndc[rows, batch.render], batch.T_cam_world[rows, batch.render], points
    )
    colours = sample_features(sources, projected.uv)
    return colours.transpose(1, 2), projected.seen.transpose(1, 2)
