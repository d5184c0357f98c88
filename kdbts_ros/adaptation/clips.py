"""Which images of recordings are learnt from together, and which are kept for judging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.training_camera import TrainingCamera, height_scale
from kdbts_ros.density.geometry.camera import Array, Camera, View, inverse
from kdbts_ros.errors import UserError
from kdbts_ros.learning.frames.depth_hints import depth_hints
from kdbts_ros.learning.frames.labels import FAR, NEAR

# Metres between the images of a clip, for a camera at the training height; lower ones see nearer.
STEP = 0.5
# Images farther apart than this share too little.
LONGEST_STEP, LARGEST_TURN, LONGEST_TIME_NS = 6.0, 25.0, 5_000_000_000
# Clips with unreadable images that are skipped before giving up.
TRIES = 50
# Share of an image that a stereo pair must be sure of to be left alone with it.
ENOUGH_HINTS = 0.2


@dataclass(frozen=True)
class ClipPlan:
    """Frames and cameras of a clip, the one to encode first; drive: number of the recording."""

    drive: int
    views: tuple[tuple[int, str], ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip as the network sees it; metres are scaled to the network's world.

    images (V,H,W,3) uint8; K_ndc (V,3,3); T_world_cam (V,4,4); of the first image hints (H,W)
    float16 z-depth, 0 where matching is not sure, and valid (H,W) bool where it holds what the
    camera saw. measured: the hints are those of a depth camera.
    """

    images: npt.NDArray[np.uint8]
    K_ndc: npt.NDArray[np.float32]
    T_world_cam: Array
    hints: npt.NDArray[np.float16]
    valid: npt.NDArray[np.bool_]
    measured: bool = False

    def views(self) -> list[View]:
        """The views, in the network's world."""
        height, width = self.images.shape[1:3]
        return [
            View(image, Camera.from_ndc(K, width, height), T)
            for image, K, T in zip(self.images, self.K_ndc, self.T_world_cam, strict=True)
        ]


@dataclass(frozen=True)
class Plans:
    """Clips to learn from and to judge by, and the frames of neither.

    steps: by recording, metres between the images of a clip.
    """

    learn: tuple[ClipPlan, ...]
    held_out: tuple[ClipPlan, ...]
    standing: int
    jumps: int
    steps: tuple[float, ...]


def plan_clips(
    drives: Sequence[BagDrive],
    held_out: float,
    jumping: Sequence[set[int]],
    training: TrainingCamera,
) -> Plans:
    """Clips of recordings, the end of each kept for judging.

    Args:
        jumping: by recording, frames after which the pose jumps; no clip reaches across one.
        training: the camera that the network knows, to whose height a robot's is scaled.
    """
    steps = tuple(clip_step(drive, training) for drive in drives)
    learn: list[ClipPlan] = []
    kept: list[ClipPlan] = []
    standing = 0
    for number, (drive, jumps) in enumerate(zip(drives, jumping, strict=True)):
        plans, still = _plan(number, drive, jumps, steps[number])
        standing += still
        end = round(len(plans) * (1 - held_out))
        first_kept = min((min(i for i, _ in p.views) for p in plans[end:]), default=len(drive))
        kept += plans[end:]
        learn += [p for p in plans[:end] if max(i for i, _ in p.views) < first_kept]
    jumped = sum(len(jumps) for jumps in jumping)
    return Plans(tuple(learn), tuple(kept), standing, jumped, steps)


def clip_step(drive: BagDrive, training: TrainingCamera) -> float:
    """Metres between the images of a clip of this robot."""
    return STEP / height_scale(camera_height(drive), training)


def camera_height(drive: BagDrive) -> float:
    """Height of the leading camera above z = 0 of the base, m."""
    T = inverse(drive.T_world_base(0)) @ drive.T_world_cam(0, drive.cameras[0])
    return float(T[2, 3])


def _plan(number: int, drive: BagDrive, jumps: set[int], step: float) -> tuple[list[ClipPlan], int]:
    lead = drive.cameras[0]
    poses = [drive.T_world_cam(i, lead) for i in drive.frames]
    plans: list[ClipPlan] = []
    standing, last = 0, None
    for i in drive.frames:
        if last is not None and _distance(poses[last], poses[i]) < 0.2 * step:
            standing += 1
            continue
        ahead = _partner(drive, poses, i, step, jumps, 1)
        if ahead is None:
            continue
        cameras = [lead, *_second(drive, len(plans))]
        views = [(k, name) for name in cameras for k in (i, ahead)]
        if len(cameras) == 1:
            # What the one before cannot show, the one behind may.
            behind = _partner(drive, poses, i, step, jumps, -1)
            if behind is None:
                continue
            views.append((behind, lead))
        last = i
        plans.append(ClipPlan(number, tuple(views)))
    return plans, standing


def _second(drive: BagDrive, turn: int) -> list[str]:
    """Another camera of the rig, each in its turn."""
    others = drive.cameras[1:]
    return [others[turn % len(others)]] if others else []


def _partner(
    drive: BagDrive, poses: Sequence[Array], i: int, step: float, jumps: set[int], way: int
) -> int | None:
    """The next frame at least a step away, None where the way there is too long or jumps."""
    j = i
    while True:
        if (j if way > 0 else j - 1) in jumps:
            return None
        j += way
        if not 0 <= j < len(poses):
            return None
        if abs(drive.stamp_ns(j) - drive.stamp_ns(i)) > LONGEST_TIME_NS:
            return None
        distance = _distance(poses[i], poses[j])
        if distance >= step:
            near = distance <= LONGEST_STEP and _turn(poses[i], poses[j]) <= LARGEST_TURN
            return j if near else None


def _distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]))


def _turn(a: Array, b: Array) -> float:
    cosine = (np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def first_hints(views: Sequence[View], partner: Sequence[int]) -> npt.NDArray[np.float32]:
    """(H,W) hints of the first view; partner: number of the other camera's view of that time.

    A stereo pair knows its poses best, and nothing moves in it. Where its images do not overlap,
    and for one camera, all views of the clip are matched.
    """
    if partner:
        hints = depth_hints([views[0], views[partner[0]]])[0]
        if (hints > 0).mean() > ENOUGH_HINTS:
            return hints
    return depth_hints(views)[0]


class BagClips:
    """Clips by number, made from recordings: picklable, for background processes."""

    def __init__(
        self,
        drives: Sequence[BagDrive],
        plans: Sequence[ClipPlan],
        training: TrainingCamera,
        size: tuple[int, int],
        near: float = NEAR,
    ) -> None:
        self._drives, self._plans = tuple(drives), tuple(plans)
        self._training, self._size, self._near = training, size, near
        # All clips of a batch have the same number of views.
        self._count = min(len(plan.views) for plan in plans)

    def __call__(self, seed: int) -> Clip:
        """A clip drawn by a seed; one with an unreadable image gives way to the next."""
        rng = np.random.default_rng([seed, 3])
        reason = ""
        for _ in range(TRIES):
            plan = self._plans[rng.integers(len(self._plans))]
            try:
                return self.clip(plan, rng)
            except UserError as error:
                reason = str(error)
        raise UserError(f"hardly an image can be read, the last one because {reason}")

    def clip(self, plan: ClipPlan, rng: np.random.Generator | None = None) -> Clip:
        """The clip of a plan; with a generator, any of its cameras leads.

        Raises:
            UserError: an image that cannot be read.
        """
        drive = self._drives[plan.drive]
        chosen = list(plan.views)
        if rng is not None and len(drive.cameras) > 1 and rng.random() < 0.5:
            chosen = chosen[2:] + chosen[:2]
        chosen = chosen[: self._count]
        scale = height_scale(camera_height(drive), self._training)
        views = [self._view(drive, i, name, scale) for i, name in chosen]
        valid = views[0][1]
        measured = self._measured(drive, chosen[0][0], views[0][0], scale)
        if measured is None:
            partners = [k for k, (_, other) in enumerate(chosen) if other != chosen[0][1]]
            hints = first_hints([view for view, _ in views], partners[:1])
        else:
            hints = measured
        return Clip(
            np.stack([view.image for view, _ in views]),
            np.stack([view.camera.ndc for view, _ in views]).astype(np.float32),
            np.stack([view.T_world_cam for view, _ in views]),
            np.where(valid, hints, 0).astype(np.float16),
            valid,
            measured is not None,
        )

    def _measured(
        self, drive: BagDrive, index: int, view: View, scale: float
    ) -> npt.NDArray[np.float32] | None:
        """(H,W) what a depth camera measured of a scaled view, in its metres; None without one.

        What is nearer than the network begins is left out: nothing it can say would be right.
        """
        if drive.depth is None:
            return None
        T_world_cam = view.T_world_cam.copy()
        T_world_cam[:3, 3] /= scale
        depth = drive.depth.seen_by(index, view.camera, T_world_cam)
        if depth is None:
            return None
        scaled = depth * np.float32(scale)
        return np.where((scaled > self._near) & (scaled < FAR), scaled, np.float32(0))

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_adapter"}

    @cached_property
    def _adapter(self) -> CameraAdapter:
        return CameraAdapter(self._training, self._size)

    def _view(
        self, drive: BagDrive, index: int, name: str, scale: float
    ) -> tuple[View, npt.NDArray[np.bool_]]:
        """A view of the network's size with metres scaled, and where it is valid."""
        T_world_cam = drive.T_world_cam(index, name)
        T_base_cam = inverse(drive.T_world_base(index)) @ T_world_cam
        image = drive.recorded_image(index, name)
        seen = self._adapter.view(image, drive.lens(name), T_base_cam, T_world_cam)
        width, height = self._size
        small = cv2.resize(seen.image, self._size, interpolation=cv2.INTER_AREA)
        valid = np.ones((height, width), np.bool_)
        if seen.valid is not None:
            mask = cv2.resize(seen.valid.astype(np.uint8), self._size)
            valid = np.asarray(mask, np.bool_)
        T = seen.T_world_cam.copy()
        T[:3, 3] *= scale
        return View(np.asarray(small, np.uint8), seen.camera.resized(width, height), T), valid
