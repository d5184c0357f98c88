"""Clips made by another process while the network learns, and used several times."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from kdbts_ros.adaptation.clips import Clip
from kdbts_ros.errors import UserError

MOST_CLIPS = 400
# How often a clip is used before a fresh one is awaited.
REUSE = 50
AHEAD = 4
NICENESS = 5


class ClipSupply:
    """A ring of clips that a background process keeps refreshing. A context manager.

    Args:
        make: seed to clip; must be picklable.
        capacity: clips that are kept, bounded by `MOST_CLIPS`.
        seed: of which clips are made and drawn.
        received: clips that an earlier session of the same run has made.
    """

    def __init__(
        self, make: Callable[[int], Clip], capacity: int, seed: int, received: int = 0
    ) -> None:
        self._capacity = max(1, min(capacity, MOST_CLIPS))
        self._seed, self._asked, self.received = seed, received, received
        self._rng = np.random.default_rng([seed, received])
        self._clips: list[Clip] = []
        self._uses = 0
        self._fresh = 0
        self._coming: deque[Future[Clip]] = deque()
        context = multiprocessing.get_context("spawn")
        self._worker = ProcessPoolExecutor(1, context, _prepare, (make,))

    def __enter__(self) -> ClipSupply:
        return self

    def __exit__(self, *exception: object) -> None:
        self._worker.shutdown(cancel_futures=True)

    @property
    def having(self) -> int:
        """Clips there are."""
        return len(self._clips)

    def wait(self) -> None:
        """Take in the next clip.

        Raises:
            UserError: no clip can be made, or the process died.
        """
        while len(self._coming) < AHEAD:
            self._coming.append(self._worker.submit(_make, self._seed * 1_000_003 + self._asked))
            self._asked += 1
        try:
            clip = self._coming.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "the background process that reads the recording died: free memory and continue "
                "with --resume"
            ) from None
        if len(self._clips) < self._capacity:
            self._clips.append(clip)
        else:
            self._clips[self.received % self._capacity] = clip
        self.received += 1
        self._fresh += 1

    def draw(self, count: int) -> list[Clip]:
        """Clips at random; awaits fresh ones where those there are have been used often enough."""
        while not self._clips or self._uses + count > REUSE * self._fresh:
            self.wait()
        while self._coming and self._coming[0].done():
            self.wait()
        self._uses += count
        return [self._clips[k] for k in self._rng.integers(len(self._clips), size=count)]


_MAKE: list[Callable[[int], Clip]] = []


def _prepare(make: Callable[[int], Clip]) -> None:
    """Set up the process: Ctrl-C is for the trainer, and so are the cores."""
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _MAKE.append(make)


def _make(seed: int) -> Clip:
    return _MAKE[0](seed)
