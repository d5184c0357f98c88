"""The replay's pacing against a clock that only sleeping moves."""

import pytest

from kdbts_ros.replay.pacing import Pacer

SECOND = 10**9


class Wall:
    """A clock that moves by sleeping, and by `busy`."""

    def __init__(self) -> None:
        self.ns = 5 * SECOND
        self.slept = 0.0

    def now(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.ns += round(seconds * SECOND)

    def busy(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_messages_are_due_by_their_stamps(rate: float) -> None:
    wall = Wall()
    pacer = Pacer(rate, now=wall.now, sleep=wall.sleep)
    pacer.start(100 * SECOND)
    begun = wall.ns
    for stamp in (100, 101, 104):
        pacer.wait_until(stamp * SECOND)
        assert wall.ns - begun == pytest.approx((stamp - 100) * SECOND / rate)


def test_a_late_replay_catches_up() -> None:
    wall = Wall()
    pacer = Pacer(1.0, now=wall.now, sleep=wall.sleep)
    pacer.start(0)
    wall.busy(2.5)
    pacer.wait_until(1 * SECOND)
    pacer.wait_until(2 * SECOND)
    assert wall.slept == 0
    pacer.wait_until(3 * SECOND)
    assert wall.slept == pytest.approx(0.5)


def test_ticks_run_with_bag_time_and_never_ahead_of_the_next_message() -> None:
    wall = Wall()
    ticks: list[int] = []
    pacer = Pacer(2.0, ticks.append, tick_hz=100, now=wall.now, sleep=wall.sleep)
    pacer.start(7 * SECOND)
    pacer.wait_until(7 * SECOND)
    pacer.wait_until(8 * SECOND)
    assert ticks == [7 * SECOND + 20_000_000 * i for i in range(51)]
    wall.busy(1.0)
    pacer.wait_until(9 * SECOND)
    assert ticks == sorted(ticks)
    assert max(ticks) <= 9 * SECOND


def test_what_stood_still_is_not_caught_up_with() -> None:
    wall = Wall()
    pacer = Pacer(2.0, now=wall.now, sleep=wall.sleep)
    pacer.start(0)
    wall.busy(3.0)
    pacer.resume(1 * SECOND)
    pacer.wait_until(1 * SECOND)
    assert wall.slept == 0
    pacer.wait_until(2 * SECOND)
    assert wall.slept == pytest.approx(0.5)


def test_who_is_in_time_keeps_the_pace() -> None:
    wall = Wall()
    pacer = Pacer(1.0, now=wall.now, sleep=wall.sleep)
    pacer.start(0)
    wall.busy(0.25)
    pacer.resume(1 * SECOND)
    pacer.wait_until(1 * SECOND)
    assert wall.slept == pytest.approx(0.75)
