"""Two robots in their namespaces over one DDS domain: nothing of one reaches the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kdbts_ros.doctor.diagnosis import diagnose
from kdbts_ros.doctor.observation import Asked, Observation
from kdbts_ros.doctor.watching import Watch
from test.ros.robot import SECOND, NodeProcess, Robot

NAMES = ("robot1", "robot2")
# Where each robot stands: x is its stamp in seconds, modulo 1000.
STARTS = {"robot1": 1_000_100 * SECOND, "robot2": 1_000_300 * SECOND}


@pytest.fixture(scope="module")
def robots(context: None) -> Iterator[dict[str, Robot]]:
    made = {name: Robot(name) for name in NAMES}
    yield made
    for robot in made.values():
        robot.close()


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, robots: dict[str, Robot], checkpoint: Path
) -> Iterator[dict[str, NodeProcess]]:
    started = {}
    for name in NAMES:
        log = tmp_path_factory.mktemp(name) / "log.txt"
        # What kdbts.launch.py makes of namespace:=NAME namespaced_tf:=true.
        words = ["-r", f"__ns:=/{name}", "-r", "/tf:=tf", "-r", "/tf_static:=tf_static"]
        words += ["-p", f"checkpoint:={checkpoint}", "-p", "max_stamp_lead:=3600.0"]
        started[name] = NodeProcess(log, words)
        # One after the other: a first start compiles, and two would compile the same.
        started[name].wait_for_log("active on", 400)
    for robot in robots.values():
        robot.wait_until_connected()
    yield started
    for node in started.values():
        node.stop()


def listening(robots: dict[str, Robot], name: str, look: Callable[[], Observation]) -> Observation:
    """A look at one robot's graph while both go on, in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        answer, k = pool.submit(look), 0
        while not answer.done() and k < 600:
            stamp = STARTS[name] + SECOND * 10 + k * SECOND // 10
            robots[name].move(stamp, stamp + SECOND // 10)
            robots[name].see(stamp)
            robots[name].spin(0.1)
            k += 1
        return answer.result(timeout=10)


def test_each_robot_has_the_map_of_its_own_place(
    robots: dict[str, Robot], nodes: dict[str, NodeProcess]
) -> None:
    places = {}
    for name in NAMES:
        grid = robots[name].step(STARTS[name])
        places[name] = grid.info.origin.position.x + grid.info.width * grid.info.resolution / 2
        assert grid.header.frame_id == "odom"
    assert places["robot1"] == pytest.approx(100, abs=1)
    assert places["robot2"] == pytest.approx(300, abs=1)
    # One image each, and none of the other's.
    assert [len(robots[name].grids) for name in NAMES] == [1, 1]
    assert [robots[name].reports[-1].frames_in for name in NAMES] == [1, 1]


def test_the_doctor_looks_at_the_robot_that_is_named(
    robots: dict[str, Robot], nodes: dict[str, NodeProcess]
) -> None:
    with Watch(Asked(node="/robot2/kdbts")) as watch:
        seen = listening(robots, "robot2", lambda: watch.look(6.0))
    found = {finding.step: finding for finding in diagnose(seen)}
    assert found["node"].level == "good"
    assert seen.images.topic == "/robot2/image" and seen.images.count > 0
    assert found["camera"].level == found["camera_info"].level == "good"
    assert found["poses"].level == "good", found["poses"].sentence
    assert found["maps"].level == "good", found["maps"].sentence
    # The stamps of the test are of another time, and said to be so.
    assert found["clock"].level != "good"


def test_the_doctor_finds_the_robots_where_none_has_the_usual_name(
    nodes: dict[str, NodeProcess],
) -> None:
    with Watch(Asked()) as watch:
        found = diagnose(watch.look(1.0))
    assert found[0].level == "bad"
    assert "kdbts doctor --node /robot1/kdbts" in found[0].sentence
    (camera,) = [finding for finding in found if finding.step == "camera"]
    assert "did you mean '/robot" in camera.sentence
