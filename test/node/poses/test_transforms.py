"""The rules of poses, against everything that answers for them.

Our own buffer, the same over tf2_ros (the genuine one where it is installed, and a fake with its
refusals), and recordings: what docs/conventions.md says of poses holds for all of them.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.ros.pose_rules import Rules
from kdbts_ros.density.geometry.camera import check_rigid, inverse, transform
from kdbts_ros.density.geometry.poses import between, matrix
from kdbts_ros.node.poses.transforms import Transforms
from kdbts_ros.node.reporting import drops
from test.node.poses.transform_sources import UNIT, Live, about_to_turn, about_z, drive, mount

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
    origin = (0, 0, 0)
    mixed, first, last = between(origin, a, b, share), matrix(origin, a), matrix(origin, b)
    check_rigid(mixed, "mixed")
    assert angle(first, mixed) == pytest.approx(share * angle(first, last), abs=1e-5)
    assert angle(mixed, last) == pytest.approx((1 - share) * angle(first, last), abs=1e-5)


def angle(a: Any, b: Any) -> float:
    return float(np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1)))


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
