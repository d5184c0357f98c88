"""Which of the statuses, assessed anew every second, are news for the log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kdbts_ros.node.reporting.status import OK, Status

# A trouble that stays is said again after this long, then after twice as long each time...
FIRST_REPEAT = 10.0
# ... until it is said this seldom, seconds.
SELDOM = 3600.0
# What was well for so long is a new trouble when it comes back, seconds.
FORGOTTEN_AFTER = 10.0
# Sentences remembered for one status; with words of others in them they could go on for ever.
REMEMBERED = 50
_NUMBERS = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")


@dataclass
class _Told:
    """When a sentence was last logged, and how long it keeps silent from then on."""

    at: float
    pause: float = FIRST_REPEAT


@dataclass
class _Account:
    """What the log has heard of one status. `well_since` is None while there is a trouble."""

    told: dict[tuple[int, str], _Told] = field(default_factory=dict)
    well_since: float | None = None
    troubled: bool = False  # the log's last word


class Retelling:
    """Decides, status by status, what is to be logged.

    A sentence that is new, or has become more or less serious, is news whatever its level; one that
    differs in its numbers alone is not. A trouble that stays is repeated, each time after twice the
    time. Its end is told once.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def is_news(self, status: Status, now: float) -> bool:
        """Whether to log a status of `now`, seconds of a clock that never jumps."""
        account = self._accounts.setdefault(status.name, _Account())
        if status.level == OK:
            return _is_over(account, now)
        if account.well_since is not None and now - account.well_since >= FORGOTTEN_AFTER:
            account.told.clear()
        account.well_since = None
        news = _is_due(account, status, now)
        account.troubled = account.troubled or news
        return news


def _is_over(account: _Account, now: float) -> bool:
    if account.well_since is None:
        account.well_since = now
    over, account.troubled = account.troubled, False
    return over


def _is_due(account: _Account, status: Status, now: float) -> bool:
    sentence = (status.level, _NUMBERS.sub("#", status.message))
    told = account.told.get(sentence)
    if told is None:
        if len(account.told) == REMEMBERED:
            del account.told[next(iter(account.told))]
        account.told[sentence] = _Told(now)
        return True
    if status.lasting or now - told.at < told.pause:
        return False
    told.at, told.pause = now, min(2 * told.pause, SELDOM)
    return True
