"""Which views are kept, which are used, and that both stay within their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.views.keyframes import BufferRules, KeptView, ViewBuffer
from kdbts_ros.density.views.novelty import FULL_PARALLAX, Novelty, Sights, probe_points
from kdbts_ros.density.views.policy import RECOVERY_FRAMES, ViewUse
from kdbts_ros.errors import UserError
from test.density.networks import camera, forward_pose

SECOND = 1_000_000_000
MAP = probe_points((-20.0, 20.0), (-20.0, 20.0), 0.0, (0.3, 2.0))
RULES = BufferRules(min_overlap=0.05)


@dataclass(frozen=True, eq=False)
class Stub:
    """A view of 1 MB without maps."""

    camera: Camera
    T_world_cam: np.ndarray
    nbytes: int = 1_000_000


def kept(
    at: float, x: float = 0.0, y: float = 0.0, yaw: float = 0.0, name: str = "front"
) -> KeptView:
    view: Any = Stub(camera(), forward_pose(x=x, y=y, yaw=yaw))
    return KeptView(view, name, int(at * SECOND))


def drive(buffer: ViewBuffer, metres: float, speed: float = 2.0, hertz: float = 10.0) -> KeptView:
    """Straight ahead along x; the last view."""
    frames = round(metres / speed * hertz) + 1
    for index in range(frames):
        last = kept(100 + index / hertz, x=index * speed / hertz)
        buffer.add(last)
    return last


def test_the_newest_view_is_used_first_and_alone_while_the_robot_stands() -> None:
    buffer = ViewBuffer(RULES)
    assert buffer.select("front", MAP) == []
    for index in range(20):
        last = kept(100 + index / 10)
        buffer.add(last)
    assert buffer.select("front", MAP) == [last]
    assert len(buffer) == 2, "the first frame as keyframe, and the newest"


def test_keyframes_lie_a_baseline_apart_and_near_enough() -> None:
    buffer = ViewBuffer(RULES)
    last = drive(buffer, 20.0, speed=5.0)
    places = sorted(view.centre[0] for view in buffer if view is not last)
    assert len(places) <= RULES.max_keyframes
    assert min(np.diff(places)) >= RULES.min_baseline - 1e-9
    assert places[0] >= last.centre[0] - RULES.max_baseline


def test_a_turn_makes_a_keyframe_without_a_baseline() -> None:
    buffer = ViewBuffer(RULES)
    for index in range(4):
        buffer.add(kept(100 + index / 10, yaw=0.3 * index))
    assert len(buffer) == 4
    # What the turned views saw beside the newest one's image is worth a view each.
    assert len(buffer.select("front", MAP)) > 1


def test_a_moving_robot_uses_several_views_within_every_limit() -> None:
    buffer = ViewBuffer(RULES)
    last = drive(buffer, 8.0)
    chosen = buffer.select("front", MAP)
    assert chosen[0] is last
    assert 1 < len(chosen) <= RULES.max_views
    assert len(set(map(id, chosen))) == len(chosen)
    for view in chosen[1:]:
        assert RULES.min_baseline <= np.linalg.norm(view.centre - last.centre)
        assert np.linalg.norm(view.centre - last.centre) <= RULES.max_baseline
        assert last.stamp_ns - view.stamp_ns <= RULES.max_age * 1e9
    assert buffer.select("front", MAP, limit=1) == [last]


def test_old_views_are_forgotten_after_a_pause() -> None:
    buffer = ViewBuffer(RULES)
    last = drive(buffer, 8.0)
    later = kept(last.stamp_ns / SECOND + RULES.max_age + 1, x=last.centre[0] + 3)
    assert not buffer.add(later), "a pause is not a jump of the pose"
    assert list(buffer) == [later]


def test_the_newest_view_of_other_cameras_comes_before_keyframes() -> None:
    buffer = ViewBuffer(BufferRules(max_views=3, min_overlap=0.05))
    for index in range(40):
        at, x = 100 + index / 10, index * 0.2
        for name, shift, yaw in (("front", 0.0, 0.0), ("left", 0.033, 1.2), ("right", 0.06, -1.2)):
            buffer.add(kept(at + shift, x=x + 2 * shift, yaw=yaw, name=name))
    chosen = buffer.select("front", MAP)
    assert chosen[0].camera == "front"
    assert {view.camera for view in chosen} == {"front", "left", "right"}
    assert all(view.stamp_ns > 103.8 * SECOND for view in chosen)


def test_a_camera_that_fell_silent_leaves() -> None:
    buffer = ViewBuffer(RULES)
    buffer.add(kept(100.0, name="left"))
    drive(buffer, 14.0)
    assert {view.camera for view in buffer} == {"front"}


def test_a_leap_of_the_pose_clears_every_camera() -> None:
    buffer = ViewBuffer(RULES)
    last = drive(buffer, 6.0)
    buffer.add(kept(last.stamp_ns / SECOND, name="left"))
    assert buffer.add(kept(last.stamp_ns / SECOND + 0.1, x=last.centre[0] + 12.0))
    assert len(buffer) == 1


def test_memory_is_bounded_and_the_newest_view_stays() -> None:
    buffer = ViewBuffer(BufferRules(max_bytes=3_000_000))
    last = drive(buffer, 10.0)
    assert buffer.nbytes <= 3_000_000
    tight = ViewBuffer(BufferRules(max_bytes=1))
    tight.add(kept(100.0, name="left"))
    drive(tight, 10.0)
    (only,) = tight
    assert only.stamp_ns == last.stamp_ns and only.camera == "front"


def test_a_gate_weighs_and_vetoes() -> None:
    asked: list[tuple[KeptView, KeptView]] = []

    def veto(reference: KeptView, candidate: KeptView) -> float:
        asked.append((reference, candidate))
        return 0.0

    buffer = ViewBuffer(RULES, veto)
    last = drive(buffer, 8.0)
    assert buffer.select("front", MAP) == [last]
    assert asked and all(reference is last for reference, _ in asked)


def test_contradicting_rules_are_refused() -> None:
    with pytest.raises(UserError, match=r"min_baseline .* below max_baseline"):
        BufferRules(min_baseline=5.0, max_baseline=1.0)


def test_novelty_is_coverage_then_parallax() -> None:
    points = np.array([[10.0, 0.0, 1.6], [-5.0, 0.0, 1.6]])
    aside = 10.0 * np.tan(FULL_PARALLAX / 2)
    views = [kept(0), kept(0, x=-7.0), kept(0, y=aside)]
    sights = Sights.of([v.projection for v in views], [v.centre for v in views], points)
    assert sights.seen.tolist() == [[True, False], [True, True], [True, False]]
    novelty = Novelty(sights)
    novelty.beside(0)
    # The first lies on the same ray from behind, the second was seen by nobody.
    assert novelty.gain[1] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert novelty.gain[2, 0] == pytest.approx(0.5, abs=0.01)
    novelty.beside(2)
    assert novelty.gain[2, 0] == pytest.approx(0.0, abs=1e-6)


steps = st.tuples(
    st.sampled_from(["front", "left"]), st.floats(-4, 4), st.floats(-4, 4), st.floats(-3.1, 3.1)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=1, max_size=25), st.integers(1, 5), st.integers(1, 6))
def test_limits_hold_for_any_walk(walk: list, max_views: int, megabytes: int) -> None:
    rules = BufferRules(max_views=max_views, max_keyframes=3, max_bytes=megabytes * 1_000_000)
    buffer, x, y = ViewBuffer(rules), 0.0, 0.0
    for index, (name, dx, dy, yaw) in enumerate(walk):
        x, y = x + dx, y + dy
        last = kept(100 + index * 0.2, x=x, y=y, yaw=yaw, name=name)
        buffer.add(last)
        assert last in list(buffer)
        assert buffer.nbytes <= rules.max_bytes
        assert len(buffer) <= 2 * (rules.max_keyframes + 1)
        chosen = buffer.select(name, MAP)
        assert chosen[0] is last and len(chosen) <= max_views
        assert set(map(id, chosen)) <= set(map(id, buffer))


def use(mode: str) -> ViewUse:
    return ViewUse(mode, RULES)  # type: ignore[arg-type]


def moved(views: ViewUse, start: int, count: int, faults: int = 0) -> list:
    """Modes of the maps of a robot that drives; frames `start` to `start + count`."""
    accounts = []
    for index in range(start, start + count):
        views.add(kept(100 + index / 10, x=index * 0.4), faults)
        accounts.append(views.choose("front", MAP)[1])
    return accounts


def test_auto_adds_views_as_the_robot_moves() -> None:
    accounts = moved(use("auto"), 0, 15)
    assert accounts[0].mode == "kdbts" and accounts[0].used == 1
    assert accounts[0].note == "no other view adds enough"
    assert accounts[-1].mode == "mvbts" and accounts[-1].used > 1
    assert accounts[-1].kept_bytes == accounts[-1].kept * 1_000_000


def test_auto_falls_back_to_one_view_when_poses_fail() -> None:
    views = use("auto")
    moved(views, 0, 15)
    after = moved(views, 15, RECOVERY_FRAMES + 1, faults=1)
    assert [a.used > 1 for a in after] == [False] * RECOVERY_FRAMES + [True]
    assert after[0].note == "poses failed 0 frames ago"
    always = use("mvbts")
    moved(always, 0, 15)
    assert moved(always, 15, 1, faults=1)[0].used > 1


def test_a_jump_is_counted_and_leaves_one_view_in_every_mode() -> None:
    for mode in ("auto", "mvbts"):
        views = use(mode)
        moved(views, 0, 15)
        views.add(kept(101.6, x=500.0))
        chosen, account = views.choose("front", MAP)
        assert len(chosen) == account.kept == account.pose_jumps == 1
