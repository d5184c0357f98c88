"""Nothing comes any more, from the model, the camera or the poses: it is told, and nothing lies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from kdbts_ros.node import kdbts_node
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.outputs.reports import tells_of_a_map
from test.ros.robot import SECOND, Robot, base_at, picture
from test.ros.test_kdbts_node_publishing import START, Engine, Rig, knows_nothing

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE


class Watched(Rig):
    """A node that looks at itself often and is soon alarmed; what it says is heard."""

    def __init__(self, robot: Robot, engine: Engine) -> None:
        self.heard: list[DiagnosticArray] = []
        super().__init__(robot, engine)
        topic, qos = "/diagnostics", QoSProfile(depth=50)
        self.late.append(robot.listen(DiagnosticArray, topic, self.heard, qos))
        self.set(silence_timeout=0.5)

    def set(self, **values: Any) -> None:
        given = [Parameter(name, value=value) for name, value in values.items()]
        assert all(result.successful for result in self.node.set_parameters(given))

    def said(self, name: str) -> tuple[bytes, str]:
        """Level and sentence of the newest status of that name."""
        for array in reversed(self.heard):
            for status in array.status:
                if status.name == f"kdbts: {name}":
                    return status.level, status.message
        return OK, ""

    def told(self, name: str, level: bytes, words: str) -> bool:
        """Let the node work until a status says something."""
        return self.turn(
            lambda: self.said(name)[0] == level and words in self.said(name)[1], turns=1500
        )

    def state(self) -> int:
        return int(self.node._state_machine.current_state[0])

    def account(self) -> tuple[int, int]:
        """Images in, and images that became something or were dropped; of the newest report."""
        report = self.robot.accounts[-1]
        return report.frames_in, report.maps_out + report.views_in + sum(report.drop_counts)


@pytest.fixture
def watched(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    engine = Engine()
    monkeypatch.setattr(kdbts_node.loading, "load", lambda parameters, tell: engine)
    monkeypatch.setattr(kdbts_node, "HEALTH_PERIOD", 0.2)
    made = Watched(robot, engine)
    yield made
    made.close()


def test_an_inference_that_hangs_is_told_then_given_up_and_the_node_can_begin_anew(
    watched: Watched,
) -> None:
    watched.map_of(START)
    watched.begin(START + SECOND)
    overtaken = 0
    while watched.said("inference")[0] != ERROR and overtaken < 200:
        # Images that find their pose do not make the silence any shorter.
        overtaken += 1
        watched.see(START + SECOND + overtaken * SECOND // 20)
        watched.turn(lambda: False, turns=5)
    assert watched.said("inference")[1].startswith("an inference has not ended for")
    watched.set(inference_timeout=1.0)
    assert watched.told("lifecycle", ERROR, "did not end within inference_timeout")
    assert watched.state() == State.PRIMARY_STATE_UNCONFIGURED
    frames_in, accounted = watched.account()
    assert frames_in == accounted
    assert "was given up with its model" in watched.robot.accounts[-1].mode_note
    hung, watched.engine = watched.engine, Engine()
    kdbts_node.loading.load = lambda parameters, tell: watched.engine
    assert watched.node.trigger_configure() == kdbts_node.SUCCESS
    assert watched.node.trigger_activate() == kdbts_node.SUCCESS
    watched.connect()
    # The hung one ends after all: its map is not published, nor counted in the new life.
    hung.go_on.set()
    watched.map_of(START + 100 * SECOND)
    assert START + SECOND not in watched.stamps()
    assert watched.robot.reports[-1].maps_out == 1 and watched.robot.drops() == {}
    assert watched.told("lifecycle", OK, "node is active")


def test_a_map_that_no_other_follows_is_cleared_once_and_the_camera_called_stale(
    watched: Watched,
) -> None:
    watched.map_of(START)
    maps = len(watched.robot.grids)
    assert watched.turn(lambda: len(watched.robot.grids) > maps)
    assert knows_nothing(watched.robot.grids[-1])
    assert to_ns(watched.robot.grids[-1].header.stamp) == START + 1
    assert watched.told("input", STALE, "the camera has stopped")
    assert watched.told("inference", STALE, "no map for")
    watched.turn(lambda: False, turns=50)
    assert len(watched.robot.grids) == maps + 1, "once"
    watched.set(clear_on_stale=False)
    watched.map_of(START + SECOND)
    assert watched.told("inference", OK, "maps are published")
    assert watched.told("inference", STALE, "no map for")
    assert not knows_nothing(watched.robot.grids[-1]), "switched off"


def test_reports_come_without_maps_and_name_the_newest_reason(watched: Watched) -> None:
    def silent() -> list[Any]:
        return [r for r in watched.robot.accounts if not tells_of_a_map(r)]

    def blind() -> bool:
        level, sentence = watched.said("input")
        return level == ERROR and "bad_image" in sentence

    assert watched.turn(lambda: len(silent()) > 1), "before the first image"
    assert to_ns(silent()[-1].header.stamp) == 0
    watched.map_of(START)
    sent = 0
    told = False
    while not (told and blind()) and sent < 200:
        sent += 1
        watched.robot.images.publish(picture(START + sent * SECOND, encoding="no_such"))
        watched.turn(lambda: False, turns=10)
        told = told or silent()[-1].mode_note.startswith("bad_image: ")
    assert told and blind(), "only bad images"
    newest = silent()[-1]
    assert to_ns(newest.header.stamp) == START, "of the newest map"
    assert newest.total_ms == 0 and newest.maps_out == 1
    assert watched.turn(lambda: watched.account() == (1 + sent, 1 + sent), turns=300)


def test_transforms_never_wait_for_images(watched: Watched) -> None:
    """A robot's transforms of five seconds line up while nobody takes them, then images come."""
    watched.map_of(START)
    watched.set(tf_timeout=0.0, silence_timeout=60.0)
    first, count = START + SECOND, 80
    for index in range(count):
        watched.robot.move(first + index * SECOND // 16)
    last = first + (count - 2) * SECOND // 16
    watched.robot.see(last)
    time.sleep(0.5)  # all of it has arrived before the node's first turn
    assert watched.turn(lambda: last in watched.stamps(), turns=600), watched.robot.drops()
    assert watched.robot.drops() == {}


def test_every_image_is_accounted_for_once_nothing_is_under_way(watched: Watched) -> None:
    """Good ones, ones without a pose, and one that the node itself fails at."""
    watched.engine.go_on.set()
    for index in range(60):
        stamp = START + index * SECOND // 60
        if index % 3:
            watched.robot.tf.publish(TFMessage(transforms=[base_at(stamp)]))
        watched.robot.see(stamp)
        watched.turn(lambda: False, turns=2)
    counters, inside = watched.node._jobs.counters, watched.node._intake._streams[0]
    working, inside._calibrations.expect = inside._calibrations.expect, lambda *of: [].pop()
    watched.robot.see(START + 2 * SECOND)
    assert watched.turn(lambda: counters.dropped["unforeseen"] == 1)
    inside._calibrations.expect = working
    assert watched.turn(lambda: not len(inside._queue) and not counters.debts.jobs)
    accounted = counters.maps_out + counters.views_in + sum(counters.dropped.values())
    assert counters.frames_in == accounted > 5
    assert counters.maps_out and counters.dropped.keys() & {"extrapolation", "too_old", "no_tf"}
    # What the middleware still held comes later: the newest report is of all of it.
    assert watched.turn(lambda: set(watched.account()) == {counters.frames_in})


def test_two_nodes_of_one_name_are_noticed(watched: Watched) -> None:
    # Nodes of tests before, and of other runs on this machine, may still be listed.
    watched.told("name", OK, "no other node has this name")
    before = watched.said("name")[1]
    other = rclpy.create_node("kdbts")
    try:
        assert watched.turn(lambda: watched.said("name")[1] != before)
        level, sentence = watched.said("name")
        assert level in (WARN, ERROR) and "other node(s) have this name" in sentence
    finally:
        other.destroy_node()
