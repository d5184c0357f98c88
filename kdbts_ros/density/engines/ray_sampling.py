"""Along how many rays light is asked where it ends, and at how many depths."""

from __future__ import annotations

from kdbts_ros.density.network.network import NetworkSpec

DEPTH_SAMPLES = 64
# Where light ends is asked along so many rays, rows and columns of them over the image, and at most
# every second pixel. A map looks from above: to it, how far aside light goes matters more than how
# far up, and of twice as many rows or of a finer image it learns nothing (docs/performance.md).
REACH_RAYS = (32, 160)


def reach_rays(spec: NetworkSpec) -> tuple[int, int]:
    """Rows and columns of the rays that are asked where light ends."""
    rows, columns = REACH_RAYS
    return min(spec.image_height // 2, rows), min(spec.image_width // 2, columns)
