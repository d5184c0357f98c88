"""Camera rigs: where cameras sit on the robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera

Rig = dict[str, tuple[Camera, Array]]
BASELINE = 0.54  # m, KITTI's colour stereo pair


def training_camera(width: int = 640, height: int = 192) -> Camera:
    """KITTI's rectified left colour camera (2011-09-26, 1242x375), resized."""
    return TrainingCamera().camera(width, height)


def mount(
    xyz: tuple[float, float, float], yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> Array:
    """T_base_cam (4,4) of a camera at `xyz` m looking along yaw, pitch (down positive), roll, rad.

    base: x forward, y left, z up, on the ground. A camera without turns looks along base x.
    """
    cy, sy = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1.0]])
    turn = turn @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    turn = turn @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    T = np.eye(4)
    T[:3, :3] = turn @ R_BODY_OPTICAL
    T[:3, 3] = xyz
    return T


def front_stereo(
    camera: Camera | None = None, height: float = 1.65, pitch: float = 0.0, roll: float = 0.0
) -> Rig:
    """Cameras "left" and "right" that look forward, BASELINE apart, `height` m above ground."""
    camera = camera or training_camera()
    left = mount((0.0, 0.0, height), 0.0, pitch, roll)
    right = left.copy()
    right[:3, 3] += left[:3, 0] * BASELINE
    return {"left": (camera, left), "right": (camera, right)}


def surround(camera: Camera | None = None, height: float = 1.65) -> Rig:
    """Front stereo plus one camera to either side ("side_left", "side_right")."""
    camera = camera or training_camera()
    rig = front_stereo(camera, height)
    rig["side_left"] = (camera, mount((-0.3, 0.3, height), math.pi / 2))
    rig["side_right"] = (camera, mount((-0.3, -0.8, height), -math.pi / 2))
    return rig


# Metres above the ground: of a car's cameras, and of those of lower and of higher robots.
USUAL_HEIGHTS = (1.5, 1.8)
HEIGHTS = (0.6, 2.75)


def is_usual(height: float) -> bool:
    """Whether a camera so many m above the ground is mounted as on a car."""
    return USUAL_HEIGHTS[0] <= height <= USUAL_HEIGHTS[1]


@dataclass(frozen=True)
class Mounts:
    """Chances that a rig is mounted below and above a car's, and how low and how high at most."""

    low: float = 0.0
    high: float = 0.0
    heights: tuple[float, float] = HEIGHTS

    def draw(self, rng: np.random.Generator) -> float | None:
        """Metres above the ground; None leaves the cameras where they are."""
        lot = rng.random()
        if lot < self.low:
            return float(rng.uniform(self.heights[0], USUAL_HEIGHTS[0]))
        if lot < self.low + self.high:
            return float(rng.uniform(USUAL_HEIGHTS[1], self.heights[1]))
        return None


def raised(rig: Rig, height: float) -> Rig:
    """The rig with its cameras `height` m above the ground."""
    moved = {name: (camera, T.copy()) for name, (camera, T) in rig.items()}
    shift = height - moved["left"][1][2, 3]
    for _, T_base_cam in moved.values():
        T_base_cam[2, 3] += shift
    return moved
