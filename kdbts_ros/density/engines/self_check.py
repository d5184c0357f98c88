"""Does the fast engine say what the plain formulation says? Asked once, when weights are loaded.

Compiled loops, folded weights and reduced precision are right on the machines they were written on.
A generated image and a few thousand points show whether they are right on this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import Queries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera, View, inverse
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.heads import Head
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.volume_rendering import composite, sample_distances


class Limits(NamedTuple):
    """Grid IoU at least, mean relative change of depth, and of density by its mean, at most."""

    iou: float
    depth: float
    density: float


# What a published map and depth may lose to speed; and to 8 bits, which are asked for by name: the
# picture is like none that ranges were observed on, and costs .82 to .96, .03 and .08. Processors
# that multiply bytes with sums that overflow cost far more.
LIMITS = Limits(0.995, 0.002, 0.01)
LIMITS_OF_INT8 = Limits(0.75, 0.05, 0.15)
_LATTICE = Lattice.from_bounds((3.0, 20.0), (-6.0, 6.0), (0.0, 2.0), 0.5)
_SAMPLES = 64
_STRIDE = 8


class Differences(NamedTuple):
    """Grid IoU, mean relative change of depth, and of density by its mean."""

    iou: float
    depth: float
    density: float

    def acceptable(self, limits: Limits = LIMITS) -> bool:
        return bool(
            self.iou >= limits.iou and self.depth <= limits.depth and self.density <= limits.density
        )

    def __str__(self) -> str:
        return (
            f"grid IoU {self.iou:.4f}, depth off by {self.depth:.1e}, density by {self.density:.1e}"
        )


def check_views(spec: NetworkSpec) -> list[View]:
    """Two posed pictures of soft blobs, the same everywhere."""
    h, w = spec.image_height, spec.image_width
    camera = Camera(w, h, 0.6 * w, 0.6 * w, w / 2, h / 2)
    y, x = np.mgrid[0:h, 0:w] / np.array([h, w])[:, None, None]
    views = []
    for k in range(2):
        waves = [np.sin((7 + 3 * c) * x + 5 * k) * np.cos((4 + 5 * c) * y) for c in range(3)]
        image = (127 * (1 + np.stack(waves, -1))).astype(np.uint8)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R_BODY_OPTICAL, (0.5 * k, 0.2 * k, 1.6)
        views.append(View(image, camera, T))
    return views


@torch.inference_mode()
def differences(
    queries: Queries, views: Sequence[EncodedView], network: DensityNetwork, head: Head
) -> Differences:
    """How far answers about `views` are from those of a head of the network, plain and float32."""
    grid = AffineGrid.of_lattice(_LATTICE, None)
    # A GPU would round what it multiplies to ten bits, and call that float32.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        plain = _Plain(network, head, views)
    found = queries.grid_densities(grid).ravel()
    seen = np.isfinite(found)
    sigma, exact = found[seen], plain.density(grid.points()[seen])
    # Cells on either side of what these weights say on average, so that there are both kinds.
    threshold = np.median(exact)
    union = ((sigma >= threshold) | (exact >= threshold)).sum()
    both = ((sigma >= threshold) & (exact >= threshold)).sum()
    size = network.spec.image_height // _STRIDE, network.spec.image_width // _STRIDE
    t, depth = plain.depth(size)
    change = np.abs(queries.depths(0, t, size, 0.0).expected / depth - 1).mean()
    density_change = np.abs(sigma - exact).mean() / exact.mean()
    return Differences(float(both / max(union, 1)), float(change), float(density_change))


class _Plain:
    """The plain formulation of one head: encode, grid_sample, concatenated perceptron."""

    def __init__(self, network: DensityNetwork, head: Head, views: Sequence[EncodedView]) -> None:
        self.network, self.head, self.own = network, head, views[0]
        self.device = next(network.parameters()).device
        images = torch.from_numpy(np.stack([view.image for view in views])).to(self.device)
        self.features = network.encode(images.permute(0, 3, 1, 2).float() / 255)[None]
        self.K = self._tensor(np.stack([view.camera.ndc for view in views]))
        self.T = self._tensor(np.stack([inverse(view.T_world_cam) for view in views]))

    def density(self, points: Array, samples: int = 0) -> Floats:
        """(N,) 1/m of world points (N,3); samples: of each ray that they make up, if they do."""
        asked = self.features, self.K, self.T, self._tensor(points), samples
        return self.network.density_by(self.head, *asked)[0][0].cpu().numpy()

    def depth(self, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """The depths (S,) sampled and the expected depth (h,w) of view 0."""
        spec, T = self.network.spec, self.own.T_world_cam
        middles = torch.full((_SAMPLES,), 0.5)
        t = sample_distances(*spec.depths, middles, spec.depth_spacing)
        rays = self.own.camera.resized(size[1], size[0]).rays().reshape(-1, 3) @ T[:3, :3].T
        points = T[:3, 3] + rays[:, None] * t.numpy()[:, None]
        sigma = torch.from_numpy(self.density(points.reshape(-1, 3), len(t))).view(len(rays), -1)
        rendered = composite(sigma, t.expand_as(sigma), force_last=True)
        return t.numpy(), rendered.depth.view(size).numpy()

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device)[None]
