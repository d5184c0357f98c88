"""What remains of a posed image once the network has looked at it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density.camera import Array, Camera, check_rigid


@dataclass(frozen=True, eq=False)
class EncodedView:
    """A view as queries need it: keyframes are kept in this form and never encoded again.

    Attributes:
        maps: (hidden,H,W) float32 folded map, channels last in memory.
        camera: of the image as it was given; a map stretches over its whole image.
        T_world_cam: (4,4) camera to world.
        image: (H,W,3) uint8 RGB at the map's size, for colours alone.

    Raises:
        UserError: a pose that is not rigid.
    """

    maps: Tensor
    camera: Camera
    T_world_cam: Array
    image: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        check_rigid(self.T_world_cam, "T_world_cam")

    @property
    def nbytes(self) -> int:
        """Memory this view holds, bytes."""
        return self.maps.numel() * self.maps.element_size() + self.image.nbytes

    def reposed(self, T_world_cam: Array) -> EncodedView:
        """The same maps under another pose, as after a loop closure; nothing is copied."""
        return dataclasses.replace(self, T_world_cam=T_world_cam)
