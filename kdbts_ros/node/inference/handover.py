"""What passes between the executor's thread and the one that owns the model.

On the way in each camera's newest image wins. On the way out nothing is sent of an epoch that has
ended: a deactivation or a jump in time ends one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """`put` never waits; `take` waits for an item or for `close`.

    Senders take turns: whoever has waited longest is next, and a newer item keeps the place of the
    one it replaces.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, T] = {}
        self._closed = False

    def put(self, item: T, sender: str = "") -> T | None:
        """Leave an item and return the sender's earlier one, if that was never taken."""
        with self._changed:
            replaced = self._items.get(sender)
            self._items[sender] = item
            self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """The next item; None when the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if self._closed:
                return None
            return self._items.pop(next(iter(self._items)))

    def clear(self) -> list[T]:
        """Take all items back without waiting."""
        with self._changed:
            items = list(self._items.values())
            self._items.clear()
            return items

    def close(self) -> None:
        """Let `take` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify()


class Epochs:
    """The number of the epoch of now, which the executor ends and the inference thread asks for.

    Whoever sends something of an epoch holds `lock` from asking to the end of sending, and waits
    for nothing meanwhile: once `end` has returned True, nothing of that epoch is sent any more.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0

    @contextmanager
    def held(self, patience: float) -> Iterator[bool]:
        """Hold the lock; False, and not held, where that takes more than `patience` seconds."""
        held = self.lock.acquire(timeout=patience)
        try:
            yield held
        finally:
            if held:
                self.lock.release()

    def end(self, patience: float = 1.0) -> bool:
        """Begin the next epoch, as soon as what is being sent has gone out.

        False where that does not end within `patience` seconds: a middleware may never return, and
        the executor must not wait for it. What is being sent then goes out if it ever does.
        """
        with self.held(patience) as held:
            self.now += 1
            return held
