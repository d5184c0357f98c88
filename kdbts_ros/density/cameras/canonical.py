"""Any camera seen through the eyes of the one a network was trained with.

A network of this family knows one camera: a pixel high up on the right means one direction, and the
row of a point on the ground means one distance. Resizing the image of another camera bends that
knowledge. Instead one remap makes the image which a level camera with the training intrinsics would
take from the same place; what the real camera does not see of it is unseen, not black. A camera at
another height sees the same picture of a scaled world (`View.scale`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.rectify import Rgb, Warp, positions, straight_camera
from kdbts_ros.density.cameras.training_camera import (
    Mounting,
    TrainingCamera,
    height_scale,
    rotation_angle,
)
from kdbts_ros.density.geometry.camera import Array, Camera, OwnCamera, View
from kdbts_ros.errors import UserError

# Detail for the area average that makes the network's input; a finer source is averaged first.
MAX_OVERSAMPLING = 4
# A base that rocks by less than this publishes depth in one frame of pixels, rad.
_SAME_FRAME = np.radians(3.0)


@dataclass(frozen=True, eq=False)
class Canonical:
    """A camera and its mounting, turned into what a network was trained on.

    Attributes:
        lens: of the images that come in.
        warp: to the level training camera, at a multiple of the network's size.
        reduction: the image is first averaged over blocks of this side, where it is much finer.
        mounting: what the table was made for.
        scale: see `View`.
        own: the real camera without its distortion, in whose frame depth is published, as far as
            the network looks; `framed` (3,3): from the mounting that it was cut for.
        valid: (h,w) at the network's size.
        detail: pixels of the image per pixel of the network, in the middle.
    """

    lens: Lens
    warp: Warp
    reduction: int
    mounting: Mounting
    scale: float
    own: OwnCamera
    framed: Array
    valid: npt.NDArray[np.bool_]
    detail: float

    @classmethod
    def build(
        cls,
        lens: Lens,
        mounting: Mounting,
        training: TrainingCamera,
        size: tuple[int, int],
        scale_height: bool = True,
        before: Canonical | None = None,
    ) -> Canonical:
        """Tables for images of `lens`, network input of `size` (width, height).

        mounting: how the camera is mounted, or nearly so: the pose of a view is that of its table.
        before: a table of the same lens, whose frame of published pixels stays if the tilt is
        nearly the same.

        Raises:
            UserError: a camera that sees nothing of the training camera's view.
        """
        R = mounting.R_cam_level
        small = training.camera(*size)
        detail = _detail(lens, small, R)
        reduction = max(1, int(detail / MAX_OVERSAMPLING))
        reduced = Lens(
            lens.camera.resized(lens.camera.width // reduction, lens.camera.height // reduction),
            lens.distortion,
        )
        factor = int(np.clip(np.ceil(detail / reduction), 1, MAX_OVERSAMPLING))
        camera = training.camera(size[0] * factor, size[1] * factor)
        warp = Warp.build(reduced, camera, R)
        if before is not None and rotation_angle(R.T @ before.framed) <= _SAME_FRAME:
            own, framed = OwnCamera(before.own.camera, R), before.framed
        else:
            own, framed = _own_camera(straight_camera(lens), small, R), R
        shares = warp.valid.reshape(size[1], factor, size[0], factor).mean((1, 3))
        return cls(
            lens,
            warp,
            reduction,
            mounting,
            _scale(mounting, training, scale_height),
            own,
            framed,
            shares >= 0.5,
            detail,
        )

    def at_height(self, height: float, training: TrainingCamera, scale_height: bool) -> Canonical:
        """The same table for the same camera `height` m above the ground."""
        mounting = replace(self.mounting, height=height)
        return replace(self, mounting=mounting, scale=_scale(mounting, training, scale_height))

    def view(self, image: Rgb, T_world_cam: Array, deferred: bool = False) -> View:
        """The canonical view of an image that the real camera took from T_world_cam (4,4).

        deferred: warp the image only when it is asked for.
        """
        lens = self.warp.lens.camera
        if self.reduction > 1:
            # Even where a GPU warps: to hand the whole image over would cost what averaging does.
            size = (lens.width, lens.height)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        T_cam_level = np.eye(4)
        T_cam_level[:3, :3] = self.mounting.R_cam_level
        valid = None if self.valid.all() else self.valid
        return View(
            self.warp.source(image, deferred),
            self.warp.camera,
            T_world_cam @ T_cam_level,
            self.scale,
            valid,
            self.own,
        )

    def concerns(self, training: TrainingCamera) -> list[str]:
        """What the network cannot be served with, one sentence each, with numbers."""
        found = []
        wide, high = training.field_of_view
        if self.warp.covered < 0.7:
            found.append(
                f"the camera sees {self.warp.covered:.0%} of the {wide:.0f}x{high:.0f} degrees "
                "that the network looks at; the rest stays unknown"
            )
        if self.detail < 0.6:
            found.append(
                f"the image has {self.detail:.2g} pixels for each of the network's: "
                "a sharper image would see further"
            )
        wanted = training.height / self.mounting.height if self.mounting.height > 0 else np.inf
        if not 1 / training.max_scale <= wanted <= training.max_scale:
            found.append(
                f"the camera is {self.mounting.height:.2f} m above the ground, the network's "
                f"{training.height:.2f} m: scaled by {self.scale:.2f} only, so distances are off"
            )
        return found


def _scale(mounting: Mounting, training: TrainingCamera, scale_height: bool) -> float:
    """See `View.scale`."""
    return height_scale(mounting.height, training) if scale_height else 1.0


def _detail(lens: Lens, small: Camera, R_lens_camera: Array) -> float:
    """Source pixels per pixel of the network's input, the median over what the lens sees."""
    uv = positions(lens, small, R_lens_camera)
    inside = lens.inside(uv)
    steps = np.linalg.norm(np.diff(uv, axis=1), axis=-1)[inside[:, 1:] & inside[:, :-1]]
    return float(np.median(steps)) if steps.size else 1.0


def _own_camera(straight: Camera, small: Camera, R_own_view: Array) -> OwnCamera:
    """The part of the straightened real camera that the canonical view can say something about, at
    about the network's resolution: more pixels would only repeat its answers."""
    rays = small.rays().reshape(-1, 3).astype(np.float64) @ R_own_view.T
    slopes = rays[rays[:, 2] > 0, :2] / rays[rays[:, 2] > 0, 2:]
    centre, focal = np.array([straight.cx, straight.cy]), np.array([straight.fx, straight.fy])
    low = np.maximum(slopes.min(0), -centre / focal)
    high = np.minimum(slopes.max(0), ([straight.width, straight.height] - centre) / focal)
    if (low >= high).any():
        raise UserError("the camera sees nothing of what the network expects to see")
    width, height = (int(n) for n in np.maximum(1, np.rint((high - low) * [small.fx, small.fy])))
    fx, fy = np.array([width, height]) / (high - low)
    camera = Camera(width, height, float(fx), float(fy), float(-low[0] * fx), float(-low[1] * fy))
    return OwnCamera(camera, R_own_view)
