"""Cameras as robots carry them: low, tilted, of any field of view."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.geometry.camera import Array, Camera

# Metres above the floor, degrees that they look down, degrees across, and height over width.
HEIGHTS = (0.2, 2.0)
PITCHES = (-10.0, 25.0)
# Cameras that are mounted to see the floor before the robot, or held by hand.
STEEP = (20.0, 38.0)
FIELDS = (50.0, 110.0)
SHAPES = (3 / 4, 3 / 4, 10 / 16, 9 / 16)
ROLL = 1.2


def random_camera(
    rng: np.random.Generator, width: int, steep: bool = False
) -> tuple[Camera, Array]:
    """A camera `width` pixels wide and its pose T_base_cam (4,4) over the robot's middle.

    The horizon is in its image, unless it looks steeply down.
    """
    field = math.radians(float(rng.uniform(*FIELDS)))
    height = round(width * SHAPES[int(rng.integers(len(SHAPES)))])
    focal = 0.5 * width / math.tan(field / 2)
    centre = np.array([width, height]) / 2 * (1 + 0.03 * rng.standard_normal(2))
    camera = Camera(width, height, focal, focal, float(centre[0]), float(centre[1]))
    upright = math.degrees(math.atan(0.5 * height / focal))
    up, down = min(-PITCHES[0], 0.7 * upright), min(PITCHES[1], 0.9 * upright)
    pitch = float(rng.uniform(-up, down) if rng.random() < 0.7 else rng.normal(0.0, 1.0))
    if steep:
        pitch = float(rng.uniform(*STEEP))
    above = float(np.exp(rng.uniform(math.log(HEIGHTS[0]), math.log(HEIGHTS[1]))))
    roll = math.radians(float(rng.normal(0.0, ROLL)))
    return camera, mount((0.0, 0.0, above), pitch=math.radians(pitch), roll=roll)
