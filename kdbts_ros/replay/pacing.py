"""When a recorded message is due, in the wall clock of a replay."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECOND = 1_000_000_000


class Pacer:
    """Maps bag time to a steady wall clock, both in ns.

    Bag time runs `rate` times as fast as the wall from the moment of `start`. A replay that falls
    behind catches up: messages are due by their stamps, not by their predecessors.
    """

    def __init__(
        self,
        rate: float,
        tick: Callable[[int], None] | None = None,
        tick_hz: float = 100.0,
        now: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare a pacer.

        Args:
            rate: bag seconds per wall second.
            tick: called with the bag time, `tick_hz` times a wall second, while waiting.
            tick_hz: of ticks.
            now: steady clock, ns.
            sleep: of seconds.
        """
        self._rate = rate
        self._tick = tick
        self._period = round(_SECOND / tick_hz)
        self._now = now
        self._sleep = sleep
        self._bag_start = 0
        self._wall_start = 0
        self._next_tick = 0

    def start(self, bag_ns: int) -> None:
        """Let bag time be `bag_ns` now."""
        self._bag_start = bag_ns
        self._wall_start = self._next_tick = self._now()

    def wait_until(self, bag_ns: int) -> None:
        """Return when bag time reaches `bag_ns`, at once if it has; tick in the meantime."""
        due = self._wall_start + round((bag_ns - self._bag_start) / self._rate)
        while True:
            now = self._now()
            if self._tick is not None and now >= self._next_tick:
                # Never past the message about to go out: a clock ahead of it would age it.
                self._tick(min(bag_ns, self._bag_time(now)))
                self._next_tick = max(self._next_tick + self._period, now)
            if now >= due:
                return
            until = due if self._tick is None else min(due, self._next_tick)
            self._sleep(max(until - now, 0) / _SECOND)

    def resume(self, bag_ns: int) -> None:
        """Let bag time be `bag_ns` now where it is later: what stood still is not caught up."""
        if self._bag_time(self._now()) > bag_ns:
            self.start(bag_ns)

    def _bag_time(self, wall_ns: int) -> int:
        return self._bag_start + round((wall_ns - self._wall_start) * self._rate)
