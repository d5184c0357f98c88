"""The security policy lists what the node creates, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from rclpy.node import NodeNameNonExistentError

from test.ros.robot import NodeProcess, Robot

POLICY = Path(__file__).resolve().parents[2] / "config" / "security" / "policy.xml"
# Not of every distribution: type descriptions came with Iron, tf2_frames with tf2_ros, and of
# simulated time rclpy keeps the subscription to itself.
OF_SOME = {"/clock", "/kdbts/get_type_description", "/tf2_frames"}
KINDS = {
    "publisher": ("topics", "publish"),
    "subscriber": ("topics", "subscribe"),
    "service": ("services", "reply"),
    "client": ("services", "request"),
}


def allowed(kind: str) -> set[str]:
    """Names in the policy."""
    group, right = KINDS[kind]
    found = ET.parse(POLICY).getroot().iterfind(f".//{group}[@{right}='ALLOW']/*")
    return {str(entry.text) for entry in found}


def created(robot: Robot, kind: str) -> set[str]:
    """Names that the node has in the graph."""
    ask = getattr(robot.node, f"get_{kind}_names_and_types_by_node")
    return {name for name, _ in ask("kdbts", "/")}


@pytest.fixture(scope="module")
def graph(robot: Robot, start: Callable[..., NodeProcess], checkpoint: Path) -> dict[str, set[str]]:
    """Everything that the node creates, under its default parameters and under others."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    others = {"pose_source": "odometry", "image_transport": "compressed", "use_sim_time": "true"}
    for parameters, moving in (({}, "/tf"), (others, "/odom")):
        node = start(checkpoint=checkpoint, device="cpu", **parameters)
        node.wait_for_log("active on")

        def complete(moving: str = moving) -> bool:
            if ("kdbts", "/") not in robot.node.get_node_names_and_namespaces():
                return False
            with suppress(NodeNameNonExistentError):
                services = created(robot, "service")
                return moving in created(robot, "subscriber") and "/kdbts/get_state" in services
            return False

        assert robot.spin_until(complete, 60), node.text()
        robot.spin(1.0)
        for kind in KINDS:
            found[kind] |= created(robot, kind)
        node.stop()
        robot.spin(1.0)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_lists_what_the_node_creates(graph: dict[str, set[str]], kind: str) -> None:
    assert graph[kind] - allowed(kind) == set(), "not in the policy: the node could not do it"
    assert allowed(kind) - graph[kind] - OF_SOME == set(), "in the policy for nothing"


def test_the_policy_has_one_node_and_no_wildcards() -> None:
    root = ET.parse(POLICY).getroot()
    assert [profile.get("node") for profile in root.iter("profile")] == ["kdbts"]
    names = [str(e.text) for tag in ("topic", "service") for e in root.iter(tag)]
    assert len(set(names)) == len(names)
    assert all(name.startswith("/") and "*" not in name for name in names)
