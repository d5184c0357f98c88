"""One step of adaptation: depths that matching is sure of, images rendered from each other, and
the start's word about what nobody sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.adaptation.clips import Clip
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.network.heads import Head
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec, sample_features
from kdbts_ros.density.network.projection import project, rays_world
from kdbts_ros.density.network.volume_rendering import composite, sample_distances
from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.augmentation import jitter_colours, mirror_intrinsics
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.labels import FAR
from kdbts_ros.learning.frames.sampling import PATCH, draw_patches, split_frames
from kdbts_ros.learning.losses.encoding import encode_views
from kdbts_ros.learning.losses.supervised import depth_loss
from kdbts_ros.learning.losses.terms import DISTILLED_DENSITY, distillation_loss, photometric_terms

JITTER = JitterConfig(
    gain=0.2, contrast=0.2, gamma=0.1, saturation=0.3, hue=0.05, noise=0.02, blur=0.2
)
# Where a point lies this far behind a hinted surface, nobody sees it: metres and share of depth.
HIDDEN, HIDDEN_SHARE = 0.5, 0.05
# What a student is taught beside what it sees for itself.
STUDENT_WEIGHT = 0.1
_REFLECTION = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class AdaptBatch:
    """Clips in the optical frame of their first image.

    images (B,V,3,H,W) in [0,1]; K_ndc (B,V,3,3); T_world_cam, T_cam_world (B,V,4,4); render (B,R)
    images that give colours; pixels (B,P,8,8,2) of judged patches in [-1,1]^2 and their view
    (B,P); truth is taken from images at patches (B,P,3); rays (B,N,3) with z = 1 and hints z (B,N).
    """

    images: Tensor
    K_ndc: Tensor
    T_world_cam: Tensor
    T_cam_world: Tensor
    render: Tensor
    patches: Tensor
    rays: Tensor
    z: Tensor

    def to(self, device: torch.device) -> AdaptBatch:
        return AdaptBatch(*(value.to(device) for value in vars(self).values()))


def collate(clips: Sequence[Clip], settings: AdaptSettings, draws: Draws) -> AdaptBatch:
    """Draw rays of known depth and patches of clips; without hints, rays that weigh nothing.

    Every other draw mirrors the clip left to right.
    """
    parts = [_draw(clip, settings, rng) for clip, rng in zip(clips, draws.rngs, strict=True)]
    return AdaptBatch(*(torch.stack(values) for values in zip(*parts, strict=True)))


def _draw(clip: Clip, settings: AdaptSettings, rng: np.random.Generator) -> tuple[Tensor, ...]:
    height, width = clip.images.shape[1:3]
    judged, render = split_frames(len(clip.images), rng)
    T_first_world = inverse(clip.T_world_cam[0])
    T_first_cam = [T_first_world @ T for T in clip.T_world_cam]
    patches = np.stack(draw_patches(judged, settings.patches, height, width, rng), -1)
    known = np.flatnonzero(clip.hints > 0)
    pixels = known if len(known) else np.arange(height * width)
    rows, columns = np.divmod(pixels[rng.integers(len(pixels), size=settings.rays)], width)
    K = clip.K_ndc[0]
    x = ((columns + 0.5) / width * 2 - 1 - K[0, 2]) / K[0, 0]
    y = ((rows + 0.5) / height * 2 - 1 - K[1, 2]) / K[1, 1]
    images = torch.from_numpy(clip.images).permute(0, 3, 1, 2).float() / 255
    K_ndc = torch.from_numpy(clip.K_ndc)
    poses = np.stack(T_first_cam)
    if rng.random() < 0.5:
        # One road has its trees on one side: mirrored it says nothing of sides.
        images, K_ndc = images.flip(-1), mirror_intrinsics(K_ndc)
        patches[..., 2], x = width - PATCH - patches[..., 2], -x
        poses = _REFLECTION @ poses @ _REFLECTION
    return (
        images,
        K_ndc,
        torch.from_numpy(poses.astype(np.float32)),
        torch.from_numpy(np.stack([inverse(T) for T in poses]).astype(np.float32)),
        torch.from_numpy(render),
        torch.from_numpy(patches),
        torch.from_numpy(np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)),
        torch.from_numpy(clip.hints[rows, columns].astype(np.float32)),
    )


def adapt_step(
    network: DensityNetwork,
    start: DensityNetwork,
    batch: AdaptBatch,
    settings: AdaptSettings,
    draws: Draws,
) -> dict[str, Tensor]:
    """Losses of a batch; `loss` is the one to descend. Every head of the network learns."""
    images = jitter_colours(batch.images, JITTER, draws)
    V = images.shape[1]
    several = any(head.multi_view for head in network.heads().values())
    shown = min(settings.views, V) if several else 1
    features = encode_views(network, images[:, :shown], "float32").features
    with torch.no_grad():
        before = encode_views(start, images[:, :1], "float32").features
    spec = network.spec
    hinted, t_hinted = _hint_points(batch, spec, settings, draws)
    judged, t_judged, truth = _judged_points(images, batch, spec, settings, draws)
    points = torch.cat([hinted.flatten(1, 2), judged.flatten(1, -2)], 1)
    count = hinted.shape[1] * hinted.shape[2]
    anchor = _anchor(start, before, batch, points[:, :count]).view(t_hinted.shape)
    terms: dict[str, Tensor] = {}
    logits: dict[str, Tensor] = {}
    loss = points.new_zeros(())
    for name, head in network.heads().items():
        logit = _logits(network, head, features, batch, points)
        sigma = F.softplus(logit)
        depth = _hint_loss(
            sigma[:, :count].view(t_hinted.shape), t_hinted, batch.z, spec.depth_near
        )
        photometric = _photometric(
            sigma[:, count:].view(t_judged.shape), t_judged, judged, truth, images, batch
        )
        drift = _drift(sigma[:, :count].view(t_hinted.shape), anchor, t_hinted, batch.z)
        loss = loss + settings.hint * depth + settings.photometric * photometric
        loss = loss + settings.anchor * drift
        logits[name] = logit
        terms |= {f"{name}depth": depth, f"{name}photometric": photometric, f"{name}drift": drift}
    if len(logits) == 2:
        seen = project(batch.K_ndc[:, :1], batch.T_cam_world[:, :1], points).seen[:, 0]
        taught = distillation_loss(
            logits["student_"].flatten(), logits[""].flatten(), seen.flatten()
        )
        loss = loss + STUDENT_WEIGHT * taught
        terms["taught"] = taught
    return {"loss": loss, **{name: value.detach() for name, value in terms.items()}}


def _logits(
    network: DensityNetwork, head: Head, features: Tensor, batch: AdaptBatch, points: Tensor
) -> Tensor:
    """(B,M) before softplus."""
    n = features.shape[1] if head.multi_view else 1
    vectors, seen = network.vectors(
        features[:, :n], batch.K_ndc[:, :n], batch.T_cam_world[:, :n], points
    )
    return head.fuse(head.first_layers()(vectors), seen)


def _hint_points(
    batch: AdaptBatch, spec: NetworkSpec, settings: AdaptSettings, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Points (B,N,S,3) along the rays of known depth and their z (B,N,S)."""
    B, N = batch.z.shape
    jitter = draws.uniform(B, N, settings.samples).to(batch.z.device)
    t = sample_distances(spec.depth_near, FAR, jitter, spec.depth_spacing)
    return batch.rays.unsqueeze(2) * t.unsqueeze(-1), t


def _judged_points(
    images: Tensor, batch: AdaptBatch, spec: NetworkSpec, settings: AdaptSettings, draws: Draws
) -> tuple[Tensor, Tensor, Tensor]:
    """Points (B,P,8,8,S,3), distances (B,P,8,8,S) and true colours (B,P,8,8,3) of patches."""
    height, width = images.shape[-2:]
    steps = torch.arange(PATCH, device=images.device)
    rows = (batch.patches[..., 1, None] + steps)[..., :, None].expand(-1, -1, PATCH, PATCH)
    columns = (batch.patches[..., 2, None] + steps)[..., None, :].expand(-1, -1, PATCH, PATCH)
    uv = torch.stack([(columns + 0.5) / width * 2 - 1, (rows + 0.5) / height * 2 - 1], -1)
    index = torch.arange(len(images), device=images.device)[:, None]
    view = batch.patches[..., 0]
    truth = images.permute(0, 1, 3, 4, 2)[
        index[..., None, None], view[..., None, None], rows, columns
    ]
    K, T = batch.K_ndc[index, view], batch.T_world_cam[index, view]
    origin, direction = rays_world(uv, K[:, :, None, None], T[:, :, None, None], unit=True)
    jitter = draws.uniform(*uv.shape[:-1], settings.samples).to(uv.device)
    t = sample_distances(spec.depth_near, FAR, jitter, spec.depth_spacing)
    return origin.unsqueeze(-2) + direction.unsqueeze(-2) * t.unsqueeze(-1), t, truth


@torch.no_grad()
def _anchor(start: DensityNetwork, features: Tensor, batch: AdaptBatch, points: Tensor) -> Tensor:
    """(B,M) what the start says from the first image alone, clipped as in distillation."""
    head = list(start.heads().values())[-1]
    logit = _logits(start, head, features, batch, points)
    return F.softplus(logit).clamp(max=DISTILLED_DENSITY)


def _hint_loss(sigma: Tensor, t: Tensor, z: Tensor, near: float) -> Tensor:
    """|log| of expected depth and of expected inverse depth against the hints.

    Both, because each is blind where the other sees: a twentieth of the light that leaks past a
    near surface hardly moves the inverse, and adds half to the expected depth itself.
    """
    known = z > 0
    if not known.any():
        return sigma.sum() * 0
    truth = z[known].clamp(near, FAR)
    expected = composite(sigma[known], t[known], force_last=True).depth
    leaked = (torch.log(expected) - torch.log(truth)).abs().mean()
    return 0.5 * (depth_loss(sigma[known], t[known], truth) + leaked)


def _drift(sigma: Tensor, anchor: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Mean change of clipped density behind the hinted surfaces."""
    z = z.unsqueeze(-1)
    hidden = (z > 0) & (t > z * (1 + HIDDEN_SHARE) + HIDDEN)
    if not hidden.any():
        return sigma.sum() * 0
    return (sigma.clamp(max=DISTILLED_DENSITY) - anchor).abs()[hidden].mean()


def _photometric(
    sigma: Tensor, t: Tensor, points: Tensor, truth: Tensor, images: Tensor, batch: AdaptBatch
) -> Tensor:
    """How unlike the judged patches are to what the render images make of them."""
    rendering = composite(sigma, t, force_last=True)
    index = torch.arange(len(images), device=images.device)[:, None]
    projected = project(
        batch.K_ndc[index, batch.render],
        batch.T_cam_world[index, batch.render],
        points.flatten(1, -2),
    )
    colours = sample_features(images[index, batch.render], projected.uv).transpose(1, 2)
    colours = colours.reshape(*t.shape, *colours.shape[2:])
    invalid = ~projected.seen.transpose(1, 2).reshape(*t.shape, -1)
    rendered = (rendering.weights[..., None, None] * colours).sum(-3)
    terms = photometric_terms(
        rendered,
        truth,
        rendering.depth,
        rendering.weights,
        invalid,
        photometric_weight=1.0,
    )
    return terms.total
