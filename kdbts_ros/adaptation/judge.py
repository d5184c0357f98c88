"""How good a network is on clips it never learns from, by what images alone can tell."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from kdbts_ros.adaptation.clips import Clip
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.geometry.camera import View, inverse, transform
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.learning.losses.terms import SSIM_SHARE, ssim_distance
from kdbts_ros.pictures import BACKGROUND, captioned, depth_picture

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """Means over held-out clips.

    photometric: difference between an image and what its depth makes of the clip's other images,
    0 to about 0.5. depth: |difference| over depth, against what matching is sure of, or a
    depth camera measured.
    """

    photometric: float
    depth: float

    def better_than(self, other: Score) -> bool:
        """Less photometric error, and no depth that was bought with it."""
        # Where matching is sure of nothing there is no depth to compare.
        bought = self.depth > 1.05 * other.depth
        return self.photometric < other.photometric and not bought


@dataclass(frozen=True, eq=False)
class Look:
    """What a network makes of one clip: depth (H,W) m, and the error of every pixel."""

    depth: Floats
    error: Floats


class Judge:
    """Holds clips that are never learnt from."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = tuple(clips)
        self._views = [clip.views() for clip in clips]

    def looks(self, network: DensityNetwork) -> list[Look]:
        """What the network makes of every clip from its first image alone."""
        info = CheckpointInfo("adaptation", network.spec, "")
        device = next(network.parameters()).device
        # The facade freezes and folds what it is given; a network in training must not notice.
        scene = SceneCompleter(copy.deepcopy(network), info, device, "float32")
        found = []
        for views in self._views:
            scene.set_views(views[:1])
            depth = np.asarray(scene.depth_map().depth, np.float32)
            found.append(Look(depth, photometric_error(views[0], depth, views[1:])))
        return found

    def score(self, looks: Sequence[Look]) -> Score:
        """Figures of looks."""
        means = self.table(looks).measures()
        return Score(means["photometric"], means["depth"])

    def table(self, looks: Sequence[Look]) -> FrameTable:
        """The figures of every clip, to be compared clip by clip."""
        return FrameTable.of_measures(
            [self._figures(clip, look) for clip, look in zip(self._clips, looks, strict=True)]
        )

    @property
    def truth(self) -> str:
        """What depth is held against, for sentences."""
        measured = sum(clip.measured for clip in self._clips)
        if not measured:
            return "matching"
        return "the sensor" if measured == len(self._clips) else "sensor and matching"

    @staticmethod
    def _figures(clip: Clip, look: Look) -> dict[str, float]:
        judged = np.isfinite(look.error) & clip.valid
        hint = clip.hints.astype(np.float32)
        known = (hint > 0) & np.isfinite(look.depth)
        return {
            "photometric": _mean(look.error[judged]),
            "depth": _mean(np.abs(look.depth - hint)[known] / hint[known]),
        }

    def pictures(
        self, before: Sequence[Look], after: Sequence[Look], count: int = 4
    ) -> list[npt.NDArray[np.uint8]]:
        """Panels of clips spread over the held-out part."""
        chosen = np.linspace(0, len(self._clips) - 1, min(count, len(self._clips)))
        return [
            _panel(self._clips[k], before[k], after[k])
            for k in np.unique(chosen.round().astype(int))
        ]


def photometric_error(view: View, depth: Floats, others: Sequence[View]) -> Floats:
    """(H,W) distance of each pixel to the best of the other images at its depth, NaN where none.

    0.85 structural and 0.15 absolute difference, as in training; what one image cannot see, for
    something stands before it, another may.
    """
    points = view.camera.rays() * np.nan_to_num(depth, nan=1e3)[..., None]
    best = np.full(depth.shape, np.inf, np.float32)
    truth = _tensor(view.image)
    for other in others:
        T_other_view = inverse(other.T_world_cam) @ view.T_world_cam
        uv, z = other.camera.project(transform(T_other_view, points.reshape(-1, 3)))
        uv = np.nan_to_num(uv, nan=-1e6).clip(-1e6, 1e6).reshape(*depth.shape, 2)
        size = [other.camera.width, other.camera.height]
        inside = (uv >= 0).all(-1) & (uv <= size).all(-1) & (z.reshape(depth.shape) > 0)
        at = (uv - 0.5).astype(np.float32)
        warped = cv2.remap(other.image, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        rendered = _tensor(np.asarray(warped, np.uint8))
        structural = ssim_distance(rendered, truth).mean(1)[0].numpy()
        absolute = (rendered - truth).abs().mean(1)[0].numpy()
        error = SSIM_SHARE * structural + (1 - SSIM_SHARE) * absolute
        best = np.where(inside, np.minimum(best, error), best)
    return np.where(np.isfinite(best), best, np.nan).astype(np.float32)


def _tensor(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _panel(clip: Clip, before: Look, after: Look) -> npt.NDArray[np.uint8]:
    """Image and matching, depth before and after, error before and after."""
    hint = clip.hints.astype(np.float32)
    rows = [
        [
            captioned(clip.images[0], "held-out image"),
            captioned(depth_picture(hint), f"depth by {'sensor' if clip.measured else 'matching'}"),
        ],
        [
            captioned(depth_picture(before.depth), "depth before"),
            captioned(depth_picture(after.depth), "depth after"),
        ],
        [
            captioned(_error_picture(before.error), "error before"),
            captioned(_error_picture(after.error), "error after"),
        ],
    ]
    gap = np.full((rows[0][0].shape[0], 6, 3), BACKGROUND, np.uint8)
    return np.vstack([np.hstack([a, gap, b]) for a, b in rows])


def _error_picture(error: Floats) -> npt.NDArray[np.uint8]:
    shade = (np.clip(np.nan_to_num(error) / 0.4, 0, 1) * 255).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(shade, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    coloured[~np.isfinite(error)] = (112, 112, 122)
    return np.asarray(coloured, np.uint8)
