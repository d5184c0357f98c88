"""Order of stamps, leads and leaps of clocks."""

from __future__ import annotations

import pytest

from kdbts_ros.node.inputs.admission import StampOrder, check_lead, in_words, is_leap
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

SECOND = 1_000_000_000


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
