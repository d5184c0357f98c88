"""`~/query` over DDS: answers of the newest map's views, or one clear sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Point32, Pose
from lifecycle_msgs.msg import Transition

from kdbts_ros.density import queries
from kdbts_ros.node.outputs.messages import filled, to_ns, to_time
from kdbts_ros.srv import QueryOccupancy
from test.ros.robot import SECOND, NodeProcess, Robot

START = 1_000_100 * SECOND
Answer = QueryOccupancy.Response


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], checkpoint: Path) -> NodeProcess:
    return start(checkpoint=checkpoint, device="cpu", range_m=8.0, resolution=0.5)


@pytest.fixture(scope="module")
def connected(node: NodeProcess, robot: Robot) -> Robot:
    node.wait_for_log("active on")
    robot.wait_until_connected()
    return robot


@pytest.fixture(scope="module")
def mapped(connected: Robot) -> Robot:
    """With a map of START, and nothing since."""
    if not connected.has_map(START):
        connected.step(START)
    return connected


def request(frame: str = "base_link", **fields: Any) -> QueryOccupancy.Request:
    """About the newest map, however old: stamps here are of 1970."""
    made = QueryOccupancy.Request(max_age=math.inf)
    made.header.frame_id = frame
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def ask(robot: Robot, asked: QueryOccupancy.Request) -> Answer:
    return robot.call(QueryOccupancy, "query", asked)


def points(*xyz: float) -> Any:
    return filled("d", np.array(xyz, np.float64))


def ahead(count: int = 400) -> np.ndarray:
    """(N,3) in the base frame, mostly in view."""
    return np.random.default_rng(0).uniform([2, -5, 0], [20, 5, 3], (count, 3))


def pose(x: float, y: float = 0.0) -> Pose:
    made = Pose()
    made.position.x, made.position.y = float(x), float(y)
    return made


def refused(answer: Answer) -> str:
    """The sentence of an answer that has nothing else."""
    assert answer == Answer(message=answer.message) and not answer.success
    assert answer.message and "\n" not in answer.message and "Traceback" not in answer.message
    return str(answer.message)


def test_words_mean_here_what_they_mean_to_the_pure_half() -> None:
    states = Answer.UNKNOWN, Answer.OBSERVED, Answer.COMPLETED
    assert states == (queries.STATE_UNKNOWN, queries.STATE_OBSERVED, queries.STATE_COMPLETED)
    assert (Answer.NO, Answer.YES, Answer.MAYBE) == (queries.NO, queries.YES, queries.MAYBE)


def test_without_a_map_there_is_a_sentence(connected: Robot) -> None:
    assert connected.reports == [] or not connected.reports[-1].maps_out
    sentence = refused(ask(connected, request(points=points(5, 0, 1))))
    assert sentence.startswith("there is no map yet: activate the node, or see in /diagnostics")


def test_points_are_answered_in_their_order_with_the_stamp_of_the_image(mapped: Robot) -> None:
    asked = ahead()
    asked[7] = [-5.0, 0.0, 1.0]
    answer = ask(mapped, request(points=points(*asked.ravel())))
    assert answer.success and answer.message == ""
    assert (to_ns(answer.header.stamp), answer.header.frame_id) == (START, "odom")
    assert answer.views_used == 1 and 0 < answer.took_ms < 10_000
    p, state, collision = (
        np.array(a) for a in (answer.probability, answer.state, answer.collision)
    )
    assert len(p) == len(state) == len(collision) == len(asked)
    assert (np.isnan(p) == (state == Answer.UNKNOWN)).all()
    assert state[7] == Answer.UNKNOWN and collision[7] == Answer.MAYBE, "it lies behind the camera"
    known = ~np.isnan(p)
    assert known.mean() > 0.3 and (p[known] >= 0).all() and (p[known] <= 1).all()
    assert (collision[known & (p >= 0.5)] == Answer.YES).all()
    assert (collision[(state == Answer.OBSERVED) & (p < 0.5)] == Answer.NO).all()
    most = float(np.nanmax(p))
    strict = ask(mapped, request(points=points(*asked.ravel()), threshold=most / 2))
    assert Answer.YES in strict.collision


def test_any_frame_will_do(mapped: Robot) -> None:
    """The base, the fixed frame, and the camera's, at the image's stamp."""
    asked = ahead(50)
    here = ask(mapped, request(points=points(*asked.ravel())))
    fixed = asked + np.array([(START / SECOND) % 1000, 0, 0])
    optical = np.stack([-asked[:, 1], 1.5 - asked[:, 2], asked[:, 0]], -1)
    for frame, places in (("odom", fixed), ("camera", optical), ("/odom", fixed)):
        answer = ask(mapped, request(frame, points=points(*places.ravel())))
        assert answer.success, answer.message
        np.testing.assert_allclose(answer.probability, here.probability, rtol=1e-3, atol=1e-4)


def test_a_frame_may_be_meant_at_another_stamp(mapped: Robot) -> None:
    """A twentieth of a second later the robot, at 1 m/s, is 5 cm further on."""
    asked = request("base_link", points=points(*ahead(50).ravel()))
    asked.header.stamp = to_time(START + SECOND // 20)
    later = ask(mapped, asked)
    moved = ask(mapped, request(points=points(*(ahead(50) + np.array([0.05, 0, 0])).ravel())))
    assert later.success and to_ns(later.header.stamp) == START
    np.testing.assert_allclose(later.probability, moved.probability, rtol=1e-3, atol=1e-4)


def test_footprints_agree_with_the_published_map(mapped: Robot) -> None:
    """Discs of 10 cm in the middle of cells that are sure."""
    grid = mapped.grids[-1]
    cells = np.array(grid.data).reshape(grid.info.height, grid.info.width)
    rows, columns = np.nonzero(cells >= -1)
    x = grid.info.origin.position.x + (columns + 0.5) * grid.info.resolution
    y = grid.info.origin.position.y + (rows + 0.5) * grid.info.resolution
    poses = [pose(*at) for at in zip(x.tolist(), y.tolist(), strict=True)][:1000]
    answer = ask(mapped, request("odom", poses=poses, radius=0.1))
    assert answer.success, answer.message
    meant = {-1: Answer.MAYBE, 0: Answer.NO, 100: Answer.YES}
    expected = [meant[int(c)] for c in cells.ravel()[: len(poses)]]
    assert np.mean(np.array(answer.collision) == expected) > 0.98


def test_a_polygon_turns_with_its_pose(mapped: Robot) -> None:
    asked = request(poses=[pose(5.0), pose(-6.0), pose(100.0)])
    asked.polygon.points = [
        Point32(x=x, y=y) for x, y in ((1.0, 0.4), (-1.0, 0.4), (-1.0, -0.4), (1.0, -0.4))
    ]
    answer = ask(mapped, asked)
    assert answer.success and len(answer.collision) == 3
    assert answer.state[0] != Answer.UNKNOWN and not math.isnan(answer.probability[0])
    assert list(answer.state[1:]) == [Answer.UNKNOWN] * 2, "behind the camera, and beyond the map"
    assert list(answer.collision[1:]) == [Answer.MAYBE] * 2


def test_nothing_asked_is_nothing_answered(mapped: Robot) -> None:
    answer = ask(mapped, request())
    assert answer.success and len(answer.probability) == 0


BAD: list[tuple[dict[str, Any], str]] = [
    ({"points": points(1.0, 2.0)}, "2 numbers are no whole number of points with x, y and z"),
    ({"points": points(0, 0, math.nan)}, "point 0 is not finite, or more than 1e+07 m away"),
    ({"points": points(1, 1, 1, 0, math.inf, 0)}, "point 1 is not finite"),
    ({"points": points(*[0.0] * 300_003)}, "100,001 points are more than 100,000: ask for fewer"),
    ({"frame": "", "points": points(1, 1, 1)}, "header.frame_id is empty"),
    ({"frame": "moon", "points": points(1, 1, 1)}, "frame 'moon' is in no transform received"),
    ({"points": points(1, 1, 1), "poses": [pose(1)]}, "points and poses in one request"),
    ({"points": points(1, 1, 1), "radius": 1.0}, "a radius or a polygon without poses"),
    ({"poses": [pose(1)]}, "a footprint needs a polygon or a positive radius, got 0 m"),
    ({"poses": [pose(1)], "radius": -1.0}, "a footprint needs a polygon or a positive radius"),
    ({"poses": [pose(math.nan)], "radius": 1.0}, "pose 0 is not finite"),
    ({"poses": [pose(1)] * 1001, "radius": 1.0}, "1,001 poses are more than 1,000"),
    ({"points": points(1, 1, 1), "threshold": 1.5}, "threshold must be 0 to 1, got 1.5"),
    ({"points": points(1, 1, 1), "threshold": math.nan}, "threshold must be 0 to 1, got nan"),
    ({"points": points(1, 1, 1), "max_age": -1.0}, "max_age must be 0 or more seconds, got -1"),
    ({"points": points(1, 1, 1), "max_age": math.nan}, "max_age must be 0 or more seconds"),
    ({"points": points(1, 1, 1), "max_age": 0.0}, "the newest map is of an image"),
]


def test_what_cannot_be_answered_gets_one_sentence_and_nothing_else(
    mapped: Robot, node: NodeProcess
) -> None:
    said, drops = node.text(), mapped.drops()
    for fields, sentence in BAD:
        asked = request(**{"frame": "base_link", **fields})
        assert refused(ask(mapped, asked)).startswith(sentence), sentence
    asked = request()
    asked.poses, asked.polygon.points = [pose(1)], [Point32(), Point32()]
    assert refused(ask(mapped, asked)).startswith("a polygon has 3 to 100 corners, this one 2")
    asked = request(poses=[Pose()], radius=1.0)
    asked.poses[0].orientation.w = 0.0
    assert refused(ask(mapped, asked)).startswith("pose 0 has a quaternion of length 0, not 1")
    asked = request(points=points(1, 1, 1))
    asked.header.stamp = to_time(START + 60 * SECOND)
    assert "base_link" in refused(ask(mapped, asked)), "no pose is made up for another instant"
    assert node.text() == said and mapped.drops() == drops
    assert ask(mapped, request(points=points(1, 1, 1))).success


def test_answers_of_one_image_are_one_while_images_come(mapped: Robot) -> None:
    places = ahead(2000) + np.array([(START / SECOND) % 1000, 0, 0])
    asked = request("odom", points=points(*places.ravel()))
    client = mapped.node.create_client(QueryOccupancy, "/kdbts/query")
    assert client.wait_for_service(60)
    answers: list[Answer] = []
    for k in range(1, 9):
        stamp = START + k * SECOND // 4
        mapped.move(stamp - SECOND // 10, stamp + SECOND // 10)
        mapped.see(stamp)
        while not mapped.has_map(stamp) or len(answers) < 3 * k:
            future = client.call_async(asked)
            assert mapped.spin_until(future.done, 60)
            answers.append(future.result())
    by_stamp: dict[int, set[bytes]] = {}
    for answer in answers:
        assert answer.success, answer.message
        told = answer.probability, answer.state, answer.collision
        same = by_stamp.setdefault(to_ns(answer.header.stamp), set())
        same.add(b"".join(part.tobytes() for part in told))
    assert len(by_stamp) > 3 and all(len(same) == 1 for same in by_stamp.values())
    assert len(set.union(*by_stamp.values())) > 3, "the robot moves, and answers with it"
    mapped.node.destroy_client(client)


def test_an_inactive_node_says_so_and_an_unconfigured_one_is_not_there(mapped: Robot) -> None:
    assert mapped.change_state(Transition.TRANSITION_DEACTIVATE)
    assert refused(ask(mapped, request(points=points(5, 0, 1)))).startswith("there is no map yet")
    assert mapped.change_state(Transition.TRANSITION_CLEANUP)
    client = mapped.node.create_client(QueryOccupancy, "/kdbts/query")
    assert mapped.spin_until(lambda: not client.service_is_ready(), 30)
    mapped.node.destroy_client(client)
