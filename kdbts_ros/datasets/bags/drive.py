"""Any rosbag2 recording with images, their camera_info and poses, as a drive of posed frames."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.bags.cameras import CameraIndex, ImageEntry
from kdbts_ros.datasets.bags.depth_topics import NONE
from kdbts_ros.datasets.bags.frame_names import FrameNames, frame_names
from kdbts_ros.datasets.bags.images import RecordedImages
from kdbts_ros.datasets.bags.index import BagIndex, read_index
from kdbts_ros.datasets.bags.recorded_depth import PosedDepth, RecordedDepth
from kdbts_ros.datasets.ros.pose_rules import NoPose
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.rectify import Warp, straight_camera
from kdbts_ros.density.geometry.camera import Array, Camera, View
from kdbts_ros.errors import UserError

# Cameras of one rig that are not triggered together still belong to one instant within this.
PAIRING_NS = 50_000_000


@dataclass(frozen=True)
class Losses:
    """Images of the leading camera that are no frames, by reason.

    no_pose: of one of those without a pose, why it has none: the most frequent reason.
    without_stamp, repeated, other_lens: see `CameraIndex`.
    """

    images: int
    without_pose: int
    without_partner: int
    no_pose: NoPose | None = field(default=None, compare=False)
    without_stamp: int = 0
    repeated: int = 0
    other_lens: int = 0


class BagDrive:
    """Frames of one recording, read when asked for; may be sent to other processes.

    World is the recording's `odom` frame (or the root of the camera's transforms); base is
    `base_footprint` or `base_link`, whose z = 0 is taken as the ground. Images of lenses that bend
    lines are straightened. Every view is posed at the stamp of its own image. `depth` is what a
    depth camera measured beside them, None without one.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        cameras: Sequence[str] | None = None,
        odometry: str | None = None,
        world: str | None = None,
        base: str | None = None,
        rectified: bool | None = None,
        depth: str = NONE,
    ) -> None:
        """Read the recording once: transforms, calibrations, places of the images.

        Args:
            cameras: names or image topics, the leading one first; None for all.
            odometry: topic of the poses instead of /tf.
            world, base: TF frames, where the usual names do not fit.
            rectified: whether images are straight already; None to judge each topic by its name.
            depth: topic of depth images; AUTO takes one where there is one, NONE none.

        Raises:
            UserError: what is missing in the recording, with the cure.
        """
        self.path = Path(path)
        index = read_index(self.path, cameras, odometry, rectified, depth)
        self._cameras = index.cameras
        self._images = RecordedImages(self.path)
        index.poses.name_base(base)
        leading = next(iter(index.cameras.values()))
        self.names = frame_names(index, leading, world, base)
        self._posed, self.losses = _posed_frames(index, self.names)
        if not self._posed:
            raise UserError(_no_frames(index, leading, self.names, self.losses))
        self.depth = _recorded_depth(index, self.names, [one.stamp_ns for one in self._posed])

    @property
    def name(self) -> str:
        """Name of the recording."""
        # `.` has no name of its own.
        return self.path.name or self.path.resolve().name

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, the leading one first."""
        return tuple(self._cameras)

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the frames."""
        return tuple(range(len(self._posed)))

    def __len__(self) -> int:
        return len(self._posed)

    def __iter__(self) -> Iterator[PosedFrame]:
        return (self.frame(index) for index in self.frames)

    def lens(self, name: str) -> Lens:
        """The lens of a camera's recorded images."""
        lens = self._cameras[name].lens
        assert lens is not None
        return lens

    def camera(self, name: str) -> Camera:
        """The pinhole camera of the straightened images."""
        warp = self._warps[name]
        return self.lens(name).camera if warp is None else warp.camera

    def stamp_ns(self, index: int) -> int:
        """Time of the leading camera's image, ns."""
        return self._posed[index].stamp_ns

    def T_world_base(self, index: int) -> Array:
        """(4,4) base to world at that time."""
        return self._posed[index].T_world_base

    def T_world_cam(self, index: int, name: str) -> Array:
        """(4,4) optical frame to world at the time of the camera's own image."""
        return self._posed[index].T_world_cam[name]

    def recorded_image(self, index: int, name: str) -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB as it came through the lens.

        Raises:
            UserError: the image cannot be read, or is of another size than its camera_info says.
        """
        camera, entry = self._cameras[name], self._posed[index].images[name]
        where = f"{self.name}: image {index} of camera {name}"
        try:
            image = self._images.read(camera, entry)
        except UserError as error:
            raise UserError(f"{where} cannot be read: {error}") from error
        self._check_size(where, name, (image.shape[1], image.shape[0]))
        return image

    def _check_size(self, where: str, name: str, size: tuple[int, int]) -> None:
        lens = self.lens(name).camera
        if size != (lens.width, lens.height):
            raise UserError(
                f"{where} is {size[0]}x{size[1]}, but its camera_info describes "
                f"{lens.width}x{lens.height}"
            )

    def image(self, index: int, name: str) -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB of the pinhole camera."""
        image = self.recorded_image(index, name)
        warp = self._warps[name]
        return image if warp is None else warp.image(image)

    def frame(self, index: int) -> PosedFrame:
        """Images and poses of one instant."""
        posed = self._posed[index]
        views = {
            name: View(self.image(index, name), self.camera(name), posed.T_world_cam[name])
            for name in self.cameras
        }
        return PosedFrame(posed.stamp_ns, views, posed.T_world_base)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_warps"}

    def _check_claim(self, name: str) -> None:
        """Before memory is taken for what a camera_info claims: the first image that says so."""
        for index, posed in enumerate(self._posed):
            size = self._images.size(self._cameras[name], posed.images[name])
            if size is not None:
                self._check_size(f"{self.name}: image {index} of camera {name}", name, size)
                return

    @cached_property
    def _warps(self) -> Mapping[str, Warp | None]:
        for name in self._cameras:
            if self.lens(name).bends:
                self._check_claim(name)
        lenses = {name: self.lens(name) for name in self._cameras}
        return {
            name: Warp.build(lens, straight_camera(lens), np.eye(3)) if lens.bends else None
            for name, lens in lenses.items()
        }


@dataclass(frozen=True, eq=False)
class _Posed:
    stamp_ns: int
    images: dict[str, ImageEntry]
    T_world_cam: dict[str, Array]
    T_world_base: Array


def _posed_frames(index: BagIndex, names: FrameNames) -> tuple[list[_Posed], Losses]:
    leading, *others = index.cameras.items()
    posed, without_partner = [], 0
    unposed: dict[str, list[NoPose]] = {}
    for entry in leading[1].images:
        images = {leading[0]: entry}
        for name, camera in others:
            partner = nearest(camera.images, entry.stamp_ns)
            if partner is not None:
                images[name] = partner
        if len(images) < len(index.cameras):
            without_partner += 1
            continue
        try:
            T_world_cam = {
                name: index.poses.pose(names.world, index.cameras[name].frame_id, image.stamp_ns)
                for name, image in images.items()
            }
            T_world_base = index.poses.pose(names.world, names.base, entry.stamp_ns)
        except NoPose as why:
            unposed.setdefault(why.reason, []).append(why)
            continue
        posed.append(_Posed(entry.stamp_ns, images, T_world_cam, T_world_base))
    without_pose = sum(map(len, unposed.values()))
    no_pose = max(unposed.values(), key=len)[0] if unposed else None
    lead = leading[1]
    return posed, Losses(
        lead.recorded,
        without_pose,
        without_partner,
        no_pose,
        lead.without_stamp,
        lead.repeated,
        lead.other_lens,
    )


def _recorded_depth(
    index: BagIndex, names: FrameNames, stamps_ns: Sequence[int]
) -> RecordedDepth | None:
    """The depth images nearest to frames, where their camera has a pose."""
    if index.depth is None or not index.depth.images:
        return None
    found: list[PosedDepth | None] = []
    for stamp_ns in stamps_ns:
        entry, posed = nearest(index.depth.images, stamp_ns), None
        if entry is not None:
            with suppress(NoPose):
                T = index.poses.pose(names.world, index.depth.frame_id, entry.stamp_ns)
                posed = PosedDepth(entry, T)
        found.append(posed)
    return RecordedDepth(index.path, index.depth, found)


def nearest(images: Sequence[ImageEntry], stamp_ns: int) -> ImageEntry | None:
    """The image nearest to a stamp, None where the nearest is too far."""
    at = bisect_left(images, stamp_ns, key=lambda entry: entry.stamp_ns)
    around = images[max(at - 1, 0) : at + 1]
    best = min(around, key=lambda entry: abs(entry.stamp_ns - stamp_ns), default=None)
    if best is None or abs(best.stamp_ns - stamp_ns) > PAIRING_NS:
        return None
    return best


def _no_frames(index: BagIndex, leading: CameraIndex, names: FrameNames, losses: Losses) -> str:
    """Why a recording has no frame, in one sentence."""
    if not leading.recorded:
        return f"{index.path} has no message on {leading.topics.images}: record it as well"
    if not leading.images:
        return (
            f"none of the {leading.recorded} images on {leading.topics.images} in {index.path} has "
            "a stamp: the driver must set header.stamp"
        )
    if losses.without_partner > losses.without_pose:
        return (
            f"no image of {', '.join(index.cameras)} in {index.path} was taken within "
            f"{PAIRING_NS / 1e6:.0f} ms of the others: name one camera with --cameras, or "
            "synchronise them"
        )
    first, last = leading.images[0].stamp_ns / 1e9, leading.images[-1].stamp_ns / 1e9
    moving = [n for n in index.poses.ancestors(leading.frame_id) if index.poses.moves(n)]
    if not moving:
        return f"{index.path} has no moving transform above '{leading.frame_id}': record /tf"
    none = (
        f"none of the {losses.images} images in {index.path} has a pose of '{leading.frame_id}' in "
        f"'{names.world}' at its stamp"
    )
    begin, end = (stamp / 1e9 for stamp in index.poses.span(moving[-1]))
    if losses.no_pose is not None and begin <= last and first <= end:
        return f"{none}: {losses.no_pose.detail}"
    return (
        f"{none}: images go from {first:.3f} to {last:.3f} s, transforms of "
        f"'{moving[-1]}' from {begin:.3f} to {end:.3f} s; let both carry one clock's time"
    )
