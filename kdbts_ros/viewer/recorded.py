"""Recordings into the viewer: no ROS is needed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from kdbts_ros.datasets.bags.files import open_bag
from kdbts_ros.datasets.bags.recording import Recording
from kdbts_ros.errors import UserError
from kdbts_ros.reading import foreign, telling
from kdbts_ros.viewer.messages import REPORT, SHOWN, MessageLog, is_shown

Progress = Callable[[int], None]


class Recordings:
    """One or more recordings of the same time, such as a drive and what the node made of it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open them; as a context they are closed with the block.

        Raises:
            UserError: one is no recording, or none holds anything that is shown.
        """
        self._stack = ExitStack()
        try:
            self._readers = [self._stack.enter_context(open_bag(path)) for path in paths]
            connections = [c for reader in self._readers for c in reader.connections]
            self.types = {c.topic: c.msgtype for c in connections}
            if not any(is_shown(topic, kind) for topic, kind in self.types.items()):
                names = ", ".join(map(str, paths))
                raise UserError(
                    f"{names}: nothing to show; it holds {', '.join(sorted(self.types))}"
                )
        except BaseException:
            self._stack.close()
            raise
        self._store = get_typestore(Stores.ROS2_JAZZY)
        for connection in connections:
            self._learn(connection)

    @property
    def messages(self) -> int:
        """How many messages are shown."""
        return sum(c.msgcount for r in self._readers for c in _shown(r))

    def show(self, log: MessageLog, progress: Progress = lambda done: None) -> None:
        """Write all that can be shown; `progress` hears how many messages are done.

        Raises:
            UserError: a recording is damaged.
        """
        streams = [_messages(reader) for reader in self._readers]
        merged = heapq.merge(*streams, key=lambda item: item[1])
        for count, (connection, _, raw) in enumerate(merged, 1):
            topic, kind = connection.topic, connection.msgtype
            try:
                with telling(partial("{}".format), "rosbags"):
                    message = self._store.deserialize_cdr(raw, kind)
            except UserError as error:
                log.fault(topic, f"it cannot be read ({error})")
            else:
                log.take(topic, kind, message)
            progress(count)

    def _learn(self, connection: Connection) -> None:
        """Our own message as the recording defines it; without that it counts as a fault."""
        if connection.msgtype == REPORT and REPORT not in self._store.types:
            text = connection.msgdef.data
            with suppress(*foreign("rosbags")):
                self._store.register(get_types_from_msg(text, REPORT))

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _shown(reader: Recording) -> list[Connection]:
    return [c for c in reader.connections if c.msgtype in SHOWN and is_shown(c.topic, c.msgtype)]


def _messages(reader: Recording) -> Iterator[tuple[Connection, int, bytes]]:
    """Static transforms first: what needs them may lie before them."""
    shown = _shown(reader)
    latched = [c for c in shown if c.topic.endswith("_static")]
    if latched:
        for connection, _, raw in reader.messages(latched):
            yield connection, 0, raw
    rest = [c for c in shown if c not in latched]
    if rest:
        yield from reader.messages(rest)
