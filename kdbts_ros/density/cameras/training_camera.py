"""The camera a network was trained with, and how another one is mounted beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

# Beyond a third or three times the training height nothing looks alike any more to a network that
# has learnt from cameras of one height.
MAX_SCALE = 3.0
# Further than this from the horizon a level view shows little of what the camera sees.
MAX_TILT = np.radians(60)
# Cameras that a scaled picture may be made for, m above the ground: lower ones are mistaken
# transforms (the scale is bounded long before), higher ones transforms in another unit.
MIN_HEIGHT, MAX_HEIGHT = 0.05, 50.0


class BadMount(UserError):
    """A camera is mounted as no camera of a network of this kind can be."""


@dataclass(frozen=True)
class TrainingCamera:
    """Intrinsics in [-1,1]^2 over the image (as `Camera.ndc`), height above the ground in m, and
    pitch (down positive, rad) of the images a network learnt from. The default is KITTI's camera,
    which the synthetic training worlds share.

    max_scale: how many times lower, or higher, a camera may be whose images are scaled to it.

    Raises:
        UserError: focal lengths or a height that are not positive, a pitch beyond 60 degrees, or a
            max_scale below 1.
    """

    fx: float = 2 * 721.5377 / 1242
    fy: float = 2 * 721.5377 / 375
    cx: float = 2 * 610.0593 / 1242 - 1
    cy: float = 2 * 173.354 / 375 - 1
    height: float = 1.65
    pitch: float = 0.0
    max_scale: float = MAX_SCALE

    def __post_init__(self) -> None:
        if not all(np.isfinite(value) for value in asdict(self).values()):
            raise UserError("the training camera contains NaN or infinity")
        if self.fx <= 0 or self.fy <= 0 or self.height <= 0 or abs(self.pitch) > MAX_TILT:
            raise UserError(
                "a training camera needs positive focal lengths and height and a pitch below "
                f"60 degrees, got {asdict(self)}"
            )
        if self.max_scale < 1:
            raise UserError(f"the training camera's max_scale is 1 or more, got {self.max_scale}")

    @classmethod
    def looking(
        cls, across: float, above: float, lowest: float, pixels: tuple[int, int]
    ) -> TrainingCamera:
        """A level camera with square pixels, for robots of many heights.

        Args:
            across: degrees from the left edge to the right one, the axis in the middle.
            above: share of the image's height that lies above the horizon.
            lowest: height above the ground, m, that images are enlarged from.
            pixels: width and height of the image.
        """
        width, height = pixels
        fx = 1 / np.tan(np.radians(across) / 2)
        usual = cls()
        return cls(
            float(fx), float(fx * width / height), 0.0, 2 * above - 1, usual.height, 0.0,
            max(1.0, usual.height / lowest),
        )  # fmt: skip

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> TrainingCamera:
        """From a checkpoint's notes: `camera` as `note` writes it. Prose there means the default.

        Raises:
            UserError: a JSON object with unknown fields or values that are no numbers.
        """
        text = notes.get("camera", "").strip()
        if not text.startswith("{"):
            return cls()
        try:
            return cls(**{name: float(value) for name, value in json.loads(text).items()})
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise UserError(f"the checkpoint's note 'camera' is damaged: {error}") from None

    def note(self) -> str:
        """JSON for a checkpoint's notes."""
        return json.dumps(asdict(self))

    def camera(self, width: int, height: int) -> Camera:
        """The pinhole of that image size."""
        K = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])
        return Camera.from_ndc(K, width, height)

    @property
    def field_of_view(self) -> tuple[float, float]:
        """Horizontal and vertical, degrees."""
        x = np.arctan((1 - self.cx) / self.fx) + np.arctan((1 + self.cx) / self.fx)
        y = np.arctan((1 - self.cy) / self.fy) + np.arctan((1 + self.cy) / self.fy)
        return float(np.degrees(x)), float(np.degrees(y))


@dataclass(frozen=True, eq=False)
class Mounting:
    """How a camera sits above the ground, z = 0 of the base: R_cam_level (3,3) takes directions of
    the level virtual camera to the real one's, height in m."""

    R_cam_level: Array
    height: float

    @classmethod
    def of(cls, T_base_cam: Array, training: TrainingCamera) -> Mounting:
        """From the pose (4,4) of the optical frame over the base: pitch and roll go, yaw stays.

        Raises:
            BadMount: the camera looks so steeply up or down that a level view is another view.
        """
        forward = T_base_cam[:3, 2]
        if abs(forward[2]) > np.sin(MAX_TILT):
            below = np.degrees(np.arcsin(np.clip(-forward[2], -1, 1)))
            raise BadMount(
                f"the camera looks {below:.0f} degrees below the horizon: the network needs one "
                "within 60 degrees of level"
            )
        ahead = np.array([forward[0], forward[1], 0.0]) / np.hypot(forward[0], forward[1])
        up = np.array([0.0, 0, 1])
        c, s = np.cos(training.pitch), np.sin(training.pitch)
        right, axis = np.cross(ahead, up), c * ahead - s * up
        R_base_level = np.stack([right, np.cross(axis, right), axis], -1)
        return cls(T_base_cam[:3, :3].T @ R_base_level, float(T_base_cam[2, 3]))

    @property
    def tilt(self) -> float:
        """Angle between the real and the level camera, rad."""
        return rotation_angle(self.R_cam_level)

    def turn(self, other: Mounting) -> Array:
        """(3,) rotation vector between both level cameras, rad, in the optical frame of either."""
        found, _ = cv2.Rodrigues(self.R_cam_level.T @ other.R_cam_level)
        return np.asarray(found, np.float64).ravel()

    def turned(self, vector: Array) -> Mounting:
        """The mounting that lies a rotation vector (3,) away, see `turn`; as high."""
        R, _ = cv2.Rodrigues(np.asarray(vector, np.float64))
        return replace(self, R_cam_level=self.R_cam_level @ R)

    def as_high(self, other: Mounting, ratio: float) -> bool:
        """Whether heights differ by at most a ratio of the other's."""
        return abs(self.height - other.height) <= ratio * abs(other.height)


def check_height(height: float) -> None:
    """Raise BadMount for a camera so many m above the ground that nothing can be scaled to it."""
    if not MIN_HEIGHT <= height <= MAX_HEIGHT:
        raise BadMount(
            f"the camera is {height:.3f} m above the ground, z = 0 of the base frame, and the "
            f"network needs one between {MIN_HEIGHT:g} and {MAX_HEIGHT:g} m: correct the transform "
            "from the base to the camera, or set scale_height to false where the base is not on "
            "the ground"
        )


def height_scale(height: float, training: TrainingCamera) -> float:
    """`View.scale` of a camera `height` m above the ground, bounded; 1 for one below it."""
    if height <= 0:
        return 1.0
    return float(np.clip(training.height / height, 1 / training.max_scale, training.max_scale))


def rotation_angle(R: Array) -> float:
    """Angle of a rotation (3,3), rad."""
    return float(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1)))
