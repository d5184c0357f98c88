"""Ctrl-C whose exception was swallowed on the way."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from kdbts_ros.demo import interrupt
from kdbts_ros.ending import Interrupted


@pytest.fixture
def listening() -> Iterator[None]:
    before = {how: signal.getsignal(how) for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    interrupt.listen()
    yield
    for how, handler in before.items():
        signal.signal(how, handler)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_swallowed_interrupt_is_raised_at_the_next_look(
    listening: None, how: signal.Signals
) -> None:
    interrupt.check()
    with pytest.raises(Interrupted):
        signal.raise_signal(how)
    with pytest.raises(Interrupted):
        interrupt.check()
    interrupt.check()
