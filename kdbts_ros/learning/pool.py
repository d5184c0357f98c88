"""Training frames made in the background and used several times."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any, Generic, TypeVar

import numpy as np

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config import PoolConfig

Frame = TypeVar("Frame")

# Frames finished ahead of the trainer by one worker; more would only take memory.
AHEAD = 16
# A worker that is silent this long is asked whether it still lives.
PATIENCE_SECONDS = 5.0
NICENESS = 5


class FramePool(Generic[Frame]):
    """A ring of frames that background processes keep refreshing.

    Drawing a frame for the (reuse+1)-th time on average waits for a fresh one; otherwise nothing
    waits, so that rendering never starves the trainer and the trainer never wears frames out.
    A context manager: leaving it ends the workers.

    Args:
        make: seed to frame; must be picklable, because workers are started afresh.
        first: number of frames already made in an earlier session of the same run.
    """

    def __init__(
        self,
        make: Callable[[int], Frame],
        config: PoolConfig,
        rng: np.random.Generator,
        first: int = 0,
    ) -> None:
        self._config = config
        self._rng = rng
        self._frames: list[Frame] = []
        self._uses = 0
        self._fresh = 0
        self.received = first
        context = multiprocessing.get_context("spawn")
        self._queue: Queue[Any] = context.Queue(AHEAD * config.workers)
        self._stop: Event = context.Event()
        self._workers = [
            context.Process(
                target=_work,
                args=(make, config.seed + first + k, config.workers, self._queue, self._stop),
                daemon=True,
            )
            for k in range(config.workers)
        ]
        for worker in self._workers:
            worker.start()

    def __enter__(self) -> FramePool[Frame]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def ready(self) -> bool:
        """Whether there are enough frames for the first step."""
        return len(self._frames) >= min(self._config.minimum, self._config.capacity)

    def fill(self, seconds: float) -> bool:
        """Wait up to `seconds` for the next frame and keep it; whether one came.

        Raises:
            UserError: a worker failed or died.
        """
        try:
            item = self._queue.get(timeout=seconds)
        except queue.Empty:
            if not all(worker.is_alive() for worker in self._workers):
                raise UserError(
                    "a background process that makes training frames died; "
                    "free memory or lower pool.workers, then use --resume"
                ) from None
            return False
        if isinstance(item, _Failure):
            raise UserError(f"making training frames failed: {item.reason}")
        self._keep(item)
        return True

    def draw(self, count: int) -> list[Frame]:
        """`count` frames at random, after taking in what the workers have finished."""
        while self._worn(count):
            self.fill(PATIENCE_SECONDS)
        while self._behind() and self.fill(0.001):
            pass
        self._uses += count
        return [self._frames[i] for i in self._rng.integers(len(self._frames), size=count)]

    def close(self) -> None:
        """End the workers and wait for them."""
        self._stop.set()
        for worker in self._workers:
            while worker.is_alive():
                # A worker may be blocked on a full queue: make room until it sees the signal.
                _drain(self._queue)
                worker.join(0.1)
        self._queue.close()
        self._queue.cancel_join_thread()

    def _keep(self, frame: Frame) -> None:
        if len(self._frames) < self._config.capacity:
            self._frames.append(frame)
        else:
            self._frames[self.received % self._config.capacity] = frame
        self.received += 1
        self._fresh += 1

    def _worn(self, count: int) -> bool:
        return not self.ready or self._uses + count > self._config.reuse * self._fresh

    def _behind(self) -> bool:
        """Its frames are half used up: taking more any earlier would cost the trainer a core."""
        return self._uses > 0.5 * self._config.reuse * self._fresh


class _Failure:
    """Carries a worker's error to the trainer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _drain(items: Queue[Any]) -> None:
    try:
        while True:
            items.get_nowait()
    except queue.Empty:
        return


def _work(make: Callable[[int], Any], seed: int, stride: int, out: Queue[Any], stop: Event) -> None:
    """Make frames of every stride-th seed until told to stop or orphaned."""
    # Ctrl-C reaches the whole group; the trainer decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    _one_thread()
    parent = os.getppid()
    while not stop.is_set():
        try:
            frame = make(seed)
        except UserError as error:
            out.put(_Failure(str(error)))
            return
        while not stop.is_set() and os.getppid() == parent:
            try:
                out.put(frame, timeout=1.0)
                break
            except queue.Full:
                continue
        if os.getppid() != parent:
            out.cancel_join_thread()
            return
        seed += stride


def _one_thread() -> None:
    """Leave the cores to the trainer: a worker computes on one."""
    import cv2
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    cv2.setNumThreads(1)
