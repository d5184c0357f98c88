"""One slot per sender between two threads: each sender's newest item wins."""

from __future__ import annotations

import threading
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
