"""The losses of BTS and KDBTS: photometric, smoothness, distillation, and their reference total."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

InvalidPolicy = Literal["weight_guided", "strict", "none"]

SSIM_SHARE = 0.85
# A 3x3 Gaussian as the reference rounds it; it sums to 0.9998 and is not renormalised.
SSIM_WINDOW = ((0.0947, 0.1183, 0.0947), (0.1183, 0.1478, 0.1183), (0.0947, 0.1183, 0.0947))
SSIM_C1, SSIM_C2 = 1e-4, 9e-4
# A ray is invalid for a view when more than this share of its weight lies outside that view.
INVALID_WEIGHT = 0.9
SMOOTHNESS_WEIGHT = 1e-3
# Densities above this are solid either way: distillation does not ask how solid.
DISTILLED_DENSITY = 2.0
DEPTH_RANGE = (1e-3, 80.0)


def masked_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values that count, 0 where none does; both of one shape.

    The sum is divided by what processes count on average, not by what this one counts: the mean of
    the results over the processes, which training takes, is then the mean over their whole batch.
    """
    count = counted.sum(dtype=values.dtype)
    if dist.is_available() and dist.is_initialized():
        count = count.clone()
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    # Less than one may count per process, so that 1 is no safe floor here.
    return (values * counted).sum() / count.clamp_min(1e-6)


def ssim_distance(a: Tensor, b: Tensor) -> Tensor:
    """(N,C,H,W) images in [0,1] to their structural distance in [0, 0.5]."""
    channels = a.shape[1]
    window = torch.tensor(SSIM_WINDOW, dtype=a.dtype, device=a.device)
    kernel = window.expand(channels, 1, 3, 3)

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, padding=1, groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    variance_a = blur(a * a) - mean_a * mean_a
    variance_b = blur(b * b) - mean_b * mean_b
    covariance = blur(a * b) - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a * mean_a + mean_b * mean_b + SSIM_C1) * (variance_a + variance_b + SSIM_C2)
    )
    return (1 - similarity).clamp(0, 1) / 2


def photometric_distance(rendered: Tensor, truth: Tensor) -> Tensor:
    """L_ph of each patch pixel: its distance to its rendering from each view.

    Args:
        rendered: (B,P,h,w,K,3) colours in [0,1], one rendering per render view.
        truth: (B,P,h,w,3).

    Returns:
        (B,P,h,w,K): 0.85 structural + 0.15 absolute difference, means over channels (monodepth2's
        mix; the window sees zeros beyond the patch).
    """
    B, P, h, w, K, _ = rendered.shape
    a = rendered.permute(0, 1, 4, 5, 2, 3).reshape(B * P * K, 3, h, w)
    b = truth.permute(0, 1, 4, 2, 3).unsqueeze(2).expand(B, P, K, 3, h, w).reshape_as(a)
    distance = SSIM_SHARE * ssim_distance(a, b).mean(1) + (1 - SSIM_SHARE) * (a - b).abs().mean(1)
    return distance.view(B, P, K, h, w).permute(0, 1, 3, 4, 2)


def smoothness_map(depth: Tensor, truth: Tensor) -> Tensor:
    """L_eas: edge-aware slope of the inverse depth, (B,P,h,w) m and (B,P,h,w,3) to (B,P,h,w).

    Inverse depths are divided by their mean over the patch, so that far patches count as near
    ones do; forward differences, none for the last row and column.
    """
    inverse = 1 / depth.clamp(*DEPTH_RANGE)
    inverse = inverse / inverse.mean((-2, -1), keepdim=True)
    slope_x = (inverse[..., :, 1:] - inverse[..., :, :-1]).abs()
    slope_y = (inverse[..., 1:, :] - inverse[..., :-1, :]).abs()
    edge_x = (truth[..., :, 1:, :] - truth[..., :, :-1, :]).abs().mean(-1)
    edge_y = (truth[..., 1:, :, :] - truth[..., :-1, :, :]).abs().mean(-1)
    along_x = F.pad(slope_x * torch.exp(-edge_x), (0, 1))
    along_y = F.pad(slope_y * torch.exp(-edge_y), (0, 0, 0, 1))
    return along_x + along_y


def invalid_rays(invalid: Tensor, weights: Tensor, policy: InvalidPolicy) -> Tensor:
    """Which rays no render view can judge: (...,S,K) samples outside views and (...,S) to (...).

    "weight_guided": for every view, more than 90 % of the ray's weight lies outside it. "strict":
    some sample lies outside every view. "none": all rays are judged.
    """
    if policy == "none":
        return torch.zeros(weights.shape[:-1], dtype=torch.bool, device=weights.device)
    outside = invalid.to(weights.dtype)
    if policy == "strict":
        return (outside > 0.5).all(-1).any(-1)
    return ((outside * weights.unsqueeze(-1)).sum(-2) > INVALID_WEIGHT).all(-1)


def distillation_loss(student_logit: Tensor, teacher_logit: Tensor, seen: Tensor) -> Tensor:
    """L_kd: L1 between densities clipped to [0, 2] 1/m where view 0 sees the point.

    All three of one shape. KDBTS, CVPR 2024, section 3.3.
    """
    return density_distance(F.softplus(student_logit), F.softplus(teacher_logit), seen)


def density_distance(student: Tensor, teacher: Tensor, seen: Tensor) -> Tensor:
    """`distillation_loss` of densities in 1/m. The stop-gradient of KDBTS is here: `detach`."""
    taught = teacher.detach().clamp(0, DISTILLED_DENSITY)
    return masked_mean((student.clamp(0, DISTILLED_DENSITY) - taught).abs(), seen)


def ray_entropy(alpha: Tensor, masked: Tensor) -> Tensor:
    """Mean entropy of where rays stop; masked rays count as zero, as in the other terms.

    (...,S) opacities and (...) masks. Natural logarithms over log2(S), as the reference has it: a
    ray that could stop anywhere reads ln 2.
    """
    share = alpha + 1e-5
    share = share / share.sum(-1, keepdim=True)
    entropy = -(share * share.log()).sum(-1) / math.log2(alpha.shape[-1])
    return (entropy * ~masked).mean()


class PhotometricTerms(NamedTuple):
    """The parts of one photometric step and their weighted `total`."""

    total: Tensor
    photometric: Tensor
    smoothness: Tensor
    invalid_share: Tensor


def photometric_terms(
    rendered: Tensor,
    truth: Tensor,
    depth: Tensor,
    weights: Tensor,
    invalid: Tensor,
    policy: InvalidPolicy = "weight_guided",
    photometric_weight: float = 2.0,
    smoothness_weight: float = SMOOTHNESS_WEIGHT,
) -> PhotometricTerms:
    """The reference's objective on patches.

    Args:
        rendered: (B,P,h,w,K,3). truth: (B,P,h,w,3). depth: (B,P,h,w) expected ray distance.
        weights: (B,P,h,w,S). invalid: (B,P,h,w,S,K).
        photometric_weight: 2, because the reference adds the same term as "coarse" and "fine".

    Each pixel counts with its best render view; masked rays count as zero in a mean over all.
    """
    judged = (~invalid_rays(invalid, weights, policy)).to(truth.dtype)
    best = photometric_distance(rendered, truth).amin(-1)
    photometric = (best * judged).mean()
    smoothness = (smoothness_map(depth, truth) * judged).mean()
    total = photometric_weight * photometric + smoothness_weight * smoothness
    return PhotometricTerms(total, photometric, smoothness, 1 - judged.mean())
