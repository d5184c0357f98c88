"""A student that sees one view learns from a teacher that sees several (KDBTS, CVPR 2024)."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.network.heads import Head
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.learning.config.clip_stages import DistillStage
from kdbts_ros.learning.config.training import Precision
from kdbts_ros.learning.frames.augmentation import jitter_colours
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.photometric import (
    ClipBatch,
    cast_patches,
    encode_mirrored,
    figures,
    images_of,
    judge,
    read_points,
)
from kdbts_ros.learning.losses.terms import distillation_loss


def distill_step(
    network: DensityNetwork,
    teacher: DensityNetwork | None,
    batch: ClipBatch,
    stage: DistillStage,
    draws: Draws,
    precision: Precision,
) -> dict[str, Tensor]:
    """Losses of a batch; `loss` is the one to descend.

    The teacher's densities carry no gradient, and count where the first view sees the point: all
    samples of all judged rays, those behind surfaces and aside of the view included. Without a
    `teacher` the network's own multi-view head teaches its student over one trunk.
    """
    images = jitter_colours(batch.images, stage.jitter, draws)
    rays = cast_patches(images, batch, network.spec, stage.samples, draws)
    encoded = images_of(images, batch.encoded)
    if teacher is None:
        features = encode_mirrored(network, encoded, draws, precision)
        vectors, seen = read_points(network, features, batch, rays.points)
        taught = _pre_density(network.density_head, vectors, seen)
        told = _pre_density(cast(Head, network.student), vectors, seen)
    else:
        first = replace(batch, encoded=batch.encoded[:, :1])
        features = encode_mirrored(network, encoded[:, :1], draws, precision)
        vectors, seen = read_points(network, features, first, rays.points)
        told = _pre_density(network.density_head, vectors, seen)
        taught = _lesson(teacher, encoded, batch, rays.points, draws, precision)
    distilled = distillation_loss(told, taught, seen[:, 0])
    loss = stage.distillation * distilled
    found = {"distilled": distilled.detach()}
    if stage.photometric:
        terms = judge(F.softplus(told), rays, stage)
        loss = loss + stage.photometric * terms.total
        found |= figures(terms)
    return {"loss": loss, **found}


@torch.no_grad()
def _lesson(
    teacher: DensityNetwork,
    encoded: Tensor,
    batch: ClipBatch,
    points: Tensor,
    draws: Draws,
    precision: Precision,
) -> Tensor:
    features = encode_mirrored(teacher, encoded, draws, precision)
    vectors, seen = read_points(teacher, features, batch, points)
    return _pre_density(teacher.density_head, vectors, seen)


def _pre_density(head: Head, vectors: Tensor, seen: Tensor) -> Tensor:
    return head.fuse(head.first_layers()(vectors), seen)
