"""`~/query`: what the views behind the newest map say of points, and the map of footprints.

Answered in the executor's thread, of snapshots that the inference thread left with its map and
never touches again: a question waits for no frame, and no frame changes an answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode

from kdbts_ros.datasets.ros.pose_rules import frame_name
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.density.places import outline
from kdbts_ros.errors import UserError
from kdbts_ros.node.inference.worker import Job
from kdbts_ros.node.outputs import messages
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import with_place
from kdbts_ros.srv import QueryOccupancy

NAME = "~/query"
# Oldest image that answers where a request does not say, s.
MAX_AGE = 2.0
# How long after a question views are kept for the next one, where that costs anything, s.
INTEREST = 60.0

# The job and the result of the newest map; None where there is none.
Newest = Callable[[], tuple[Job, Any] | None]
# T_fixed_frame (4,4) of a frame at a stamp, ns; raises Dropped or UserError.
Pose = Callable[[str, int], Matrix]


class QueryService:
    """The service of a configured node.

    Args:
        parameters: gives the values of now.
        newest, pose: see `Newest` and `Pose`.
        caught: told of what nobody foresaw.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Callable[[], Parameters],
        newest: Newest,
        pose: Pose,
        caught: Callable[[str, Exception], None],
    ) -> None:
        self._node, self._parameters, self._caught = node, parameters, caught
        self._newest, self._pose = newest, pose
        self._asked_at = -math.inf
        self._service = node.create_service(QueryOccupancy, NAME, self._on_query)

    def wanted(self) -> bool:
        """Whether somebody asks, or may be about to."""
        if time.monotonic() - self._asked_at < INTEREST:
            return True
        return bool(self._node.count_clients(self._service.srv_name) > 0)

    def close(self) -> None:
        """Answer no more."""
        self._node.destroy_service(self._service)

    def _on_query(self, request: Any, response: Any) -> Any:
        began = self._asked_at = time.monotonic()
        try:
            answer = self._answer(request)
        except Dropped as why:
            return QueryOccupancy.Response(message=why.detail)
        except UserError as why:
            return QueryOccupancy.Response(message=str(why))
        except Exception as error:  # whoever asked waits to hear of it
            self._caught("a query", error)
            return QueryOccupancy.Response(message=f"the query failed: {with_place(error)}")
        answer.took_ms = (time.monotonic() - began) * 1e3
        return answer

    def _answer(self, request: Any) -> Any:
        _check(request)
        newest = self._newest()
        if newest is None:
            raise UserError(
                "there is no map yet: activate the node, or see in /diagnostics what it waits for"
            )
        job, result = newest
        self._check_age(job, request.max_age or MAX_AGE)
        answers = _ask(result, request, self._pose_for(job, request.header))
        return QueryOccupancy.Response(
            success=True,
            header=messages.header(job.frame.stamp_ns, self._parameters().fixed_frame),
            views_used=result.views.used,
            probability=messages.filled("f", answers.probability),
            state=messages.filled("B", answers.state),
            collision=messages.filled("B", answers.collision),
        )

    def _pose_for(self, job: Job, head: Any) -> Matrix:
        """T_fixed_frame of a request's frame, at its stamp or the image's."""
        stamp_ns = messages.to_ns(head.stamp) or job.frame.stamp_ns
        of_base = frame_name(head.frame_id) == frame_name(self._parameters().base_frame)
        if of_base and stamp_ns == job.frame.stamp_ns:
            # Looked up already, for the map.
            return job.needs.T_fixed_base
        return self._pose(head.frame_id, stamp_ns)

    def _check_age(self, job: Job, most: float) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        # A clock that stands at zero tells no age: then it is told from the image's arrival on.
        on_arrival = time.monotonic() - job.frame.arrived
        age = (now_ns - job.frame.stamp_ns) / 1e9 if now_ns else on_arrival
        if age > most:
            raise UserError(
                f"the newest map is of an image {age:.3g} s old, more than max_age, {most:g} s"
            )


def _check(request: Any) -> None:
    """What is wrong with a request, whatever the map; see srv/QueryOccupancy.srv.

    Raises:
        UserError: says what.
    """
    if not request.header.frame_id:
        raise UserError("header.frame_id is empty: it names the frame of the points or poses")
    if len(request.points) and len(request.poses):
        raise UserError("points and poses in one request: ask for one of them")
    if not len(request.poses) and (request.radius or request.polygon.points):
        raise UserError("a radius or a polygon without poses: they say what stands at poses")
    if not 0 <= request.threshold <= 1:
        raise UserError(f"threshold must be 0 to 1, got {request.threshold:g}")
    if not request.max_age >= 0:
        raise UserError(f"max_age must be 0 or more seconds, got {request.max_age:g}")


def _ask(result: Any, request: Any, T_fixed_frame: Matrix) -> Any:
    """The `Answers` of a `kdbts_ros.density.pipeline.FrameResult`.

    Raises:
        UserError: see `ViewSnapshot` and `MapSnapshot`; or the views were not kept.
    """
    threshold = request.threshold or None
    if not len(request.poses):
        if result.snapshot is None:
            raise UserError("views are kept for questions from the next map on: ask again")
        return result.snapshot.points(request.points, threshold, T_fixed_frame)
    corners = outline([(p.x, p.y) for p in request.polygon.points], request.radius)
    poses = np.array([_numbers(pose) for pose in request.poses])
    return result.map_snapshot.footprints(poses, corners, threshold, T_fixed_frame)


def _numbers(pose: Any) -> tuple[float, ...]:
    p, q = pose.position, pose.orientation
    return p.x, p.y, p.z, q.x, q.y, q.z, q.w
