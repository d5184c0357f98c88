"""Fixtures of the inference thread."""

from __future__ import annotations

import gc
import queue
from collections.abc import Iterator

import pytest

from kdbts_ros.node.inference.worker import Outcome


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """The thread freezes what was loaded; other tests' objects are not for good."""
    yield
    gc.unfreeze()


@pytest.fixture
def outcomes() -> queue.Queue[Outcome]:
    return queue.Queue()
