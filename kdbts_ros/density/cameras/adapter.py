"""Which images the network is shown of a camera, and the tables for it, kept per calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kdbts_ros.density.cameras.canonical import Canonical
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.rectify import Rgb, Warp, straight_camera
from kdbts_ros.density.cameras.training_camera import Mounting, TrainingCamera, check_height
from kdbts_ros.density.geometry.camera import Array, Camera, View
from kdbts_ros.errors import UserError

Mode = Literal["auto", "on", "off"]
MODES: tuple[Mode, ...] = ("auto", "on", "off")


def choose_mode(name: str) -> Mode:
    """The mode of this name.

    Raises:
        UserError: there is none.
    """
    for mode in MODES:
        if mode == name:
            return mode
    raise UserError(f"canonical_camera must be auto, on or off, got '{name}'")


@dataclass(frozen=True)
class Tolerance:
    """How far from the training camera `auto` leaves an image as it is, and how much of a change
    keeps a table. Angles in rad, the rest as shares: of a focal length or height, of half the image
    for the principal point.

    kept_tilt: up or down, and kept_roll: about the optical axis, each of which costs the depth
    about 3 % (docs/cameras.md). kept_height: beyond it only the scale is another one.
    """

    focal: float = 0.05
    centre: float = 0.05
    tilt: float = np.radians(1.5)
    height: float = 0.1
    kept_tilt: float = np.radians(0.2)
    kept_roll: float = np.radians(0.5)
    kept_height: float = 0.02
    kept_pixels: float = 0.25


class CameraAdapter:
    """Makes the views of any camera, and keeps the tables of the last few cameras.

    Args:
        training: what the network knows.
        size: width and height of the network's input.
        mode: "on" makes canonical views always, "off" only straightens lenses, "auto" makes them
            unless the camera is within `Tolerance` of the training camera.
        scale_height: whether the height of the camera is made up for, see `View.scale`.
    """

    # Tilts between which a base rocks; up to 4 MB each.
    CAPACITY = 16

    def __init__(
        self,
        training: TrainingCamera,
        size: tuple[int, int],
        mode: Mode = "auto",
        scale_height: bool = True,
        tolerance: Tolerance | None = None,
    ) -> None:
        self.training, self.size, self.mode = training, size, choose_mode(mode)
        self.scale_height = scale_height
        self.tolerance = tolerance or Tolerance()
        self._canonical: list[Canonical] = []
        self._straight: list[Warp] = []
        self.tables_built = 0

    def view(
        self,
        image: Rgb,
        lens: Lens,
        T_base_cam: Array,
        T_world_cam: Array,
        deferred: bool = False,
    ) -> View:
        """The view the network is given of an image that a camera with this lens took.

        T_base_cam (4,4): the camera over the robot's base, whose z = 0 is the ground. deferred:
        where the image has to be warped, do so only when it is asked for.

        Raises:
            UserError: the camera sees nothing the network can be shown; BadMount where that is for
                its tilt, or for its height and heights are made up for.
        """
        if self.scale_height and self.mode != "off":
            check_height(float(T_base_cam[2, 3]))
        if self.adapts(lens, T_base_cam):
            return self.canonical(lens, T_base_cam).view(image, T_world_cam, deferred)
        if not lens.bends:
            return View(image, lens.camera, T_world_cam)
        warp = self._straightening(lens)
        return View(warp.source(image, deferred), warp.camera, T_world_cam)

    def adapts(self, lens: Lens, T_base_cam: Array) -> bool:
        """Whether images of this camera become canonical."""
        if self.mode != "auto":
            return self.mode == "on"
        return lens.bends or not self.is_training_camera(lens.camera, T_base_cam)

    def is_training_camera(self, camera: Camera, T_base_cam: Array) -> bool:
        """Whether a pinhole is within tolerance of the training camera."""
        limits, mine, theirs = self.tolerance, camera.ndc, self.training.camera(2, 2).ndc
        focal = np.abs(np.diag(mine)[:2] / np.diag(theirs)[:2] - 1).max()
        centre = np.abs(mine[:2, 2] - theirs[:2, 2]).max()
        mounting = Mounting.of(T_base_cam, self.training)
        # Not divided by: with canonical_camera off a camera may have any height, even none.
        off = abs(self.training.height - mounting.height) if self.scale_height else 0.0
        return bool(
            focal <= limits.focal
            and centre <= limits.centre
            and mounting.tilt <= limits.tilt
            and off <= limits.height * abs(mounting.height)
        )

    def canonical(self, lens: Lens, T_base_cam: Array) -> Canonical:
        """The table of this camera, built where none of the kept ones is near enough.

        A kept table of a slightly other tilt shows the view of a slightly tilted camera, under its
        own exact pose. The one used last goes first: a tilt between two tables stays with one.
        """
        mounting = Mounting.of(T_base_cam, self.training)
        same = [table for table in self._canonical if self._same(lens, table.lens)]
        near = [table for table in same if self._as_tilted(table.mounting.turn(mounting))]
        if near:
            table = self._at_height(near[0], mounting)
        else:
            before = same[0] if same else None
            made_for = self._on_raster(mounting, before) if before else mounting
            asked = self.training, self.size, self.scale_height
            table = Canonical.build(lens, made_for, *asked, before)
            self.tables_built += 1
        others = [kept for kept in self._canonical if kept.warp is not table.warp]
        self._canonical = [table, *others][: self.CAPACITY]
        return table

    def concerns(self, lens: Lens, T_base_cam: Array) -> list[str]:
        """Why the network may do badly with this camera, one sentence each, with numbers."""
        if self.adapts(lens, T_base_cam):
            return self.canonical(lens, T_base_cam).concerns(self.training)
        camera = self._straightening(lens).camera if lens.bends else lens.camera
        if self.is_training_camera(camera, T_base_cam):
            return []
        ratio = np.diag(camera.ndc)[:2] / np.diag(self.training.camera(2, 2).ndc)[:2]
        mounting = Mounting.of(T_base_cam, self.training)
        return [
            f"focal lengths are {ratio[0]:.2f} and {ratio[1]:.2f} times the network's for this "
            f"image size, tilt {np.degrees(mounting.tilt):.1f} degrees, height "
            f"{mounting.height:.2f} m against {self.training.height:.2f} m: "
            "set canonical_camera to auto"
        ]

    def _straightening(self, lens: Lens) -> Warp:
        for warp in self._straight:
            if self._same(lens, warp.lens):
                return warp
        warp = Warp.build(lens, straight_camera(lens), np.eye(3))
        self.tables_built += 1
        self._straight = [warp, *self._straight][: self.CAPACITY]
        return warp

    def _at_height(self, table: Canonical, mounting: Mounting) -> Canonical:
        """The same table for the height of a mounting."""
        height = self._height_on_raster(mounting, table)
        if height == table.mounting.height:
            return table
        return table.at_height(height, self.training, self.scale_height)

    def _height_on_raster(self, mounting: Mounting, before: Canonical) -> float:
        """A height near enough, of few, as of tilts: a GPU has a graph for each scale."""
        height, other, ratio = mounting.height, before.mounting.height, self.tolerance.kept_height
        if mounting.as_high(before.mounting, ratio):
            return other
        if min(height, other) <= 0:
            return height
        step = np.log1p(1.9 * ratio)
        return float(other * np.exp(np.rint(np.log(height / other) / step) * step))

    def _as_tilted(self, turn: Array) -> bool:
        """Whether a table serves a mounting that is turned from its own by a vector (3,)."""
        return bool((np.abs(turn) <= self._most_turn).all())

    @property
    def _most_turn(self) -> Array:
        limits = self.tolerance
        return np.array([limits.kept_tilt, limits.kept_tilt, limits.kept_roll])

    def _on_raster(self, mounting: Mounting, before: Canonical) -> Mounting:
        """The mounting to make a table for: tilts around those of the tables before lie on a
        raster, so that few of them cover all between which a base rocks."""
        # A little closer than tables reach, for what rotations do not commute by.
        step = 1.9 * self._most_turn
        turn = before.mounting.turn(mounting)
        found = before.mounting.turned(np.rint(turn / step) * step)
        if not self._as_tilted(found.turn(mounting)):
            found = mounting
        return replace(found, height=self._height_on_raster(mounting, before))

    def _same(self, lens: Lens, other: Lens) -> bool:
        a, b = lens.camera, other.camera
        close = max(abs(a.fx - b.fx), abs(a.fy - b.fy), abs(a.cx - b.cx), abs(a.cy - b.cy))
        return (
            (a.width, a.height) == (b.width, b.height)
            and lens.distortion == other.distortion
            and close <= self.tolerance.kept_pixels
        )
