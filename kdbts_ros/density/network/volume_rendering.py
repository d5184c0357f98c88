"""Volume rendering: where rays are sampled, and densities to weights, depth and opacity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]

DEPTH_SAMPLES = 64
# Visibility is asked along so many rays, rows and columns of them over the image, and at most every
# second pixel. A map looks from above: to it, how far aside light goes matters more than how far
# up, and of twice as many rows or of a finer image it learns nothing (docs/performance.md).
VISIBILITY_RAYS = (32, 160)

# A first density so high that a sample swallows all light must not zero the product exactly.
TRANSMITTANCE_FLOOR = 1e-10


# Optical depth behind which half the light is gone.
HALF_THICKNESS = float(np.log(2))

# How the bins of a ray are spaced: equal in inverse depth, or each as many times as deep as the one
# before it. Inverse depth from 0.4 m on would leave 8 of 64 bins to all beyond 3 m.
SPACINGS = ("inverse", "log")


def sample_distances(
    near: float, far: float | Tensor, jitter: Tensor, spacing: str = "inverse"
) -> Tensor:
    """Ray parameters (...,S), one per bin, see `SPACINGS`; jitter in [0,1) places it there.

    0.5 everywhere is the deterministic choice. The last bin ends at `far`, so its middle lies well
    before it: with 64 bins of equal inverse depth from 3 to 80 m the last sample is at 66.6 m.
    """
    bins = jitter.shape[-1]
    s = torch.linspace(0, 1 - 1 / bins, bins, device=jitter.device) + jitter / bins
    if spacing == "log":
        return near * (torch.as_tensor(far, device=jitter.device) / near) ** s
    return 1 / ((1 - s) / near + s / far)


def visibility_rays(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the rays of an image that are asked for visibility."""
    rows, columns = VISIBILITY_RAYS
    return min(height // 2, rows), min(width // 2, columns)


def depth_samples(
    depths: tuple[float, float],
    scale: float,
    count: int = DEPTH_SAMPLES,
    spacing: str = "inverse",
) -> Floats:
    """t_i (count,) m: depths at which rays of a view of that scale are sampled.

    depths: nearest and farthest that the network knows, the nearest in the world it is shown, m.
    """
    near, far = depths
    return sample_distances(near / scale, far, torch.full((count,), 0.5), spacing).numpy()


def lengths(t: Floats) -> Floats:
    """(S,) length a sample stands for: up to the next one, the last as long as the one before."""
    steps = np.diff(t)
    return np.append(steps, steps[-1]).astype(np.float32)


class Rendering(NamedTuple):
    """w_i = T_i α_i: weights (...,S); d̂ = Σ w_i t_i: depth (...), the expected termination depth;
    opacity (...) in 0..1 before the last sample was forced opaque; T_i: transmittance (...,S)."""

    weights: Tensor
    depth: Tensor
    opacity: Tensor
    transmittance: Tensor


def composite(sigma: Tensor, t: Tensor, force_last: bool) -> Rendering:
    """Densities σ_i (...,S) 1/m at ray parameters t_i (...,S), composited along the ray.

    α_i = 1 − exp(−σ_i δ_i) with steps δ_i = t_i+1 − t_i, and T_i = Π_{j<i} (1 − α_j).
    `force_last` makes the last sample opaque, as the reference renders (a ray always ends
    somewhere; sky reads as the last sample). Without it the last sample keeps the length of the
    step before it and the weights sum to the opacity. Spec: BTS, CVPR 2023, equations 3 to 5.
    """
    step = t[..., 1:] - t[..., :-1]
    step = torch.cat([step, step[..., -1:]], dim=-1)
    alpha = 1 - torch.exp(-step.abs() * sigma.clamp_min(0))
    opacity = 1 - (1 - alpha).prod(-1)
    if force_last:
        alpha = torch.cat([alpha[..., :-1], torch.ones_like(alpha[..., -1:])], dim=-1)
    passed = torch.cumprod(1 - alpha + TRANSMITTANCE_FLOOR, dim=-1)
    transmittance = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], dim=-1)
    weights = alpha * transmittance
    return Rendering(weights, (weights * t).sum(-1), opacity, transmittance)


def surface_depth(sigma: Tensor, t: Tensor, thickness: float = HALF_THICKNESS) -> Tensor:
    """Depth (...) at which the optical depth comes to `thickness`; the last sample where it never
    does. Of ln 2 it is the median depth.

    A sample stops light evenly along its step, and so the depth lies within the step. Told by the
    beginnings of samples alone, depths would be in layers, a twelfth of the distance apart for 64
    samples from 0.5 to 80 m.
    """
    step = t[..., 1:] - t[..., :-1]
    step = torch.cat([step, step[..., -1:]], dim=-1)
    own = step.abs() * sigma.clamp_min(0)
    passed = own.cumsum(-1)
    crossed = passed >= thickness
    first = crossed.to(torch.int8).argmax(-1, keepdim=True)
    own, passed = own.gather(-1, first), passed.gather(-1, first)
    share = 1 - ((passed - thickness) / own.clamp_min(1e-6)).clamp(0, 1)
    depth = t.expand_as(sigma).gather(-1, first) + share * step.expand_as(sigma).gather(-1, first)
    return torch.where(crossed.any(-1), depth.squeeze(-1), t[..., -1])


def begun(surface: Floats, t: Floats) -> Floats:
    """Where the samples of t (S,) begin that depths (...) lie in: at those of half the light, it
    surely gets so far."""
    return t[np.searchsorted(t, surface, side="right").clip(1) - 1]
