"""Frames made by another process while the network learns, and used several times."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

import numpy as np

from kdbts_ros import tether
from kdbts_ros.errors import UserError

MOST_FRAMES = 400
# How often a clip of a recording is used before a fresh one is awaited.
REUSE = 50
AHEAD = 4
NICENESS = 5


Frame = TypeVar("Frame")


class FrameSupply(Generic[Frame]):
    """A ring of frames that a background process keeps refreshing. A context manager.

    Args:
        make: seed to frame, as a clip of a recording or a world; must be picklable.
        capacity: frames that are kept, bounded by `MOST_FRAMES`.
        seed: of which frames are made and drawn.
        received: frames that an earlier session of the same run has made.
        reuse: how often a frame is used before a fresh one is awaited.
    """

    def __init__(
        self,
        make: Callable[[int], Frame],
        capacity: int,
        seed: int,
        received: int = 0,
        reuse: int = REUSE,
    ) -> None:
        self._reuse = reuse
        self._capacity = max(1, min(capacity, MOST_FRAMES))
        self._seed, self._asked, self.received = seed, received, received
        self._rng = np.random.default_rng([seed, received])
        self._frames: list[Frame] = []
        self._uses = 0
        self._fresh = 0
        self._coming: deque[Future[Frame]] = deque()
        context = multiprocessing.get_context("spawn")
        self._worker = ProcessPoolExecutor(1, context, _prepare, (make, os.getpid()))

    def __enter__(self) -> FrameSupply[Frame]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._worker.shutdown(cancel_futures=True)

    @property
    def having(self) -> int:
        """Frames there are."""
        return len(self._frames)

    def wait(self) -> None:
        """Take in the next frame.

        Raises:
            UserError: no frame can be made, or the process died.
        """
        while len(self._coming) < AHEAD:
            self._coming.append(self._worker.submit(_make, self._seed * 1_000_003 + self._asked))
            self._asked += 1
        try:
            frame = self._coming.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "the background process that makes training frames died: free memory and continue "
                "with --resume"
            ) from None
        if len(self._frames) < self._capacity:
            self._frames.append(frame)
        else:
            self._frames[self.received % self._capacity] = frame
        self.received += 1
        self._fresh += 1

    def draw(self, count: int) -> list[Frame]:
        """Frames at random; awaits fresh ones where those there are have been used often enough."""
        while not self._frames or self._uses + count > self._reuse * self._fresh:
            self.wait()
        while self._coming and self._coming[0].done():
            self.wait()
        self._uses += count
        return [self._frames[k] for k in self._rng.integers(len(self._frames), size=count)]


_MAKE: list[Callable[[int], Any]] = []


def _prepare(make: Callable[[int], Any], trainer: int) -> None:
    """Set up the process: Ctrl-C is for the trainer, and so are the cores; it ends with it."""
    tether.tie(trainer)
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _MAKE.append(make)


def _make(seed: int) -> Any:
    return _MAKE[0](seed)
