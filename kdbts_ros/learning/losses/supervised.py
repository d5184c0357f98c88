"""Learning from exact worlds: occupancy at points and over columns, depth along rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.network.heads import Head
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.trunk import Trunk
from kdbts_ros.density.network.volume_rendering import composite, sample_distances
from kdbts_ros.learning.config.stages import SupervisedStage
from kdbts_ros.learning.config.training import Precision
from kdbts_ros.learning.frames.augmentation import (
    jitter_colours,
    mirror_intrinsics,
    mirror_points,
    mirror_poses,
)
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.labels import (
    FAR,
    OBSTACLE_SHARE,
    LabelledFrame,
    draw_pixels,
)
from kdbts_ros.learning.frames.sampling import draw_views, drop_views
from kdbts_ros.learning.losses.encoding import encode_views, feature_distance, taught_features
from kdbts_ros.learning.losses.feature_styles import disturbance
from kdbts_ros.learning.losses.terms import density_distance, distillation_loss, masked_mean

# Keeps the logarithm of an occupied point finite where the density is exactly zero in float32.
PROBABILITY_FLOOR = 1e-6


@dataclass(frozen=True)
class SupervisedBatch:
    """Everything in the optical frame of each first image.

    images (B,V,3,H,W) in [0,1]; K_ndc (B,V,3,3); T_cam_ref (B,V,4,4); points (B,M,3) m and occupied
    (B,M) 0 or 1; rays: directions (B,R,3) with z = 1, their true z-depth (B,R) and how far they are
    asked about (B,); columns (B,C,L,3) m bottom up and column_occupied (B,C) 0 or 1; street (B,)
    bool and layer (B,) m, see `LabelledFrame`.
    """

    images: Tensor
    K_ndc: Tensor
    T_cam_ref: Tensor
    points: Tensor
    occupied: Tensor
    rays: Tensor
    z: Tensor
    far: Tensor
    columns: Tensor
    column_occupied: Tensor
    street: Tensor
    layer: Tensor

    def to(self, device: torch.device) -> SupervisedBatch:
        return SupervisedBatch(*(value.to(device) for value in vars(self).values()))


def collate(
    frames: Sequence[LabelledFrame], stage: SupervisedStage, rngs: Sequence[np.random.Generator]
) -> SupervisedBatch:
    """Draw views, points, rays and columns; every other draw mirrors the frame left to right."""
    columns = min(stage.columns, *(len(frame.columns) for frame in frames))
    parts = [_draw(f, stage, columns, rng) for f, rng in zip(frames, rngs, strict=True)]
    return SupervisedBatch(*(torch.stack(values) for values in zip(*parts, strict=True)))


def _draw(
    frame: LabelledFrame, stage: SupervisedStage, columns: int, rng: np.random.Generator
) -> tuple[Tensor, ...]:
    views = draw_views(len(frame.images), stage.views, rng)
    chosen = _slice(len(frame.points), stage.points, rng)
    standing = _slice(len(frame.columns), columns, rng)
    wanted = [
        (frame.obstacle, OBSTACLE_SHARE),
        (frame.far_thing, stage.far_share),
        (frame.near_thing, stage.near_share),
    ]
    rows, cols = draw_pixels(frame.z.shape, wanted, stage.rays, rng, frame.seen)
    images = torch.from_numpy(frame.images[views]).permute(0, 3, 1, 2).float() / 255
    K_ndc = torch.from_numpy(frame.K_ndc[views])
    T_cam_ref = np.stack([inverse(T) for T in frame.T_ref_cam[views]]).astype(np.float32)
    T = torch.from_numpy(T_cam_ref)
    points, over = torch.from_numpy(frame.points[chosen]), torch.from_numpy(frame.columns[standing])
    rays = torch.from_numpy(_directions(frame, rows, cols))
    if rng.random() < 0.5:
        images, K_ndc, T = images.flip(-1), mirror_intrinsics(K_ndc), mirror_poses(T)
        points, rays, over = mirror_points(points), mirror_points(rays), mirror_points(over)
    return (
        images,
        K_ndc,
        T,
        points,
        torch.from_numpy(frame.occupied[chosen]).float(),
        rays,
        torch.from_numpy(frame.z[rows, cols].astype(np.float32)).clamp(frame.near, frame.far),
        torch.tensor(frame.far),
        over,
        torch.from_numpy(frame.column_occupied[standing]).float(),
        torch.tensor(frame.street),
        torch.tensor(frame.layer),
    )


def _slice(count: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`wanted` consecutive indices of `count`, wrapping around from a random start."""
    if not count:
        return np.zeros(0, np.int64)
    return (rng.integers(count) + np.arange(min(wanted, count))) % count


def _directions(
    frame: LabelledFrame, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """(R,3) directions with z = 1 through pixel centres of the reference."""
    height, width = frame.z.shape
    K = frame.K_ndc[0]
    x = ((cols + 0.5) / width * 2 - 1 - K[0, 2]) / K[0, 0]
    y = ((rows + 0.5) / height * 2 - 1 - K[1, 2]) / K[1, 1]
    return np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)


def occupancy_loss(sigma: Tensor, occupied: Tensor, length: float, seen: Tensor) -> Tensor:
    """Binary cross-entropy of the probability 1 - exp(-length sigma) that a cell is occupied.

    All three of one shape; the mean is over what is seen.
    """
    thickness = length * sigma
    solid = -torch.log(-torch.expm1(-thickness) + PROBABILITY_FLOOR)
    error = torch.where(occupied > 0.5, solid, thickness)
    return masked_mean(error, seen)


def depth_loss(sigma: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """|log E[1/t] - log 1/z| of rays (...,S) with true depth (...).

    The expected inverse depth, not the expected depth, because one mistaken far sample would
    otherwise drown a near surface.
    """
    weights = composite(sigma, t, force_last=True).weights
    inverse_depth = (weights / t).sum(-1)
    return (torch.log(inverse_depth.clamp_min(1 / (4 * FAR))) + torch.log(z)).abs().mean()


def column_loss(sigma: Tensor, seen: Tensor, occupied: Tensor, layer: Tensor) -> Tensor:
    """Cross-entropy of the map's own probability: opacity over the seen part of the band.

    sigma and seen (B,V,C,L), occupied (B,V,C), layer (B,) m. What a planner reads is then what was
    trained, and faint densities that add up over a band are paid for. Columns of which less than
    half is seen are left out, as the map leaves them unknown.
    """
    thickness = (sigma * seen).sum(-1) * layer[:, None, None]
    known = seen.float().mean(-1) >= 0.5
    return occupancy_loss(thickness, occupied, 1.0, known)


def supervised_step(
    network: DensityNetwork,
    batch: SupervisedBatch,
    stage: SupervisedStage,
    draws: Draws,
    precision: Precision,
    start: Trunk | None = None,
    teacher: DensityNetwork | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch; `loss` is the one to descend. All heads of the network learn.

    With `stage.distillation` the student also learns what the multi-view head knows of a point
    from all the views that see it, at all points that the first view sees.

    start: the encoder that `stage.feature_distance` is from. teacher: of `stage.feature_teacher`.
    """
    images = jitter_colours(batch.images, stage.jitter, draws)
    disturbed = disturbance(images.shape[1], stage.feature_noise, stage.mix_style, draws)
    encoded = encode_views(network, images, precision, disturbed)
    jitter = draws.uniform(*batch.z.shape, stage.samples).to(batch.z.device)
    spec = network.spec
    t = sample_distances(spec.depth_near, batch.far[:, None, None], jitter, spec.depth_spacing)
    queries = [
        batch.points,
        (batch.rays.unsqueeze(2) * t.unsqueeze(-1)).flatten(1, 2),
        batch.columns.flatten(1, 2),
    ]
    points = torch.cat(queries, dim=1)
    vectors, seen = network.vectors(encoded.features, batch.K_ndc, batch.T_cam_ref, points)
    found: dict[str, Tensor] = {}
    loss = torch.zeros((), device=vectors.device)
    usable = seen
    taught = told = None
    if stage.mirrored:
        mirrored = _mirrored_vectors(network, images, batch, points, precision)
    for name, head in network.heads().items():
        per_view = head.first_layers()(vectors)
        if head.multi_view:
            usable = drop_views(seen, stage.view_dropout, draws)
            if stage.distillation:
                with torch.no_grad():
                    taught = head.fuse(per_view, seen)
        else:
            told = per_view[:, 0, :, 0]
        sigma, judged = _densities(head, per_view, usable), seen[:, :1] if head.multi_view else seen
        terms = _terms(sigma, judged, batch, stage, t)
        loss = loss + (
            terms["occupancy"]
            + stage.depth_weight * terms["depth"]
            + stage.column_weight * terms["columns"]
        )
        if stage.mirrored:
            with torch.no_grad():
                other = _densities(head, head.first_layers()(mirrored), usable)
            terms["mirrored"] = density_distance(sigma, 0.5 * (sigma + other), judged)
            loss = loss + stage.mirrored * terms["mirrored"]
        found |= {f"{name}{term}": value.detach() for term, value in terms.items()}
    if taught is not None and told is not None:
        distilled = distillation_loss(told, taught, seen[:, 0])
        loss = loss + stage.distillation * distilled
        found["distilled"] = distilled.detach()
    if start is not None and stage.feature_distance:
        distance = feature_distance(encoded.taps, start, images.flatten(0, 1))
        loss = loss + stage.feature_distance * distance
        found["feature_distance"] = distance.detach()
    if teacher is not None:
        apart = taught_features(encoded.features, teacher, batch.images, batch.street)
        loss = stage.truth_weight * loss + stage.feature_weight * apart
        found["features"] = apart.detach()
    return {"loss": loss, **found}


def _densities(head: Head, per_view: Tensor, usable: Tensor) -> Tensor:
    """Of a head's hidden layer (B,V,M,C) to sigma: (B,1,M) fused, or (B,V,M).

    Each view is a lesson of its own to a head that reads one.
    """
    if head.multi_view:
        return F.softplus(head.fuse(per_view, usable)).unsqueeze(1)
    return F.softplus(per_view[..., 0])


@torch.no_grad()
def _mirrored_vectors(
    network: DensityNetwork,
    images: Tensor,
    batch: SupervisedBatch,
    points: Tensor,
    precision: Precision,
) -> Tensor:
    """What heads read at the same points in the mirrored world."""
    features = encode_views(network, images.flip(-1), precision).features
    K_ndc, T_cam_ref = mirror_intrinsics(batch.K_ndc), mirror_poses(batch.T_cam_ref)
    return network.vectors(features, K_ndc, T_cam_ref, mirror_points(points))[0]


def _terms(
    sigma: Tensor, seen: Tensor, batch: SupervisedBatch, stage: SupervisedStage, t: Tensor
) -> dict[str, Tensor]:
    """Losses of densities (B,V,M) of V readings, of which the first knows the depth of rays."""
    B, V = sigma.shape[:2]
    sizes = [batch.points.shape[1], t.shape[1] * t.shape[2], batch.columns[0, ..., 0].numel()]
    at_points, on_rays, over = torch.split(sigma, sizes, dim=2)
    points_seen, _, over_seen = torch.split(seen, sizes, dim=2)
    columns = (B, V, *batch.columns.shape[1:3])
    return {
        "occupancy": occupancy_loss(
            at_points, batch.occupied.unsqueeze(1).expand(B, V, -1), stage.length, points_seen
        ),
        "depth": depth_loss(on_rays[:, 0].reshape(t.shape), t, batch.z),
        "columns": column_loss(
            over.reshape(columns),
            over_seen.reshape(columns),
            batch.column_occupied.unsqueeze(1).expand(columns[:3]),
            batch.layer,
        ),
    }
