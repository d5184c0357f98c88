"""Ask kdbts_node what stands at points before the robot, and whether it could stand further ahead.

python3 examples/query_occupancy.py --ros-args -r kdbts/query:=/kdbts/query
"""

from __future__ import annotations

import sys
from array import array

import rclpy
from geometry_msgs.msg import Point32, Pose
from rclpy.node import Node

from kdbts_ros.srv import QueryOccupancy

PATIENCE_SECONDS = 10.0
WORDS = {
    QueryOccupancy.Response.NO: "free",
    QueryOccupancy.Response.YES: "occupied",
    QueryOccupancy.Response.MAYBE: "nobody knows",
}


def ask(node: Node, request: QueryOccupancy.Request) -> QueryOccupancy.Response:
    """The answer of `kdbts/query`; for a script, not for a callback: it spins the node.

    Raises:
        RuntimeError: there is no node, or it has no answer; says why.
    """
    client = node.create_client(QueryOccupancy, "kdbts/query")
    try:
        if not client.wait_for_service(PATIENCE_SECONDS):
            raise RuntimeError(f"nobody answers {client.srv_name}: is kdbts_node active?")
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future, timeout_sec=PATIENCE_SECONDS)
        answer = future.result()
    finally:
        node.destroy_client(client)
    if answer is None:
        raise RuntimeError("no answer came in time")
    if not answer.success:
        raise RuntimeError(answer.message)
    return answer


def points_ahead() -> QueryOccupancy.Request:
    """A metre above the ground, 4 to 15 m before the robot; the numbers lie one after another."""
    request = QueryOccupancy.Request()
    request.header.frame_id = "base_link"
    request.points = array("d", [c for x in range(4, 16) for c in (float(x), 0.0, 1.0)])
    return request


def footprints_ahead() -> QueryOccupancy.Request:
    """A robot of 1.2 x 0.8 m at three places before this one."""
    request = QueryOccupancy.Request()
    request.header.frame_id = "base_link"
    corners = ((0.6, 0.4), (-0.6, 0.4), (-0.6, -0.4), (0.6, -0.4))
    request.polygon.points = [Point32(x=x, y=y) for x, y in corners]
    for x in (6.0, 8.0, 10.0):
        pose = Pose()
        pose.position.x = x
        request.poses.append(pose)
    return request


def main() -> int:
    """Ask both and print the answers; 1 where there are none."""
    rclpy.init()
    node = rclpy.create_node("query_example")
    try:
        for kind, request in (("point", points_ahead()), ("footprint", footprints_ahead())):
            answer = ask(node, request)
            for i, (p, collision) in enumerate(
                zip(answer.probability, answer.collision, strict=True)
            ):
                print(f"{kind} {i}: {WORDS[collision]}, probability {p:.2f}")
    except RuntimeError as why:
        print(why, file=sys.stderr)
        return 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
