"""The depth images of a recording, as its cameras would see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdbts_ros.datasets.bags.cameras import CameraIndex, ImageEntry
from kdbts_ros.datasets.bags.images import RecordedImages
from kdbts_ros.datasets.registration import Depth, registered
from kdbts_ros.datasets.ros.depth_messages import decode_depth
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, Camera, inverse
from kdbts_ros.errors import UserError
from kdbts_ros.reading import telling


@dataclass(frozen=True, eq=False)
class PosedDepth:
    """A depth image and T_world_depth (4,4), its camera's optical frame, at its own stamp."""

    entry: ImageEntry
    T_world_depth: Array


class RecordedDepth:
    """The depth image of every frame that has one; may be sent to other processes.

    Args:
        path: of the recording.
        index: the depth images with their camera_info.
        posed: by frame; None where a frame has no depth image with a pose.
    """

    def __init__(self, path: Path, index: CameraIndex, posed: Sequence[PosedDepth | None]) -> None:
        assert index.lens is not None
        self._lens: Lens = index.lens
        self._index, self._posed = index, tuple(posed)
        self._images = RecordedImages(path)

    @property
    def topic(self) -> str:
        """Where the depth images were recorded."""
        return self._index.topics.images

    @property
    def count(self) -> int:
        """How many frames have a depth image with a pose."""
        return sum(one is not None for one in self._posed)

    def seen_by(self, frame: int, camera: Camera, T_world_cam: Array) -> Depth | None:
        """(H,W) z-depth in m in the pixels of a camera, 0 where unknown; None without an image.

        Raises:
            UserError: the image cannot be read, or is of another size than its camera_info says.
        """
        posed = self._posed[frame]
        if posed is None:
            return None
        where = f"depth image {frame} on {self.topic}"
        try:
            with telling(str, "rosbags"):
                depth = decode_depth(self._images.message(self._index, posed.entry))
        except UserError as error:
            raise UserError(f"{where} cannot be read: {error}") from error
        own = self._lens.camera
        if depth.shape != (own.height, own.width):
            raise UserError(
                f"{where} is {depth.shape[1]}x{depth.shape[0]}, but its camera_info describes "
                f"{own.width}x{own.height}"
            )
        T_cam_depth = inverse(T_world_cam) @ posed.T_world_depth
        return registered(depth, self._lens, T_cam_depth, camera)
