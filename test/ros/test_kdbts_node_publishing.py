"""Maps leave from the inference thread: when they do, and when they must not."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor

from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.ground.anchor import GroundAccount
from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.density.settings import Wanted
from kdbts_ros.density.views.policy import ViewAccount
from kdbts_ros.node import kdbts_node
from kdbts_ros.node.outputs.messages import to_ns
from test.ros.robot import LATCHED, SECOND, Robot

START = 700 * SECOND


class Engine:
    """Gives a map of the stamp's seconds once it may; None for a map cannot be published."""

    def __init__(self) -> None:
        self.settings: Any = None
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.cells: Any = np.zeros((4, 4), np.int8)
        # Nobody listens to what is beside the map.
        self.beside: Any = None

    def update(self, settings: Any) -> None:
        self.settings = settings

    def view(self, image: Any, lens: Any, T_fixed_camera: Any, T_fixed_base: Any) -> View:
        return View(image, lens.camera, T_fixed_camera)

    def concerns(self, lens: Any, T_base_camera: Any) -> list[str]:
        return []

    def process(self, view: View, T: Any, wanted: Any, frame_stamp: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(60)
        return SimpleNamespace(
            window=GridWindow(0.5, 4, 4, 0.0, 0.0),
            trinary=self.cells,
            percent=np.full((4, 4), 70, np.int8) if wanted.percent else None,
            occupancy=OccupancyMap(
                GridWindow(0.5, 4, 4, 0.0, 0.0),
                np.full((4, 4), 0.7, np.float32),
                np.ones((4, 4), np.bool_),
            ),
            depth=None,
            preview=None,
            times_ms={},
            beside=self.beside,
            views=ViewAccount(),
            ground=GroundAccount(1.05, -0.01, 1.05),
        )

    def forget(self) -> None:
        """Nothing is kept."""

    def describe(self) -> dict[str, str]:
        return {"head": "none"}


class Rig:
    """The node in this process, whose executor turns only when told to, and a robot around it."""

    def __init__(self, robot: Robot, engine: Engine) -> None:
        self.robot, self.engine = robot, engine
        self.late: list[Any] = []
        robot.grids.clear()
        robot.reports.clear()
        robot.accounts.clear()
        self.node = kdbts_node.KdbtsNode()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.connect()

    def connect(self) -> None:
        def connected() -> bool:
            inputs = (self.robot.images, self.robot.infos, self.robot.tf, self.robot.tf_static)
            return all(p.get_subscription_count() > 0 for p in inputs)

        assert self.turn(connected), "the node did not subscribe"
        # Both ends must have matched, not only ours.
        self.turn(lambda: False, turns=50)

    def turn(self, condition: Callable[[], bool], turns: int = 3000) -> bool:
        """Let the node and the robot work until a condition holds."""
        for _ in range(turns):
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.01)
            self.robot.executor.spin_once(timeout_sec=0.01)
        return condition()

    def see(self, stamp_ns: int) -> None:
        self.robot.move(stamp_ns - SECOND // 10, stamp_ns + SECOND // 10)
        self.robot.see(stamp_ns)

    def begin(self, stamp_ns: int) -> None:
        """Have an image in the engine, and keep it there."""
        self.engine.begun.clear()
        self.engine.go_on.clear()
        self.see(stamp_ns)
        assert self.turn(self.engine.begun.is_set), "inference did not begin"

    def map_of(self, stamp_ns: int) -> None:
        """An image and its map."""
        self.engine.go_on.set()
        self.see(stamp_ns)
        assert self.turn(lambda: self.robot.has_map(stamp_ns)), "no map came"

    def stamps(self) -> list[int]:
        """Of the maps so far."""
        return [to_ns(grid.header.stamp) for grid in self.robot.grids]

    def close(self) -> None:
        self.engine.go_on.set()
        for subscription in self.late:
            self.robot.node.destroy_subscription(subscription)
        self.node.trigger_deactivate()
        self.node.trigger_cleanup()
        self.executor.shutdown()
        self.node.destroy_node()
        # rclpy ends a lifecycle node's services with its last reference only; until then they take
        # the next node's requests and never answer. The inference thread froze what was there.
        del self.node, self.executor
        gc.unfreeze()
        gc.collect()


@pytest.fixture
def rig(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    engine = Engine()
    monkeypatch.setattr(kdbts_node.loading, "load", lambda parameters, tell: engine)
    made = Rig(robot, engine)
    yield made
    made.close()


def test_a_map_does_not_wait_for_the_executor(rig: Rig) -> None:
    rig.begin(START)
    rig.engine.go_on.set()
    assert rig.robot.spin_until(lambda: rig.stamps() == [START])
    assert not rig.robot.reports, "the executor has not turned"
    assert rig.turn(lambda: rig.robot.has_map(START))
    report = rig.robot.reports[-1]
    assert report.maps_out == 1
    assert (report.ground_scale, report.ground_pitch) == pytest.approx((1.05, -0.01))


def test_a_map_that_time_has_overtaken_is_not_published(rig: Rig) -> None:
    rig.begin(START)
    early = START - 100 * SECOND
    rig.see(early)
    assert rig.turn(lambda: rig.node._jobs.counters.time_jumps == 1)
    rig.map_of(early + SECOND)
    assert START not in rig.stamps()
    assert rig.robot.drops()["time_jump"] == 1


def test_a_map_is_not_published_after_deactivation(rig: Rig) -> None:
    rig.begin(START)
    rig.node.trigger_deactivate()
    rig.engine.go_on.set()
    assert rig.turn(lambda: rig.node._jobs.counters.dropped["deactivated"] == 1)
    rig.node.trigger_activate()
    rig.connect()
    rig.map_of(START + SECOND)
    # A writer's messages arrive in order: an earlier one would be here.
    assert rig.stamps() == [START + SECOND]
    assert rig.robot.drops() == {"deactivated": 1}


def test_a_failure_to_publish_is_counted_and_the_next_map_is_published(rig: Rig) -> None:
    good, rig.engine.cells = rig.engine.cells, None
    rig.engine.go_on.set()
    rig.see(START)
    assert rig.turn(lambda: rig.node._jobs.counters.dropped["inference_error"] == 1)
    assert "publishing failed" in rig.node._jobs.counters.losses.details["inference_error"]
    rig.engine.cells = good
    rig.map_of(START + SECOND)
    assert rig.stamps() == [START + SECOND]
    assert rig.robot.drops() == {"inference_error": 1}


def test_what_cannot_be_sent_beside_a_map_leaves_it_a_map(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*of: Any) -> None:
        raise RuntimeError("no room for a picture")

    monkeypatch.setattr(rig.node._outputs, "_send_probability", broken)
    monkeypatch.setattr(rig.node._outputs, "wanted", lambda: Wanted(False, True, False))
    for stamp in (START, START + SECOND):
        rig.map_of(stamp)
    assert rig.robot.drops() == {}
    assert rig.robot.reports[-1].maps_out == 2
    assert rig.node._faults.count == 2
    (sentence,) = rig.node._faults.status(0.0, 1.0).values
    assert sentence.startswith("publishing beside the map failed: RuntimeError: no room")


def listen(rig: Rig, topic: str) -> list[OccupancyGrid]:
    heard: list[OccupancyGrid] = []
    rig.late.append(rig.robot.listen(OccupancyGrid, topic, heard, LATCHED))
    return heard


def knows_nothing(grid: OccupancyGrid) -> bool:
    return set(grid.data) == {-1}


def test_a_late_listener_gets_no_map_of_a_past_life(rig: Rig) -> None:
    rig.map_of(START)
    early = START - 100 * SECOND
    # Only the image that announces the jump, without a pose: no map of the new epoch yet.
    rig.robot.see(early)
    assert rig.turn(lambda: rig.node._jobs.counters.time_jumps == 1)
    grids = listen(rig, "/kdbts/occupancy")
    percent = listen(rig, "/kdbts/occupancy_probability")
    assert rig.turn(lambda: bool(grids))
    assert [to_ns(grid.header.stamp) for grid in grids] == [early - 1]
    assert knows_nothing(grids[0])
    rig.turn(lambda: False, turns=50)
    assert percent == [], "nobody had asked for it in the past epoch"
    rig.map_of(early + SECOND)
    assert rig.turn(lambda: bool(percent))
    assert [to_ns(grid.header.stamp) for grid in percent] == [early + SECOND]
    # Somebody has listened: from now on the middleware has a sample to give.
    rig.robot.see(early - 50 * SECOND)
    assert rig.turn(lambda: rig.node._jobs.counters.time_jumps == 2)
    late = listen(rig, "/kdbts/occupancy_probability")
    assert rig.turn(lambda: bool(late))
    assert all(map(knows_nothing, late))


def test_confidence_is_made_for_listeners_alone_and_a_past_life_s_is_taken_back(rig: Rig) -> None:
    rig.map_of(START)
    confidence = listen(rig, "/kdbts/confidence")
    rig.turn(lambda: False, turns=50)
    assert confidence == [], "nobody had asked for it"
    rig.map_of(START + SECOND)
    assert rig.turn(lambda: bool(confidence))
    # |2 * 0.7 - 1| of one view that observed all of it.
    assert list(confidence[0].data) == [20] * 16
    assert to_ns(confidence[0].header.stamp) == START + SECOND
    # The next map waits: of two messages at once a listener keeps the last.
    rig.begin(START - 5 * SECOND)
    assert rig.turn(lambda: len(confidence) > 1)
    assert knows_nothing(confidence[1])
    rig.engine.go_on.set()


def test_the_last_map_stays_while_the_node_is_inactive_and_goes_when_it_is_active(
    rig: Rig,
) -> None:
    rig.map_of(START)
    rig.node.trigger_deactivate()
    kept = listen(rig, "/kdbts/occupancy")
    never = listen(rig, "/kdbts/occupancy_probability")
    assert rig.turn(lambda: bool(kept))
    assert [to_ns(grid.header.stamp) for grid in kept] == [START] and not knows_nothing(kept[0])
    rig.node.trigger_activate()
    assert rig.turn(lambda: len(kept) == 2)
    assert knows_nothing(kept[1])
    assert never == []
    rig.connect()
    rig.map_of(START + SECOND)
    assert rig.turn(lambda: bool(never))
    assert [to_ns(grid.header.stamp) for grid in never] == [START + SECOND]


@pytest.mark.parametrize("sent", [True, False])
def test_what_came_of_an_image_does_not_count_in_the_next_configuration(
    rig: Rig, sent: bool
) -> None:
    rig.begin(START)
    if sent:
        rig.engine.go_on.set()
        assert rig.robot.spin_until(lambda: rig.stamps() == [START])
    rig.node.trigger_deactivate()
    rig.engine.go_on.set()
    rig.node.trigger_cleanup()
    rig.node.trigger_configure()
    rig.node.trigger_activate()
    rig.connect()
    rig.map_of(START + SECOND)
    assert rig.stamps() == ([START] if sent else []) + [START + SECOND]
    assert rig.robot.drops() == {}
    assert rig.robot.reports[-1].maps_out == 1
