"""What is shown, written to a rerun recording; all of it on one timeline, `stamp`.

Every entity lies in a frame of TF by its name, so that the viewer places maps, clouds and cameras
by the transforms that were sent, at the stamp that is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.pose_rules import Sample
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.viewer.fields import Floats

TIMELINE = "stamp"
JPEG_QUALITY = 85
# Beyond, stamps are times of day; below, seconds of a simulation. 2001-09-09.
_CALENDAR_NS = 1_000_000_000_000_000_000
# Places that a path remembers, and how far apart they are, m.
_PATH_LENGTH, _PATH_STEP = 2000, 0.25
# Of the colours, mm.
_DEPTH_RANGE = (0.0, 40_000.0)
_FARTHEST_M = 65.0
_PATH_COLOUR = (214, 64, 48)
_VIEW_COLOUR = (255, 170, 40)


class SceneLog:
    """Writes to a `rerun.RecordingStream`; `rr` is the module itself."""

    def __init__(self, rr: Any, stream: Any) -> None:
        self._rr = rr
        self._stream = stream
        # One timeline: what was logged when, and in which order, says nothing of the robot.
        stream.set_log_tick_enabled(False)
        stream.set_log_time_enabled(False)
        self._paths: dict[str, deque[tuple[float, float, float]]] = {}

    def at(self, stamp_ns: int) -> None:
        """Let what follows be of this stamp."""
        if stamp_ns >= _CALENDAR_NS:
            self._stream.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, "ns"))
        else:
            self._stream.set_time(TIMELINE, duration=np.timedelta64(stamp_ns, "ns"))

    def transform(self, child: str, sample: Sample, *, static: bool) -> None:
        """Where a frame is in its parent."""
        self._stream.log(
            f"tf/{child}",
            self._rr.Transform3D(
                translation=sample.translation,
                quaternion=sample.quaternion,
                parent_frame=sample.parent,
                child_frame=child,
            ),
            static=static,
        )

    def path(self, child: str, sample: Sample) -> None:
        """The line along which a frame has come, in the frame of its parent."""
        places = self._paths.setdefault(child, deque(maxlen=_PATH_LENGTH))
        at = sample.translation
        if places and np.linalg.norm(np.subtract(at, places[-1])) < _PATH_STEP:
            return
        places.append(at)
        line = self._rr.LineStrips3D([list(places)], colors=[_PATH_COLOUR], radii=[0.05])
        self._put(f"poses/{child}", sample.parent, line)

    def camera(self, entity: str, frame: str, lens: Lens) -> None:
        """The camera that pictures of an entity are of; distortion is not drawn."""
        camera = lens.camera
        matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
        self._stream.log(
            entity,
            self._rr.Pinhole(
                image_from_camera=matrix,
                resolution=[camera.width, camera.height],
                parent_frame=frame,
                child_frame=_plane(entity),
                image_plane_distance=1.5,
            ),
        )

    def picture(self, entity: str, rgb: npt.NDArray[np.uint8]) -> None:
        """(H,W,3) RGB."""
        image = self._rr.Image(rgb).compress(jpeg_quality=JPEG_QUALITY)
        self._put(entity, _plane(entity), image)

    def encoded_picture(self, entity: str, data: bytes, media_type: str) -> None:
        """JPEG or PNG as it came."""
        image = self._rr.EncodedImage(contents=data, media_type=media_type)
        self._put(entity, _plane(entity), image)

    def depth(self, entity: str, metres: Floats) -> None:
        """(H,W) z-depth, 0 where there is none; in space a cloud."""
        # Whole millimetres take half the room of floats; what is beyond 65 m is left out.
        millimetres = np.where(metres < _FARTHEST_M, np.rint(metres * 1000), 0).astype(np.uint16)
        image = self._rr.DepthImage(
            millimetres,
            meter=1000.0,
            depth_range=_DEPTH_RANGE,
            colormap="turbo",
            point_fill_ratio=0.4,
        )
        self._put(entity, _plane(entity), image)

    def grid(
        self,
        entity: str,
        frame: str,
        cells: npt.NDArray[np.int8],
        resolution: float,
        origin: tuple[Sequence[float], Sequence[float]],
    ) -> None:
        """(H,W) cells of an occupancy grid; origin: position and quaternion of its corner."""
        rr, (height, width) = self._rr, cells.shape
        grid = rr.GridMap(
            data=cells.tobytes(),
            format=rr.components.ImageFormat(
                width=width, height=height, color_model="L", channel_datatype="U8"
            ),
            cell_size=resolution,
            translation=origin[0],
            quaternion=origin[1],
            colormap=rr.components.Colormap.RvizMap,
        )
        self._put(entity, frame, grid)

    def cloud(self, entity: str, frame: str, fields: dict[str, Floats]) -> None:
        """Points coloured by their probability, where they have one, or else by their height."""
        places = np.stack([fields[axis] for axis in "xyz"], axis=-1)
        shade = fields.get("probability")
        if shade is None:
            shade = (fields["z"] + 0.5) / 3.0
        self._put(entity, frame, self._rr.Points3D(places, colors=_warm(shade), radii=[0.06]))

    def lines(self, entity: str, frame: str, strips: list[Any], label: str = "") -> None:
        """Strips of (N,3) points."""
        labels = [label] * len(strips) if label else None
        drawn = self._rr.LineStrips3D(strips, colors=[_VIEW_COLOUR], radii=[0.03], labels=labels)
        self._put(entity, frame, drawn)

    def number(self, entity: str, value: float) -> None:
        """One value of a curve."""
        self._stream.log(entity, self._rr.Scalars(value))

    def sentence(self, entity: str, level: str, text: str) -> None:
        """One line of a log; level: INFO, WARN or ERROR."""
        self._stream.log(entity, self._rr.TextLog(text, level=level))

    def clear(self, entity: str) -> None:
        """Take an entity and those below it away from now on."""
        self._stream.log(entity, self._rr.Clear(recursive=True))

    def _put(self, entity: str, frame: str, shown: Any) -> None:
        self._stream.log(entity, self._rr.CoordinateFrame(frame), shown)


def _plane(entity: str) -> str:
    """Name of the frame of a picture's plane; a slash at its end keeps it apart from TF's."""
    return f"{entity}/"


def _warm(shade: Floats) -> npt.NDArray[np.uint8]:
    """(N,3) colours of values from 0, blue, to 1, red."""
    t = np.clip(shade, 0.0, 1.0)[:, None]
    low, high = np.array([70.0, 110.0, 200.0]), np.array([220.0, 60.0, 40.0])
    return np.asarray((1 - t) * low + t * high, np.uint8)
