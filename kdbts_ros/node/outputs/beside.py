"""What the node publishes beside its map: cells, clouds, a novel view and the views in use.

All of it is computed after the map has been sent, by the inference thread, which owns the model,
and only for who listens. The lock of `Epochs` is held while something is sent, never while it is
computed: the executor does not wait for a picture. Maps do: after a novel view, which on a CPU
takes as long as many maps, images come without one for as long as it took.

The clouds are in frames that move with the robot. Costmap layers measure the range of points from
the origin of the cloud's frame and clear along rays from there; the collision monitor of newer
versions compares heights with z in that frame. So cells are told in the base frame, whose z is
height, and the surface in the optical frame of the camera, where its rays begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from kdbts_ros.msg import OccupancyVolume
from kdbts_ros.node.inference.handover import Epochs
from kdbts_ros.node.inference.worker import Job
from kdbts_ros.node.outputs import messages, scene_messages
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting.faults import with_place

MakePublisher = Callable[[type, str], Any]
# A message of a job and what its frame tells beside the map; None: not of this one.
Build = Callable[[Job, Any], Any]


class BesideOutputs:
    """Publishers of what is told beside the map. `parameters` gives the values of now."""

    def __init__(
        self,
        publisher: MakePublisher,
        parameters: Callable[[], Parameters],
        epochs: Epochs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameters, self._epochs, self._clock = parameters, epochs, clock
        self._no_picture_before = clock()
        # What planners wait for first; the novel view takes longest.
        self._outputs: list[tuple[Any, Build]] = [
            (publisher(PointCloud2, "~/points"), self._points),
            (publisher(PointCloud2, "~/surface_points"), self._surface_points),
            (publisher(OccupancyVolume, "~/volume"), self._volume),
            (publisher(MarkerArray, "~/views"), self._views),
            (publisher(Image, "~/novel_view"), self._novel_view),
        ]

    def send(self, job: Job, beside: Any) -> str:
        """Compute and send what somebody listens to; what failed and why, or nothing.

        beside: a `kdbts_ros.density.whole_frame.beside.Beside`. What fails takes nothing else
        along.
        """
        faults = []
        for publisher, build in self._outputs:
            try:
                if publisher.get_subscription_count() == 0:
                    continue
                if (message := build(job, beside)) is None:
                    continue
                with self._epochs.lock:
                    if job.epoch != self._epochs.now:
                        break
                    publisher.publish(message)
            except Exception as error:  # a device or a middleware has reasons of its own
                faults.append(f"publishing {publisher.topic_name} failed: {with_place(error)}")
        return "; ".join(faults)

    def _points(self, job: Job, beside: Any) -> PointCloud2:
        head = self._header(job, self._parameters().base_frame)
        return scene_messages.point_cloud(head, beside.occupied_cells())

    def _surface_points(self, job: Job, beside: Any) -> PointCloud2:
        points = beside.surface(job.needs.T_fixed_camera)
        return scene_messages.point_cloud(self._header(job, job.frame.frame_id), points)

    def _volume(self, job: Job, beside: Any) -> OccupancyVolume:
        head = self._header(job, self._parameters().fixed_frame)
        return scene_messages.occupancy_volume(head, beside.volume())

    def _views(self, job: Job, beside: Any) -> MarkerArray:
        head = self._header(job, self._parameters().fixed_frame)
        return scene_messages.view_markers(head, beside.frusta())

    def _novel_view(self, job: Job, beside: Any) -> Image | None:
        values, began = self._parameters(), self._clock()
        if began < self._no_picture_before:
            return None
        picture = beside.novel_view(values.novel_view_behind, values.novel_view_above)
        self._no_picture_before = 2 * self._clock() - began
        # Of the base: the virtual camera, which is fixed to it, has no frame of its own.
        return messages.rgb_image(self._header(job, values.base_frame), picture)

    @staticmethod
    def _header(job: Job, frame_id: str) -> Header:
        return messages.header(job.frame.stamp_ns, frame_id)
