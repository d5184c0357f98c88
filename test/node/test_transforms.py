"""The lookup contract, against every transform source that is installed here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.density.camera import check_rigid, inverse, transform
from kdbts_ros.density.rotations import slerp
from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.transform_buffer import TransformBuffer
from kdbts_ros.node.transforms import TransformUnavailable, matrix

SECOND = 1_000_000_000
UNIT = (0.0, 0.0, 0.0, 1.0)


def about_z(angle: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, np.sin(angle / 2), np.cos(angle / 2))


class Ours:
    """Our buffer."""

    def __init__(self) -> None:
        self.transforms = TransformBuffer()

    def insert(self, parent: str, child: str, at: float, t: Any, q: Any, static: bool) -> None:
        # tf2 logs and ignores what it refuses; the contract is about what is found afterwards.
        with suppress(UserError):
            self.transforms.insert(parent, child, int(at * SECOND), t, q, static=static)


class Tf2:
    """The genuine buffer, without a listener."""

    def __init__(self, node: Any) -> None:
        from kdbts_ros.node.tf2_transforms import Tf2Transforms

        self.transforms = Tf2Transforms(node)

    def insert(self, parent: str, child: str, at: float, t: Any, q: Any, static: bool) -> None:
        from geometry_msgs.msg import TransformStamped

        from kdbts_ros.node.messages import header

        message = TransformStamped(header=header(int(at * SECOND), parent), child_frame_id=child)
        move = message.transform
        move.translation.x, move.translation.y, move.translation.z = map(float, t)
        move.rotation.x, move.rotation.y, move.rotation.z, move.rotation.w = map(float, q)
        buffer = self.transforms.buffer
        (buffer.set_transform_static if static else buffer.set_transform)(message, "test")


@pytest.fixture(params=["ours", "tf2_ros"])
def source(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "ours":
        yield Ours()
        return
    if find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("transform_contract", context=context)
    yield Tf2(node)
    node.destroy_node()
    context.shutdown()


@pytest.fixture
def robot(source: Any) -> Any:
    """odom -> base_link drives along x and turns by a quarter within a second; a fixed camera."""
    source.insert("odom", "base_link", 10.0, (0, 0, 0), UNIT, False)
    source.insert("odom", "base_link", 11.0, (2, 0, 0), about_z(np.pi / 2), False)
    source.insert("base_link", "camera", 0.0, (0, 0, 1.5), UNIT, True)
    return source


def reason(source: Any, target: str, frame: str, at: float) -> str:
    with pytest.raises(TransformUnavailable) as caught:
        source.transforms.lookup(target, frame, int(at * SECOND))
    assert caught.value.detail
    return str(caught.value.reason)


def test_exact_stamps_are_not_interpolated(robot: Any) -> None:
    T = robot.transforms.lookup("odom", "camera", 11 * SECOND)
    assert np.allclose(T[:3, 3], (2, 0, 1.5))
    assert np.allclose(transform(T, (1, 0, 0)), (2, 1, 1.5))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_between_stamps_translation_is_linear_and_rotation_spherical(
    robot: Any, share: float
) -> None:
    T = robot.transforms.lookup("odom", "base_link", int((10 + share) * SECOND))
    assert np.allclose(T, matrix((2 * share, 0, 0), about_z(share * np.pi / 2)), atol=1e-6)


def test_the_reverse_lookup_is_the_inverse(robot: Any) -> None:
    stamp = int(10.3 * SECOND)
    there = robot.transforms.lookup("odom", "camera", stamp)
    back = robot.transforms.lookup("camera", "odom", stamp)
    assert np.allclose(there @ back, np.eye(4))


def test_siblings_meet_in_their_common_parent(robot: Any) -> None:
    robot.insert("base_link", "lidar", 0.0, (1, 0, 0), UNIT, True)
    # Static on both sides: the stamp does not matter, nor does the moving base.
    T = robot.transforms.lookup("lidar", "camera", 99 * SECOND)
    assert np.allclose(T[:3, 3], (-1, 0, 1.5))


def test_a_frame_in_itself_is_the_identity(robot: Any) -> None:
    assert np.array_equal(robot.transforms.lookup("odom", "odom", 10 * SECOND), np.eye(4))


def test_reasons(robot: Any) -> None:
    assert reason(robot, "odom", "camera", 9.0) == drops.TOO_OLD
    assert reason(robot, "odom", "camera", 11.5) == drops.EXTRAPOLATION
    assert reason(robot, "odom", "nowhere", 10.5) == drops.NO_TF
    assert reason(robot, "nowhere", "camera", 10.5) == drops.NO_TF
    robot.insert("other_root", "other", 0.0, (0, 0, 0), UNIT, True)
    assert reason(robot, "odom", "other", 10.5) == drops.DISCONNECTED


def test_one_transform_holds_at_its_stamp_only(source: Any) -> None:
    source.insert("odom", "base_link", 10.0, (1, 2, 3), UNIT, False)
    assert np.allclose(source.transforms.lookup("odom", "base_link", 10 * SECOND)[:3, 3], (1, 2, 3))
    assert reason(source, "odom", "base_link", 10.1) == drops.EXTRAPOLATION
    assert reason(source, "odom", "base_link", 9.9) == drops.TOO_OLD


def test_transforms_may_overtake_each_other(source: Any) -> None:
    for at in (10.0, 10.4, 10.2):
        source.insert("odom", "base_link", at, (at, 0, 0), UNIT, False)
    T = source.transforms.lookup("odom", "base_link", int(10.3 * SECOND))
    assert T[0, 3] == pytest.approx(10.3)


@pytest.mark.parametrize(
    "quaternion", [(0, 0, 0, 0), (0, 0, 0, 2), (np.nan, 0, 0, 1)], ids=["zero", "long", "nan"]
)
def test_bad_quaternions_are_not_used(source: Any, quaternion: tuple[float, ...]) -> None:
    source.insert("odom", "base_link", 10.0, (0, 0, 0), quaternion, False)
    assert reason(source, "odom", "base_link", 10.0) in (drops.NO_TF, drops.NON_UNIT_QUATERNION)


def test_a_bag_loop_replaces_the_later_life(robot: Any) -> None:
    robot.transforms.time_jumped(5 * SECOND)
    with pytest.raises(TransformUnavailable):
        robot.transforms.lookup("odom", "camera", int(10.5 * SECOND))
    robot.insert("odom", "base_link", 4.9, (0, 7, 0), UNIT, False)
    robot.insert("odom", "base_link", 5.1, (0, 7, 0), UNIT, False)
    # The latched camera mount has survived.
    T = robot.transforms.lookup("odom", "camera", 5 * SECOND)
    assert np.allclose(T[:3, 3], (0, 7, 1.5))


def test_old_transforms_are_forgotten(source: Any) -> None:
    for at in range(100, 130):
        source.insert("odom", "base_link", at, (at, 0, 0), UNIT, False)
    assert reason(source, "odom", "base_link", 105) == drops.TOO_OLD


# What follows is ours alone: tf2 decides otherwise, or has no say.


@pytest.mark.parametrize(
    ("parent", "child", "quaternion", "words"),
    [
        ("odom", "", UNIT, "two different frame names"),
        ("odom", "odom", UNIT, "two different frame names"),
        ("odom", "base", (0, 0, 0, 0), "length 0.000"),
        ("odom", "base", (0, np.inf, 0, 1), "NaN or infinity"),
    ],
)
def test_what_is_refused_is_said(
    parent: str, child: str, quaternion: tuple[float, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        TransformBuffer().insert(parent, child, 1, (0, 0, 0), quaternion, static=False)


def test_two_parents_are_refused_rather_than_mixed() -> None:
    ours = Ours()
    ours.insert("odom", "base_link", 10.0, (0, 0, 0), UNIT, False)
    ours.insert("map", "base_link", 11.0, (0, 0, 0), UNIT, False)
    assert reason(ours, "map", "base_link", 10.5) == drops.TWO_PARENTS


def test_two_parents_at_one_instant_are_refused() -> None:
    ours = Ours()
    for at in (10.0, 11.0):
        for parent in ("odom", "map"):
            ours.insert(parent, "base_link", at, (0, 0, 0), UNIT, False)
    assert reason(ours, "map", "base_link", 11.0) == drops.TWO_PARENTS
    assert reason(ours, "map", "base_link", 10.5) == drops.TWO_PARENTS


def test_alternating_parents_are_refused_at_their_own_stamps_too() -> None:
    ours = Ours()
    for at in range(10, 16):
        ours.insert("odom" if at % 2 else "map", "base_link", at, (0, 0, 0), UNIT, False)
    assert reason(ours, "odom", "base_link", 13.0) == drops.TWO_PARENTS


@pytest.mark.parametrize("second_is_static", [True, False])
def test_a_static_parent_and_another_are_refused(second_is_static: bool) -> None:
    ours = Ours()
    ours.insert("base_link", "camera", 10.0, (0, 0, 1), UNIT, True)
    ours.insert("mast", "camera", 10.0, (0, 0, 2), UNIT, second_is_static)
    parent = "mast" if second_is_static else "base_link"
    assert reason(ours, parent, "camera", 10.0) == drops.TWO_PARENTS


def test_a_static_transform_may_be_said_again_or_begin_to_move() -> None:
    ours = Ours()
    for height in (1, 2):
        ours.insert("base_link", "camera", 10.0, (0, 0, height), UNIT, True)
    assert ours.transforms.lookup("base_link", "camera", 10 * SECOND)[2, 3] == 2
    ours.insert("base_link", "camera", 11.0, (0, 0, 3), UNIT, False)
    assert ours.transforms.lookup("base_link", "camera", 11 * SECOND)[2, 3] == 3


def test_a_refused_quaternion_is_the_reason_until_a_good_one_comes() -> None:
    ours = Ours()
    ours.insert("odom", "base_link", 10.0, (0, 0, 0), (0, 0, 0, 2), False)
    assert reason(ours, "odom", "base_link", 10.0) == drops.NON_UNIT_QUATERNION
    ours.insert("odom", "base_link", 10.1, (1, 0, 0), UNIT, False)
    ours.insert("odom", "base_link", 10.2, (2, 0, 0), (0, 0, 0, 2), False)
    assert reason(ours, "odom", "base_link", 10.2) == drops.NON_UNIT_QUATERNION
    ours.insert("odom", "base_link", 10.3, (3, 0, 0), UNIT, False)
    T = ours.transforms.lookup("odom", "base_link", int(10.2 * SECOND))
    assert T[0, 3] == pytest.approx(2.0), "good neighbours say where the bad one was"


def test_a_leap_ahead_forgets_the_poses_of_before(robot: Any) -> None:
    robot.transforms.time_jumped(500 * SECOND)
    with pytest.raises(TransformUnavailable):
        robot.transforms.lookup("odom", "camera", int(10.5 * SECOND))
    robot.insert("odom", "base_link", 500.0, (9, 0, 0), UNIT, False)
    assert np.allclose(robot.transforms.lookup("odom", "camera", 500 * SECOND)[:3, 3], (9, 0, 1.5))


def test_a_loop_of_frames_ends() -> None:
    ours = Ours()
    ours.insert("a", "b", 0, (0, 0, 0), UNIT, True)
    ours.insert("b", "a", 0, (0, 0, 0), UNIT, True)
    ours.insert("c", "d", 0, (0, 0, 0), UNIT, True)
    assert reason(ours, "a", "d", 0) == drops.DISCONNECTED


def test_a_moving_edge_that_steps_back_begins_anew() -> None:
    ours = Ours()
    for at in (10.0, 11.0, 2.0, 2.2):
        ours.insert("odom", "base_link", at, (at, 0, 0), UNIT, False)
    assert ours.transforms.lookup("odom", "base_link", int(2.1 * SECOND))[0, 3] == pytest.approx(
        2.1
    )
    assert reason(ours, "odom", "base_link", 10.5) == drops.EXTRAPOLATION
    # An image of the new life finds its own transforms, not an empty buffer.
    ours.transforms.time_jumped(int(2.1 * SECOND))
    ours.transforms.lookup("odom", "base_link", int(2.1 * SECOND))


@pytest.mark.parametrize("final", [True, False])
def test_only_the_past_is_final(final: bool) -> None:
    why = drops.TOO_OLD if final else drops.NO_TF
    assert TransformUnavailable(why, "").final is final


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
    ours, expected, parent = Ours(), np.eye(4), "root"
    for index, q in enumerate(rotations):
        q = np.array(q) / np.linalg.norm(q)
        ours.insert(parent, f"link{index}", 0, (index, 1, -index), q, True)
        expected, parent = expected @ matrix((index, 1, -index), q), f"link{index}"
    assert np.allclose(ours.transforms.lookup("root", parent, 5), expected)
    assert np.allclose(ours.transforms.lookup(parent, "root", 5), inverse(expected))
