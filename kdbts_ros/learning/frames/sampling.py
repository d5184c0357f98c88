"""Which frames are encoded, rendered from and judged, and which patches of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.learning.frames.draws import Draws

PATCH = 8
# Order of the frames of a clip: left and right camera at two times.
LEFT_0, LEFT_1, RIGHT_0, RIGHT_1 = range(4)

Ints = npt.NDArray[np.int64]


def frame_order(rng: np.random.Generator) -> Ints:
    """(4,) order of a clip's frames; the first is encoded: the left or the right one by a coin."""
    right_first = rng.random() < 0.5
    order = (RIGHT_0, RIGHT_1, LEFT_0, LEFT_1) if right_first else range(4)
    return np.array(order)


def split_frames(frames: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """A random half of the frames to judge and the other half to render from, both sorted."""
    order = rng.permutation(frames)
    return np.sort(order[frames // 2 :]), np.sort(order[: frames // 2])


def draw_patches(
    views: Ints, count: int, height: int, width: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """View, top row and left column of `count` 8x8 patches, uniform over views and positions."""
    view = rng.choice(views, count)
    top = rng.integers(0, height - PATCH + 1, count)
    left = rng.integers(0, width - PATCH + 1, count)
    return view, top, left


def draw_views(available: int, count: int, rng: np.random.Generator) -> Ints:
    """(count,) views to encode: the first one and a random choice of the others, sorted.

    Raises:
        ValueError: fewer views are available than wanted.
    """
    others = 1 + rng.permutation(available - 1)[: count - 1]
    if len(others) < count - 1:
        raise ValueError(f"{count} views wanted of {available}")
    return np.concatenate([[0], np.sort(others)]).astype(np.int64)


def drop_views(seen: Tensor, rate: float, draws: Draws) -> Tensor:
    """(B,V,M) which views may speak of a point: each but the first is silenced by chance `rate`.

    Independent per point and view (KDBTS, CVPR 2024), so that the head learns to do with any
    subset. The first view always speaks.
    """
    if seen.shape[1] == 1 or rate == 0:
        return seen
    kept = (draws.uniform(*seen.shape) >= rate).to(seen.device)
    kept[:, 0] = True
    return seen & kept
