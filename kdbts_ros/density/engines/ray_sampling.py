"""Along how many rays light is asked where it ends, and at how many depths."""

from __future__ import annotations

import torch

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.density.network.volume_rendering import sample_distances

DEPTH_SAMPLES = 64
# Where light ends is asked along so many rays, rows and columns of them over the image, and at most
# every second pixel. A map looks from above: to it, how far aside light goes matters more than how
# far up, and of twice as many rows or of a finer image it learns nothing (docs/performance.md).
VISIBILITY_RAYS = (32, 160)


def visibility_rays(spec: NetworkSpec) -> tuple[int, int]:
    """Rows and columns of the rays that are asked where light ends."""
    rows, columns = VISIBILITY_RAYS
    return min(spec.image_height // 2, rows), min(spec.image_width // 2, columns)


def depth_samples(spec: NetworkSpec, scale: float, count: int = DEPTH_SAMPLES) -> Floats:
    """t_i (count,) m: depths at which rays of a view of that scale are sampled."""
    # The network knows nothing nearer than `depth_near` in the world it is shown.
    near = spec.depth_near / scale
    return sample_distances(near, spec.depth_far, torch.full((count,), 0.5)).numpy()
