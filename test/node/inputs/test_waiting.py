"""Images wait in the order of their stamps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.node.inputs.waiting import Frame, WaitingQueue
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped


def frame(stamp: int, arrived: float = 0.0) -> Frame:
    return Frame(stamp, "camera", None, (1, 1), arrived)


def pose_until(newest: int):  # type: ignore[no-untyped-def]
    """Poses have come up to this stamp."""

    def attempt(waiting: Frame) -> int:
        if waiting.stamp_ns > newest:
            raise Dropped(drops.EXTRAPOLATION, "not yet", final=False)
        return waiting.stamp_ns

    return attempt


def test_frames_leave_in_the_order_of_their_stamps_when_their_pose_has_come() -> None:
    queue = WaitingQueue(limit=10)
    for stamp in (3, 1, 2):
        assert queue.add(frame(stamp)) == []
    found = queue.resolve(pose_until(2), now=0.1, timeout=0.3)
    assert [value for _, value in found.ready] == [1, 2]
    assert not found.dropped
    assert len(queue) == 1


def test_patience_ends_with_the_reason() -> None:
    queue = WaitingQueue(limit=10)
    queue.add(frame(5, arrived=1.0))
    assert not queue.resolve(pose_until(0), now=1.29, timeout=0.3).dropped
    (_, drop), *_ = queue.resolve(pose_until(0), now=1.31, timeout=0.3).dropped
    assert drop.reason == drops.EXTRAPOLATION
    assert len(queue) == 0


def test_a_final_reason_ends_it_at_once() -> None:
    def attempt(_: Frame) -> None:
        raise Dropped(drops.TOO_OLD, "too old")

    queue = WaitingQueue(limit=10)
    queue.add(frame(5))
    assert queue.resolve(attempt, now=0.0, timeout=9.0).dropped


def test_repetitions_and_overflow_are_returned_as_drops() -> None:
    queue = WaitingQueue(limit=2)
    queue.add(frame(1))
    assert queue.add(frame(1))[0][1].reason == drops.DUPLICATE
    queue.add(frame(2))
    (gone, drop), *_ = queue.add(frame(3))
    assert (gone.stamp_ns, drop.reason) == (1, drops.QUEUE_FULL)
    assert queue.clear() == 2


@given(st.lists(st.integers(1, 50)), st.integers(1, 5), st.integers(0, 60))
def test_every_frame_is_accounted_for(stamps: list[int], limit: int, newest: int) -> None:
    queue, dropped = WaitingQueue(limit), 0
    for stamp in stamps:
        dropped += len(queue.add(frame(stamp)))
        assert len(queue) <= limit
    found = queue.resolve(pose_until(newest), now=0.0, timeout=1.0)
    ready = [value for _, value in found.ready]
    assert ready == sorted(ready)
    assert dropped + len(ready) + len(queue) == len(stamps)


def test_one_frame_that_nobody_foresaw_costs_no_other() -> None:
    def attempt(waiting: Frame) -> int:
        if waiting.stamp_ns == 2:
            raise ZeroDivisionError("a rotation of no axis")
        return waiting.stamp_ns

    queue = WaitingQueue(limit=10)
    for stamp in (1, 2, 3):
        queue.add(frame(stamp))
    found = queue.resolve(attempt, now=0.1, timeout=0.3)
    assert [value for _, value in found.ready] == [1, 3]
    ((lost, why),) = found.dropped
    assert (lost.stamp_ns, why.reason, len(queue)) == (2, drops.UNFORESEEN, 0)
    assert why.detail.startswith("ZeroDivisionError: a rotation of no axis (attempt")
