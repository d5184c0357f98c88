"""Order of stamps, the waiting queue, and the mailbox."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.node.inference.mailbox import Mailbox
from kdbts_ros.node.inputs.stamps import (
    JUMPS_REPEATED,
    JUMPS_WITHIN,
    Jumps,
    StampOrder,
    check_lead,
    in_words,
    is_leap,
)
from kdbts_ros.node.inputs.waiting import Frame, WaitingQueue
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

SECOND = 1_000_000_000


def frame(stamp: int, arrived: float = 0.0) -> Frame:
    return Frame(stamp, "camera", None, (1, 1), arrived)


def reason(order: StampOrder, stamp_ns: int) -> str:
    with pytest.raises(Dropped) as caught:
        order.check(stamp_ns)
    return caught.value.reason


def test_zero_repeated_and_late_stamps_are_told_apart() -> None:
    order = StampOrder()
    order.check(5 * SECOND)
    order.used(5 * SECOND)
    assert reason(order, 0) == drops.ZERO_STAMP
    assert reason(order, -SECOND) == drops.ZERO_STAMP
    assert reason(order, 5 * SECOND) == drops.DUPLICATE
    assert reason(order, 5 * SECOND - 1) == drops.OUT_OF_ORDER
    order.check(5 * SECOND + 1)


def test_a_second_back_is_a_new_life_at_once() -> None:
    order = StampOrder(newest_ns=10 * SECOND)
    assert not order.jumped_back(int(9.5 * SECOND))
    assert not order.jumped_back(11 * SECOND)
    assert not order.jumped_back(0)
    assert order.jumped_back(9 * SECOND)


def test_a_short_bag_loops_too() -> None:
    order = StampOrder(newest_ns=10 * SECOND)
    stamps = [int((9.4 + 0.1 * i) * SECOND) for i in range(6)]
    assert [order.jumped_back(s) for s in stamps][:5] == [False] * 4 + [True]


def test_jumps_are_said_one_by_one_until_they_are_many() -> None:
    jumps = Jumps()
    said = [jumps.add("/clock", at) for at in (0.0, 1.0, 2.0, 3.0)]
    assert said == [True] * (JUMPS_REPEATED - 1) + [False, False]
    assert jumps.repeated(3.0) == ("/clock",)
    assert jumps.add("/image", 3.0), "another topic's jumps are its own"
    later = 3.0 + JUMPS_WITHIN
    assert jumps.repeated(later) == ()
    assert jumps.add("/clock", later + 1.0)


def test_a_jump_is_put_in_words() -> None:
    assert (in_words(-3.5), in_words(20.0)) == ("3.500 s back", "20.000 s ahead")


def test_a_stamp_of_another_kind_of_time_names_that_cure() -> None:
    with pytest.raises(Dropped, match="synchronise the clocks"):
        check_lead(15 * SECOND, 10 * SECOND, 1.0)
    with pytest.raises(Dropped, match="set use_sim_time for both, or for none"):
        check_lead(1_700_000_000 * SECOND, 10 * SECOND, 1.0)


def test_a_stamp_ahead_of_the_clock_is_refused() -> None:
    check_lead(11 * SECOND, 10 * SECOND, 1.0)
    check_lead(999 * SECOND, 0, 1.0)  # simulated time has not begun
    with pytest.raises(Dropped, match=r"1\.500 s ahead of the node's clock") as caught:
        check_lead(int(11.5 * SECOND), 10 * SECOND, 1.0)
    assert caught.value.reason == drops.FUTURE_STAMP


def test_a_leap_of_the_clock_is_not_its_first_reading_nor_its_step() -> None:
    assert is_leap(100 * SECOND, 160 * SECOND)
    assert not is_leap(100 * SECOND, 101 * SECOND)
    assert not is_leap(0, 160 * SECOND)


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


def test_the_newest_item_wins() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.put(1) is None
    assert mailbox.put(2) == 1
    assert mailbox.take() == 2
    mailbox.put(3)
    assert mailbox.clear() == [3]
    assert mailbox.clear() == []


def test_senders_take_turns_and_keep_their_own_newest() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("front 1", "front")
    mailbox.put("left 1", "left")
    assert mailbox.put("front 2", "front") == "front 1"
    assert mailbox.take() == "front 2"
    mailbox.put("front 3", "front")
    assert [mailbox.take(), mailbox.take()] == ["left 1", "front 3"]


def test_closing_wakes_the_one_who_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.close()
    thread.join(10)
    assert taken == [None]
    mailbox.put(4)
    assert mailbox.take() is None
