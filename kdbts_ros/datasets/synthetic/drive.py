"""A robot that drives along a synthetic street with any rig of cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.datasets.synthetic.casting import Floats
from kdbts_ros.datasets.synthetic.ground import heading, street_to_world
from kdbts_ros.datasets.synthetic.hill import LEVEL, Hill
from kdbts_ros.datasets.synthetic.places.cameras import random_camera
from kdbts_ros.datasets.synthetic.places.kinds import STREET, check_place
from kdbts_ros.datasets.synthetic.raycast import RenderedView, render
from kdbts_ros.datasets.synthetic.rig import Rig, front_stereo
from kdbts_ros.datasets.synthetic.traffic import (
    Mover,
    moving_traffic,
    with_movers,
    without_traffic,
)
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.errors import UserError

# How far a place's lane is free beyond the end of a drive, m.
BEYOND = (0.4, 5.0)


@dataclass(frozen=True, eq=False)
class StreetDrive:
    """Frames of a drive; each is drawn when it is asked for. Equal arguments give equal bytes.

    Attributes:
        seed: of the street, at least 0.
        frames: how many.
        rig: cameras by name with T_base_cam; "left" is the reference. KITTI's stereo by default.
        speed: m/s.
        rate_hz: frames per second.
        start_ns: stamp of frame 0.
        moving: cars in the lanes drive (see traffic.py) instead of standing.
        place: "street", or one of `PLACES`, which is free of things for the drive and a little
            more.
        hill: on which the street lies; the base stands on it.
    """

    seed: int
    frames: int = 100
    rig: Rig = field(default_factory=front_stereo)
    speed: float = 8.0
    rate_hz: float = 10.0
    start_ns: int = 1_000_000_000
    moving: bool = False
    place: str = STREET
    hill: Hill = LEVEL

    def __post_init__(self) -> None:
        if self.frames < 1 or self.speed < 0 or self.rate_hz <= 0:
            raise UserError(
                "a drive needs frames >= 1, speed >= 0 and rate_hz > 0, "
                f"got {self.frames}, {self.speed:g}, {self.rate_hz:g}"
            )
        if not self.rig:
            raise UserError("a drive needs at least one camera in its rig")
        if self.place != STREET:
            check_place(self.place)
            if self.moving:
                raise UserError(f"cars drive along streets only: nothing moves in '{self.place}'")
            if self.hill.slope:
                raise UserError(f"streets lie on hills: '{self.place}' is level")

    def __len__(self) -> int:
        return self.frames

    @cached_property
    def world(self) -> StreetWorld:
        """The street, 100 m longer than the drive and with a free lane all along it.

        When cars move it is empty of them: see `world_at`.
        """
        distance = self.frames * self.speed / self.rate_hz
        if self.place != STREET:
            beyond = np.random.default_rng([29, self.seed]).uniform(*BEYOND)
            return StreetWorld.of_place(self.place, self.seed, distance + float(beyond))
        world = StreetWorld.generate(self.seed, distance + 100.0, distance + 8.0)
        world = StreetWorld.generate(self.seed, distance + 100.0, distance + 8.0, hill=self.hill)
        return without_traffic(world) if self.moving else world

    @cached_property
    def movers(self) -> tuple[Mover, ...]:
        """The cars that move."""
        if not self.moving:
            return ()
        return moving_traffic(self.world, self.speed, self.frames / self.rate_hz)

    def world_at(self, i: int) -> StreetWorld:
        """The street as it is at frame i, for pictures and truth."""
        return _street_with_cars(self, i) if self.movers else self.world

    def stamp_ns(self, i: int) -> int:
        """Time of frame i."""
        return self.start_ns + round(i * 1e9 / self.rate_hz)

    def T_world_base(self, i: int) -> Array:
        """(4,4) pose of the robot's base, on the ground, at frame i."""
        world, x = self.world, i * self.speed / self.rate_hz
        rng = np.random.default_rng([23, self.seed])
        # Two slow waves keep the robot in its lane without following it like a rail.
        waves, phases = 1 / rng.uniform(12.0, 35.0, 2), rng.uniform(0, 2 * math.pi, 2)
        sway = rng.uniform(0.02, 0.12, 2)
        angles = x * waves + phases
        wx, wy, _ = street_to_world(world.ground, x, world.lane_d + float(sway @ np.sin(angles)))
        drift = float(sway @ (waves * np.cos(angles)))
        yaw = math.atan(heading(world.ground, x)) + math.atan(drift)
        T = np.eye(4)
        T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
        T[:2, 3] = wx, wy
        return world.hill.on_it(T)

    def rendered(self, i: int, name: str, threads: int | None = None) -> RenderedView:
        """Image and exact depth of one camera at frame i.

        Raises:
            UserError: no such frame or camera.
        """
        if not 0 <= i < self.frames:
            raise UserError(f"frame {i} does not exist: the drive has {self.frames} frames")
        if name not in self.rig:
            raise UserError(f"no camera '{name}' in the rig; it has {', '.join(self.rig)}")
        camera, T_base_cam = self.rig[name]
        return render(self.world_at(i), camera, self.T_world_base(i) @ T_base_cam, threads=threads)

    def depth(self, i: int, name: str = "left") -> Floats:
        """(H,W) exact z-depth in m, +inf for sky; see `rendered`."""
        return self.rendered(i, name).depth

    def frame(self, i: int) -> PosedFrame:
        """All views of frame i; see `rendered`."""
        T_world_base = self.T_world_base(i)
        views = {
            name: View(self.rendered(i, name).image, camera, T_world_base @ T_base_cam)
            for name, (camera, T_base_cam) in self.rig.items()
        }
        return PosedFrame(self.stamp_ns(i), views, T_world_base)


def place_drive(
    place: str, seed: int, frames: int = 1, width: int = 640, speed: float = 0.8
) -> StreetDrive:
    """A robot's slow drive through a place, with one camera "left" of the seed's own.

    Raises:
        UserError: no such place, or a drive that cannot be, see `StreetDrive`.
    """
    rig = {"left": random_camera(np.random.default_rng([30, seed]), width)}
    return StreetDrive(seed, frames, rig, speed, place=check_place(place))


# The look-up grids of a street take milliseconds: the cameras of a frame share them.
@lru_cache(maxsize=2)
def _street_with_cars(drive: StreetDrive, i: int) -> StreetWorld:
    return with_movers(drive.world, drive.movers, i / drive.rate_hz)
