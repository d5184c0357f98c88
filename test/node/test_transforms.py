"""The rules of poses, against everything that answers for them.

Our own buffer, the same over tf2_ros (the genuine one where it is installed, and a fake with its
refusals), and recordings: what docs/conventions.md says of poses holds for all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.bags.pose_graph import PoseGraph
from kdbts_ros.datasets.ros import pose_rules as rules
from kdbts_ros.datasets.ros.pose_rules import NoPose, Rules
from kdbts_ros.density.geometry.camera import check_rigid, inverse, transform
from kdbts_ros.density.geometry.poses import matrix, slerp
from kdbts_ros.errors import UserError
from kdbts_ros.node.poses.transforms import Transforms, TransformUnavailable
from kdbts_ros.node.reporting import drops

SECOND = 1_000_000_000
UNIT = (0.0, 0.0, 0.0, 1.0)
FAKE = Path(__file__).parent / "fake_tf2" / "tf2_ros.py"


def about_z(angle: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, float(np.sin(angle / 2)), float(np.cos(angle / 2)))


class Live:
    """What the node asks, whoever stores."""

    def __init__(self, transforms: Transforms) -> None:
        self.transforms = transforms
        self.notices: list[str] = []

    def insert(
        self, parent: str, child: str, at: float, t: Any = (0, 0, 0), q: Any = UNIT, static=False
    ) -> None:
        try:
            notice = self.transforms.insert(parent, child, round(at * SECOND), t, q, static=static)
        except UserError as refused:
            notice = str(refused)
        if notice:
            self.notices.append(notice)

    def pose(self, target: str, source: str, at: float) -> Any:
        return self.transforms.lookup(target, source, round(at * SECOND))

    def reason(self, target: str, source: str, at: float, words: str = "") -> str:
        """Why there is no pose; the sentence contains `words`."""
        with pytest.raises(TransformUnavailable) as caught:
            self.pose(target, source, at)
        assert caught.value.detail and words in caught.value.detail
        return str(caught.value.reason)


class Recorded:
    """A recording, known as a whole."""

    def __init__(self) -> None:
        self.graph = PoseGraph()

    def insert(
        self, parent: str, child: str, at: float, t: Any = (0, 0, 0), q: Any = UNIT, static=False
    ) -> None:
        self.graph.add(parent, child, round(at * SECOND), t, q, static=static)

    def pose(self, target: str, source: str, at: float) -> Any:
        return self.graph.pose(target, source, round(at * SECOND))

    def reason(self, target: str, source: str, at: float, words: str = "") -> str:
        with pytest.raises(NoPose) as caught:
            self.pose(target, source, at)
        assert caught.value.detail and words in caught.value.detail
        return str(caught.value.reason)


@pytest.fixture
def ros_node() -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("transform_contract", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


def over_tf2(node: Any, monkeypatch: pytest.MonkeyPatch, *, fake: bool) -> Any:
    """`Tf2Transforms` over the genuine tf2_ros, or over the fake."""
    if fake:
        spec = spec_from_file_location("tf2_ros", FAKE)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "tf2_ros", module)
    monkeypatch.delitem(sys.modules, "kdbts_ros.node.poses.tf2_transforms", raising=False)
    from kdbts_ros.node.poses.tf2_transforms import Tf2Transforms

    return Tf2Transforms


LIVE = ["ours", "fake tf2_ros", "genuine tf2_ros"]


def make(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if kind == "recording":
        return Recorded()
    if kind == "ours":
        return Live(Transforms())
    if kind == "genuine tf2_ros" and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    node = request.getfixturevalue("ros_node")
    transforms = over_tf2(node, monkeypatch, fake=kind.startswith("fake"))
    return Live(transforms(node))


@pytest.fixture(params=[*LIVE, "recording"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return make(request.param, request, monkeypatch)


@pytest.fixture(params=LIVE)
def live(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return make(request.param, request, monkeypatch)


def drive(source: Any, *stamps: float, x: Callable[[float], float] = lambda at: at) -> None:
    """odom -> base_link at those stamps."""
    for at in stamps:
        source.insert("odom", "base_link", at, (x(at), 0, 0))


def mount(source: Any) -> Any:
    """A camera 1.5 m up on the robot."""
    source.insert("base_link", "camera", 0.0, (0, 0, 1.5), static=True)
    return source


def about_to_turn(source: Any) -> Any:
    """odom -> base_link drives along x and turns by a quarter within a second; a fixed camera."""
    source.insert("odom", "base_link", 10.0, (0, 0, 0), UNIT)
    source.insert("odom", "base_link", 11.0, (2, 0, 0), about_z(np.pi / 2))
    return mount(source)


# Interpolation and the tree.


def test_exact_stamps_are_not_interpolated(source: Any) -> None:
    T = about_to_turn(source).pose("odom", "camera", 11)
    assert np.allclose(T[:3, 3], (2, 0, 1.5))
    assert np.allclose(transform(T, (1, 0, 0)), (2, 1, 1.5))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_between_stamps_translation_is_linear_and_rotation_spherical(
    source: Any, share: float
) -> None:
    T = about_to_turn(source).pose("odom", "base_link", 10 + share)
    assert np.allclose(T, matrix((2 * share, 0, 0), about_z(share * np.pi / 2)), atol=1e-6)


def test_the_reverse_lookup_is_the_inverse(source: Any) -> None:
    about_to_turn(source)
    there, back = source.pose("odom", "camera", 10.3), source.pose("camera", "odom", 10.3)
    assert np.allclose(there @ back, np.eye(4))


def test_siblings_meet_in_their_common_parent(source: Any) -> None:
    about_to_turn(source).insert("base_link", "lidar", 0.0, (1, 0, 0), static=True)
    # Static on both sides: the stamp does not matter, nor does the moving base.
    assert np.allclose(source.pose("lidar", "camera", 99)[:3, 3], (-1, 0, 1.5))


def test_a_frame_in_itself_is_the_identity(source: Any) -> None:
    assert np.array_equal(about_to_turn(source).pose("odom", "odom", 10), np.eye(4))


def test_transforms_may_overtake_each_other(source: Any) -> None:
    drive(source, 10.0, 10.4, 10.2)
    assert source.pose("odom", "base_link", 10.3)[0, 3] == pytest.approx(10.3)


def test_a_leading_slash_is_no_part_of_a_name(source: Any) -> None:
    source.insert("/odom", "/base_link", 10.0, (1, 0, 0))
    source.insert("base_link", "/camera", 0.0, (0, 0, 1.5), static=True)
    for target, frame in (("odom", "camera"), ("/odom", "/camera"), ("odom", "/camera")):
        assert np.allclose(source.pose(target, frame, 10)[:3, 3], (1, 0, 1.5))


def test_reasons(source: Any) -> None:
    about_to_turn(source)
    assert source.reason("odom", "camera", 9.0) == drops.TOO_OLD
    assert source.reason("odom", "camera", 11.5) == drops.EXTRAPOLATION
    assert source.reason("odom", "nowhere", 10.5, "'nowhere'") == drops.NO_TF
    assert source.reason("nowhere", "camera", 10.5, "'nowhere'") == drops.NO_TF
    source.insert("other_root", "other", 0.0, static=True)
    assert source.reason("odom", "other", 10.5, "not in one tree") == drops.DISCONNECTED


def test_one_transform_holds_at_its_stamp_only(source: Any) -> None:
    source.insert("odom", "base_link", 10.0, (1, 2, 3))
    assert np.allclose(source.pose("odom", "base_link", 10)[:3, 3], (1, 2, 3))
    assert source.reason("odom", "base_link", 10.1, "/tf_static") == drops.EXTRAPOLATION
    assert source.reason("odom", "base_link", 9.9) == drops.TOO_OLD


def test_of_two_transforms_of_one_stamp_the_first_holds(source: Any) -> None:
    drive(source, 10.0, 10.1)
    drive(source, 10.1, x=lambda at: 10.3)
    drive(source, 10.2)
    for at in (10.05, 10.1, 10.15):
        assert source.pose("odom", "base_link", at)[0, 3] == pytest.approx(at)


def test_a_static_transform_said_again_holds_as_the_newest_says(source: Any) -> None:
    for height in (1, 2):
        source.insert("base_link", "camera", 10.0, (0, 0, height), static=True)
    assert source.pose("base_link", "camera", 10)[2, 3] == 2
    source.insert("base_link", "camera", 11.0, (0, 0, 3))
    assert source.pose("base_link", "camera", 11)[2, 3] == 3
    source.insert("base_link", "camera", 12.0, (0, 0, 4), static=True)
    assert source.pose("base_link", "camera", 11)[2, 3] == 4


quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)


@settings(max_examples=60, deadline=None)
@given(quaternions, quaternions, st.floats(0, 1))
def test_slerp_stays_on_the_shorter_arc(a: Any, b: Any, share: float) -> None:
    a, b = np.array(a) / np.linalg.norm(a), np.array(b) / np.linalg.norm(b)
    mixed = slerp(a, b, share)
    assert np.linalg.norm(mixed) == pytest.approx(1)
    check_rigid(matrix((0, 0, 0), mixed), "mixed")
    whole = np.arccos(min(1, abs(a @ b)))
    assert np.arccos(min(1, abs(a @ mixed))) == pytest.approx(share * whole, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(quaternions, min_size=2, max_size=5))
def test_a_chain_is_the_product_of_its_edges(rotations: list[Any]) -> None:
    ours, expected, parent = Live(Transforms()), np.eye(4), "root"
    for index, q in enumerate(rotations):
        q = np.array(q) / np.linalg.norm(q)
        ours.insert(parent, f"link{index}", 0, (index, 1, -index), q, True)
        expected, parent = expected @ matrix((index, 1, -index), q), f"link{index}"
    assert np.allclose(ours.pose("root", parent, 5), expected)
    assert np.allclose(ours.pose(parent, "root", 5), inverse(expected))


@given(quaternions)
def test_messages_become_matrices_by_the_library_of_ros_as_by_ours(q: Any) -> None:
    from kdbts_ros.node.poses import quaternions as library

    expected = matrix((1, 2, 3), np.array(q) / np.linalg.norm(q))
    assert np.allclose(library.matrix((1, 2, 3), q), expected, atol=1e-12)


# What is refused, and how the reason is told.


def test_a_quaternion_that_is_almost_of_unit_length_is_normalised(source: Any) -> None:
    q = tuple(1.004 * value for value in about_z(0.4))
    source.insert("odom", "base_link", 10.0, (1, 0, 0), q)
    T = source.pose("odom", "base_link", 10)
    assert np.allclose(T, matrix((1, 0, 0), about_z(0.4)), atol=1e-9)


def is_the_reason_until_a_good_one_comes(source: Any, t: Any, q: Any, why: str) -> None:
    source.insert("odom", "base_link", 10.0, t, q)
    assert source.reason("odom", "base_link", 10.0, "odom -> base_link") == why
    drive(source, 10.1)
    source.insert("odom", "base_link", 10.2, t, q)
    assert source.reason("odom", "base_link", 10.2, "odom -> base_link") == why
    drive(source, 10.3)
    # Good neighbours say where the bad one was.
    assert source.pose("odom", "base_link", 10.2)[0, 3] == pytest.approx(10.2)


@pytest.mark.parametrize("q", [(0, 0, 0, 0), (0, 0, 0, 2), (0, 1e200, 0, 1)])
def test_bad_quaternions_are_not_used(source: Any, q: Any) -> None:
    """tf2 would normalise all but the first."""
    is_the_reason_until_a_good_one_comes(source, (0, 0, 0), q, drops.NON_UNIT_QUATERNION)


@pytest.mark.parametrize(
    ("t", "q"),
    [
        ((0, 0, 0), (np.nan, 0, 0, 1)),
        ((np.nan, 0, 0), UNIT),
        ((np.inf, 0, 0), UNIT),
        ((1e9, 0, 0), UNIT),
        ((0, -1e300, 0), UNIT),
    ],
)
def test_what_is_no_place_is_not_used(source: Any, t: Any, q: Any) -> None:
    is_the_reason_until_a_good_one_comes(source, t, q, drops.BAD_TRANSFORM)


@pytest.mark.parametrize(("parent", "child"), [("odom", ""), ("", "odom"), ("odom", "/odom")])
def test_a_transform_needs_two_frames(source: Any, parent: str, child: str) -> None:
    source.insert(parent, child, 10.0)
    assert source.reason("odom", "camera", 10.0) in (drops.NO_TF, drops.BAD_TRANSFORM)
    drive(mount(source), 10.0)
    assert source.pose("odom", "camera", 10.0)[0, 3] == 10


def test_a_moving_transform_from_before_1970_is_not_used(source: Any) -> None:
    mount(source)
    source.insert("odom", "base_link", -1.0)
    assert source.reason("odom", "camera", 10.0, "before 1970") == drops.BAD_TRANSFORM
    drive(source, 10.0)
    assert source.pose("odom", "camera", 10.0)[0, 3] == 10


def test_a_sum_of_long_transforms_is_no_place_for_a_map(source: Any) -> None:
    for parent, child in (("odom", "a"), ("a", "b")):
        source.insert(parent, child, 0.0, (9e6, 0, 0), static=True)
    assert source.pose("odom", "a", 1)[0, 3] == 9e6
    assert source.reason("odom", "b", 1, "'b' is 1.8e+07 m from 'odom'") == drops.BAD_TRANSFORM


# Loops and parents.


def test_a_loop_is_told_and_gone_with_the_first_good_transform(source: Any) -> None:
    mount(source)
    for k in range(40):
        drive(source, 10 + k / 10)
        if 10 <= k < 13:
            source.insert("base_link", "odom", 10 + k / 10, (-12, 0, 0))
    for at in (10.9, 11.4, 12.5):
        assert source.pose("odom", "camera", at)[0, 3] == pytest.approx(at)
    for at in (11.0, 11.15, 11.2):
        assert source.reason("odom", "camera", at, "'base_link'") == drops.LOOP


def test_while_a_pose_is_awaited_an_old_loop_is_not_the_reason(source: Any) -> None:
    drive(mount(source), 10.0, 10.1)
    source.insert("base_link", "odom", 10.0)
    words = "odom -> base_link ends 0.100 s before"
    assert source.reason("odom", "camera", 10.2, words) == drops.EXTRAPOLATION


def test_a_static_loop_joins_nothing(source: Any) -> None:
    source.insert("a", "b", 0, static=True)
    source.insert("b", "a", 0, static=True)
    source.insert("c", "d", 0, static=True)
    assert source.reason("a", "d", 0) == drops.DISCONNECTED
    assert source.reason("a", "b", 0) == drops.LOOP


def test_a_loop_elsewhere_costs_nothing(source: Any) -> None:
    drive(mount(source), 10.0, 10.1)
    for parent, child in (("map", "odom"), ("odom", "map")):
        for at in (10.0, 10.1):
            source.insert(parent, child, at, (5, 0, 0))
    assert source.pose("odom", "camera", 10.05)[0, 3] == pytest.approx(10.05)
    assert source.reason("map", "camera", 10.05) == drops.LOOP


def test_two_parents_are_refused_rather_than_mixed(source: Any) -> None:
    source.insert("odom", "base_link", 10.0)
    source.insert("map", "base_link", 11.0)
    for parent in ("odom", "map"):
        assert source.reason(parent, "base_link", 10.5, "'map' and 'odom'") == drops.TWO_PARENTS


def test_two_parents_at_one_instant_are_refused(source: Any) -> None:
    for at in (10.0, 11.0):
        for parent in ("odom", "map"):
            source.insert(parent, "base_link", at)
    assert source.reason("map", "base_link", 11.0) == drops.TWO_PARENTS
    assert source.reason("map", "base_link", 10.5) == drops.TWO_PARENTS


def test_alternating_parents_are_refused_at_their_own_stamps_too(source: Any) -> None:
    for at in range(10, 16):
        source.insert("odom" if at % 2 else "map", "base_link", at)
    assert source.reason("odom", "base_link", 13.0) == drops.TWO_PARENTS


def test_two_parents_cost_the_poses_that_need_that_edge(source: Any) -> None:
    drive(mount(source), *(10 + k / 10 for k in range(10)))
    for k in range(10):
        source.insert("base_link" if k % 2 else "odom", "gripper", 10 + k / 10)
    assert source.pose("odom", "camera", 10.45)[0, 3] == pytest.approx(10.45)
    assert source.reason("odom", "gripper", 10.45, "'gripper'") == drops.TWO_PARENTS


@pytest.mark.parametrize("second_is_static", [True, False])
def test_a_static_parent_and_another_are_refused(source: Any, second_is_static: bool) -> None:
    source.insert("base_link", "camera", 10.0, (0, 0, 1), static=True)
    source.insert("mast", "camera", 10.0, (0, 0, 2), static=second_is_static)
    parent = "mast" if second_is_static else "base_link"
    assert source.reason(parent, "camera", 10.0) == drops.TWO_PARENTS


# Gaps and jumps.


def test_nothing_is_interpolated_over_a_gap(source: Any) -> None:
    drive(mount(source), 10.0, 10.5, 15.5, 16.0)
    words = "odom -> base_link has a gap of 5.000 s"
    assert source.reason("odom", "camera", 12.0, words) == drops.TF_GAP
    for at in (10.25, 10.5, 15.5, 15.75):
        assert source.pose("odom", "camera", at)[0, 3] == pytest.approx(at)


def test_two_broadcasters_of_one_transform_are_told(source: Any) -> None:
    for k in range(40):
        drive(mount(source), 10 + k / 20, x=lambda at: at)
        drive(source, 10 + k / 20 + 0.01, x=lambda at: at + 45)
    for at in (10.5, 10.505, 10.51, 10.53, 11.2):
        assert source.reason("odom", "camera", at, "two nodes broadcast it") == drops.POSE_JUMP


def test_two_broadcasters_of_the_same_stamps_are_told(source: Any) -> None:
    for k in range(10):
        drive(mount(source), 10 + k / 10)
        drive(source, 10 + k / 10, x=lambda at: at + 45)
    for at in (10.1, 10.15):
        assert source.reason("odom", "camera", at, "given twice for one stamp") == drops.POSE_JUMP


def test_a_corrected_pose_costs_the_images_beside_it_alone(source: Any) -> None:
    drive(mount(source), *(10 + k / 10 for k in range(11)))
    drive(source, *(11.1 + k / 10 for k in range(10)), x=lambda at: at + 7)
    assert source.pose("odom", "camera", 10.95)[0, 3] == pytest.approx(10.95)
    assert source.reason("odom", "camera", 11.05, "jumps by 7.1 m in 0.100 s") == drops.POSE_JUMP
    assert source.pose("odom", "camera", 11.15)[0, 3] == pytest.approx(18.15)


def test_a_turn_faster_than_anything_is_a_jump_too(source: Any) -> None:
    for k in range(4):
        q = about_z(np.pi if k == 2 else 0.0)
        source.insert("odom", "base_link", 10 + k / 100, (0, 0, 0), q)
    words = "jumps by 180 degrees"
    assert source.reason("odom", "base_link", 10.015, words) == drops.POSE_JUMP


def test_the_bounds_are_those_of_now() -> None:
    now = Rules()
    source = Live(Transforms(lambda: now))
    drive(mount(source), 10.0, 11.5)
    assert source.reason("odom", "camera", 11.0) == drops.TF_GAP
    now = Rules(max_gap=2.0)
    assert source.pose("odom", "camera", 11.0)[0, 3] == pytest.approx(11.0)
    drive(source, 13.0, x=lambda at: at + 50)
    assert source.pose("odom", "camera", 12.25)[0, 3] == pytest.approx(37.25)
    now = Rules(max_gap=2.0, max_speed=10.0)
    drive(source, 14.0, x=lambda at: at + 80)
    assert source.reason("odom", "camera", 13.5, "jumps by 31.0 m") == drops.POSE_JUMP


# Lives of the live node.


def test_a_recording_that_loops_without_a_clock_goes_on(live: Any) -> None:
    mount(live)
    for _ in range(3):
        drive(live, *(100 + k / 10 for k in range(300)))
        assert live.pose("odom", "camera", 129.85)[0, 3] == pytest.approx(129.85)
        # The transforms of the new life come before its images.
        drive(live, 100.0, 100.1)
        assert live.pose("odom", "camera", 100.05)[0, 3] == pytest.approx(100.05)
        live.transforms.time_jumped(round(100.05 * SECOND))
        assert live.pose("odom", "camera", 100.05)[0, 3] == pytest.approx(100.05)
        assert live.reason("odom", "camera", 129.85) == drops.EXTRAPOLATION


def test_a_short_recording_that_loops_is_not_mixed_with_its_past(live: Any) -> None:
    """Back by less than tf2's cache: tf2 alone would sort both lives into one."""
    drive(mount(live), *(100 + k / 10 for k in range(50)))
    drive(live, 101.05, 101.15, x=lambda at: at + 1)
    assert live.pose("odom", "camera", 101.1)[0, 3] == pytest.approx(102.1)
    assert live.reason("odom", "camera", 104.0) == drops.EXTRAPOLATION


def test_an_image_that_announces_a_new_life_clears_the_old_one(live: Any) -> None:
    about_to_turn(live)
    live.transforms.time_jumped(5 * SECOND)
    with pytest.raises(TransformUnavailable):
        live.pose("odom", "camera", 10.5)
    drive(live, 4.9, 5.1, x=lambda at: 7)
    # The latched camera mount has survived.
    assert np.allclose(live.pose("odom", "camera", 5)[:3, 3], (7, 0, 1.5))


def test_a_leap_ahead_forgets_the_poses_of_before(live: Any) -> None:
    about_to_turn(live).transforms.time_jumped(500 * SECOND)
    with pytest.raises(TransformUnavailable):
        live.pose("odom", "camera", 10.5)
    drive(live, 500.0, x=lambda at: 9)
    assert np.allclose(live.pose("odom", "camera", 500)[:3, 3], (9, 0, 1.5))


def test_a_frame_that_goes_back_in_time_costs_its_own_edge_alone(live: Any) -> None:
    drive(mount(live), *(100 + k / 10 for k in range(20)))
    live.insert("odom", "docking_station", 101.0)
    live.insert("odom", "docking_station", 3.0)
    assert live.pose("odom", "camera", 101.05)[0, 3] == pytest.approx(101.05)
    assert live.notices == [
        "transform odom -> docking_station stepped back in time: a recording began again, or its "
        "clock was set"
    ]


def test_clocks_that_contradict_each_other_are_told(live: Any) -> None:
    for k in range(5):
        drive(live, 100 + k / 10)
        drive(live, 3700 + k / 10)
    assert "again and again (4 times): two nodes with different clocks" in live.notices[-1]
    assert live.reason("odom", "base_link", 100.35, "different clocks") == drops.TOO_OLD


def test_one_stamp_of_a_far_future_costs_its_neighbours_alone(live: Any) -> None:
    drive(mount(live), 100.0, 100.1, 99999.0, 100.2, 100.3)
    assert live.pose("odom", "camera", 100.25)[0, 3] == pytest.approx(100.25)


def test_old_transforms_are_forgotten(live: Any) -> None:
    drive(live, *range(100, 130))
    assert live.reason("odom", "base_link", 105) == drops.TOO_OLD


@pytest.mark.parametrize("why", sorted(rules.REASONS))
def test_only_the_past_is_final(why: str) -> None:
    assert TransformUnavailable(why, "").final is (why == drops.TOO_OLD)


# tf2_ros alone.


@pytest.mark.parametrize("kind", LIVE[1:])
def test_one_buffer_serves_every_activation(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "genuine tf2_ros" and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    node = request.getfixturevalue("ros_node")
    transforms = over_tf2(node, monkeypatch, fake=kind.startswith("fake"))
    for life in range(5):
        live = Live(transforms(node))
        assert live.reason("odom", "camera", 10.05) == drops.NO_TF
        drive(mount(live), 10.0, 10.1, x=lambda at, life=life: life)
        assert live.pose("odom", "camera", 10.05)[0, 3] == life
    services = [name for name, _ in node.get_service_names_and_types() if "tf2_frames" in name]
    assert len(services) == 1
    assert sum("tf2_frames" in service.srv_name for service in node.services) == 1


@pytest.mark.parametrize("fake", [True, False], ids=["fake", "genuine"])
def test_tf2_refuses_what_the_fake_refuses(
    ros_node: Any, monkeypatch: pytest.MonkeyPatch, fake: bool
) -> None:
    """Without our rules in front: why they are needed, and that the fake is like the genuine."""
    if not fake and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    from geometry_msgs.msg import TransformStamped
    from rclpy.time import Time

    from kdbts_ros.node.outputs.messages import header

    over_tf2(ros_node, monkeypatch, fake=fake)
    import tf2_ros

    buffer = tf2_ros.Buffer(node=ros_node)

    def put(at: float, parent: str, child: str, x: float, w: float = 1.0, static=False) -> None:
        message = TransformStamped(header=header(round(at * SECOND), parent), child_frame_id=child)
        message.transform.translation.x = float(x)
        message.transform.rotation.w = w
        (buffer.set_transform_static if static else buffer.set_transform)(message, "test")

    def find(target: str, frame: str, at: float) -> Any:
        move = buffer.lookup_transform(target, frame, Time(nanoseconds=round(at * SECOND)))
        return move.transform.translation.x

    def fault(target: str, frame: str, at: float) -> type:
        with pytest.raises(tf2_ros.TransformException) as caught:
            find(target, frame, at)
        return caught.type

    put(100, "odom", "base", 1), put(101, "odom", "base", 2)
    put(0, "base", "camera", 0.5, static=True)
    assert find("odom", "camera", 100.5) == pytest.approx(2.0)
    assert find("camera", "odom", 100.5) == pytest.approx(-2.0)
    assert fault("odom", "camera", 99) is fault("odom", "camera", 102)
    assert issubclass(fault("odom", "camera", 99), tf2_ros.ExtrapolationException)
    assert issubclass(fault("odom", "nowhere", 100), tf2_ros.LookupException)
    assert issubclass(fault("/odom", "camera", 100), tf2_ros.TransformException)
    put(0, "other_root", "other", 0, static=True)
    assert issubclass(fault("odom", "other", 100), tf2_ros.ConnectivityException)
    # Refused: no rotation, not a number, empty, itself, and older than the cache.
    for refused in ((102, "odom", "base", 9, 0.0), (102, "odom", "base", np.nan)):
        put(*refused)
    for refused in ((102, "odom", "", 9), (102, "", "base", 9), (102, "base", "base", 9)):
        put(*refused)
    put(50, "odom", "base", 9)
    assert issubclass(fault("odom", "base", 102), tf2_ros.ExtrapolationException)
    assert issubclass(fault("odom", "base", 50), tf2_ros.ExtrapolationException)
    # Taken, though no robot does so: a jump, a gap, another length, a slash, infinity, a loop.
    put(101.01, "odom", "base", 47, 2.0), put(107, "/odom", "base", 48)
    assert find("odom", "base", 104) == pytest.approx(47.5, abs=0.01)
    put(108, "odom", "far", np.inf)
    assert not np.isfinite(find("odom", "far", 108))
    put(100, "base", "odom", 12)
    assert find("odom", "base", 100) == 1
    buffer.clear()
    assert issubclass(fault("odom", "base", 100), tf2_ros.ExtrapolationException)
    assert find("base", "camera", 100) == 0.5
    future = buffer.wait_for_transform_async("odom", "camera", Time(nanoseconds=300 * SECOND))
    assert not future.done()
    put(300, "odom", "base", 3)
    assert future.done() and future.result().transform.translation.x == 3.5


# The node's listeners.


def test_transforms_and_odometry_wake_the_images_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geometry_msgs.msg import TransformStamped
    from nav_msgs.msg import Odometry

    from kdbts_ros.node.outputs.messages import header
    from kdbts_ros.node.parameters.table import Parameters
    from kdbts_ros.node.poses.sources import PoseSource

    pytest.importorskip("tf2_msgs", reason="needs tf2_msgs")
    absent = "kdbts_ros.node.poses.sources.find_spec"
    monkeypatch.setattr(absent, lambda name: None if name == "tf2_ros" else find_spec(name))
    listeners: dict[str, Callable[[Any], None]] = {}
    node = SimpleNamespace(
        create_subscription=lambda kind, topic, callback, qos: listeners.update({topic: callback}),
        destroy_subscription=lambda subscription: None,
    )
    faults: list[str] = []
    woken: list[int] = []
    for pose_source, topic in (("tf", "/tf"), ("odometry", "odom")):
        listeners.clear(), woken.clear(), faults.clear()
        parameters = Parameters(pose_source=pose_source, fixed_frame="/odom", tf_gap=2.0)
        source = PoseSource(node, lambda p=parameters: p, faults.append, lambda: woken.append(1))
        source.start()
        assert sorted(listeners) == sorted([topic, "/tf_static"])
        for at in (10, 11.5):
            stamp_ns = round(at * SECOND)
            if topic == "odom":
                # Neither frame is named: those of the node's parameters are meant.
                message: Any = Odometry(header=header(stamp_ns, ""))
                pose = message.pose.pose
                pose.position.x, pose.orientation.w = float(at), 1.0
            else:
                stamped = TransformStamped(
                    header=header(stamp_ns, "odom"), child_frame_id="/base_link"
                )
                stamped.transform.translation.x, stamped.transform.rotation.w = float(at), 1.0
                message = SimpleNamespace(transforms=[stamped])
            listeners[topic](message)
        assert len(woken) == 2 and not faults
        assert source.transforms.lookup("odom", "base_link", 11 * SECOND)[0, 3] == 11
        bad = SimpleNamespace(transforms=[TransformStamped(child_frame_id="camera")])
        listeners["/tf_static"](bad)
        assert faults == ["transform  -> camera needs two different frame names"]
        assert len(woken) == 3


@pytest.mark.parametrize(
    ("x0", "y0", "ground"),
    [(np.nan, 0, 0), (0, np.inf, 0), (0, 0, -np.inf), (1e9, 0, 0), (0, -1e300, 0), (0, 0, np.nan)],
)
def test_no_grid_has_an_origin_where_no_robot_is(x0: float, y0: float, ground: float) -> None:
    from kdbts_ros.node.outputs.messages import header, occupancy_grid

    window = SimpleNamespace(x0=float(x0), y0=float(y0), width=2, height=1, resolution=0.5)
    cells = np.zeros((1, 2), np.int8)
    with pytest.raises(UserError, match="no map has its origin at"):
        occupancy_grid(header(1, "odom"), window, cells, float(ground))
    here = SimpleNamespace(x0=-5e6, y0=1.0, width=2, height=1, resolution=0.5)
    assert occupancy_grid(header(1, "odom"), here, cells, 3.0).info.origin.position.x == -5e6
