"""Training frames made in the background and used several times, and which a step is given.

What a step is given is a pure function of the step: not how fast frames are made, not how many
processes share the batch, not whether the run was interrupted. Runs can therefore be repeated,
resumed and split.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from kdbts_ros import tether
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.frames import PoolConfig

Ints = npt.NDArray[np.int64]


Frame = TypeVar("Frame")

# Frames made ahead of the trainer for each worker; more would only take memory.
AHEAD = 16
# How far the plan is searched for frames to make ahead, where a small pool needs no fresh ones.
HORIZON_STEPS = 500
NICENESS = 5


class FramePlan:
    """Draws frames so that each is used `reuse` times on average, fresh ones entering steadily.

    Every place of the batch has a lane of frames of its own: place p of a batch of B is given the
    frames p, p+B, p+2B, ... Processes that take different places then make different frames, and
    what a place is given does not depend on who takes it.
    """

    def __init__(self, config: PoolConfig, batch: int, seed: int) -> None:
        self.batch = batch
        self._seed = seed
        self._reuse = config.reuse
        self._window = max(1, config.capacity // batch)
        self._first = min(self._window, max(1, config.minimum // batch))

    def lane(self, step: int) -> tuple[int, int]:
        """First and last+1 index, in every lane, of the frames a step may be given."""
        entered = max(self._first, math.floor(step / self._reuse) + 1)
        return max(0, entered - self._window), entered

    def numbers(self, step: int) -> Ints:
        """(batch,) numbers of the frames of a step."""
        rng = np.random.default_rng([self._seed, step])
        return rng.integers(*self.lane(step), size=self.batch) * self.batch + np.arange(self.batch)

    def oldest(self, step: int) -> int:
        """No step from this one on is given a frame of a smaller number."""
        return self.lane(step)[0] * self.batch


class FramePool(Generic[Frame]):
    """Keeps the frames of a plan: those that will be used again, and the next ones.

    Workers make what the coming steps need, in that order; after a resumed run the frames that
    are used again are made again on the way. A context manager: leaving it ends the workers.

    Args:
        make: seed to frame; must be picklable, because workers are started afresh.
        plan: which frames a step is given.
        places: which places of the batch this process takes.
        seed: what is added to a frame's number to give its seed.
        workers: background processes.
        step: the first step that will be asked for.
    """

    def __init__(
        self,
        make: Callable[[int], Frame],
        plan: FramePlan,
        places: Sequence[int],
        seed: int = 0,
        workers: int = 1,
        step: int = 0,
    ) -> None:
        self._plan = plan
        self._places = list(places)
        self._seed = seed
        self._frames: dict[int, Frame] = {}
        self._asked: set[int] = set()
        # Frames first needed by a step to come, in the order of the steps.
        self._ahead: deque[tuple[int, int]] = deque()
        self._limit = AHEAD * workers
        self._next = step
        context = multiprocessing.get_context("spawn")
        self._requests: Queue[int] = context.Queue()
        self._results: Queue[Any] = context.Queue()
        self._stop: Event = context.Event()
        self._workers = [
            context.Process(
                target=_work,
                args=(make, self._requests, self._results, self._stop, os.getpid()),
                daemon=True,
            )
            for _ in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def __enter__(self) -> FramePool[Frame]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._frames)

    def missing(self, step: int) -> int:
        """How many frames of a step are still being made."""
        return len({n for n in self._needed(step) if n not in self._frames})

    def gather(self, step: int, seconds: float) -> bool:
        """Wait up to `seconds` for the frames of a step; whether all are there.

        Raises:
            UserError: a worker failed or died.
        """
        self._look_ahead(step)
        end = time.monotonic() + seconds
        while self._receive(0.0):
            pass
        while self.missing(step):
            if not self._receive(max(0.0, end - time.monotonic())):
                self._check_workers()
                return False
        return True

    def take(self, step: int) -> list[Frame]:
        """The frames of a step, one for each place, after `gather` has found them there."""
        frames = [self._frames[n] for n in self._needed(step)]
        oldest = self._plan.oldest(step + 1)
        for number in [n for n in self._frames if n < oldest]:
            del self._frames[number]
        return frames

    def close(self) -> None:
        """End the workers and wait for them."""
        self._stop.set()
        for worker in self._workers:
            while worker.is_alive():
                # A worker may be blocked on a full pipe: make room until it sees the signal.
                _drain(self._results)
                worker.join(0.1)
        for items in (self._requests, self._results):
            items.cancel_join_thread()
            items.close()

    def _needed(self, step: int) -> list[int]:
        numbers = self._plan.numbers(step)
        return [int(numbers[place]) for place in self._places]

    def _look_ahead(self, step: int) -> None:
        """Ask for what the coming steps need, as far ahead as memory allows."""
        while self._ahead and self._ahead[0][0] <= step:
            self._ahead.popleft()
        while self._next <= step + HORIZON_STEPS and (
            self._next <= step or len(self._ahead) < self._limit
        ):
            for number in self._needed(self._next):
                if number not in self._frames and number not in self._asked:
                    self._asked.add(number)
                    self._ahead.append((self._next, number))
                    self._requests.put(self._seed + number)
            self._next += 1

    def _receive(self, seconds: float) -> bool:
        try:
            item = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
        except queue.Empty:
            return False
        if isinstance(item, _Failure):
            raise UserError(f"making training frames failed: {item.reason}")
        seed, frame = item
        self._asked.discard(seed - self._seed)
        self._frames[seed - self._seed] = frame
        return True

    def _check_workers(self) -> None:
        if not all(worker.is_alive() for worker in self._workers):
            raise UserError(
                "a background process that makes training frames died; "
                "free memory or lower pool.workers, then use --resume"
            )


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


def _work(
    make: Callable[[int], Any],
    requests: Queue[int],
    results: Queue[Any],
    stop: Event,
    trainer: int,
) -> None:
    """Make the frames that are asked for until told to stop; the end of the trainer is its end."""
    tether.tie(trainer)
    # Ctrl-C reaches the whole group; the trainer decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    _one_thread()
    # Where the kernel does not tell of the trainer's end, it is seen here.
    while not stop.is_set() and os.getppid() == trainer:
        try:
            seed = requests.get(timeout=0.5)
        except queue.Empty:
            continue
        try:
            results.put((seed, make(seed)))
        except UserError as error:
            results.put(_Failure(str(error)))
            return
    # What nobody will fetch must not keep this process alive.
    results.cancel_join_thread()


def _one_thread() -> None:
    """Leave the cores to the trainer: a worker computes on one.

    What makes frames has been imported along with `make`; importing more would cost seconds.
    """
    for name, setter in (
        ("torch", "set_num_threads"),
        ("numba", "set_num_threads"),
        ("cv2", "setNumThreads"),
    ):
        if name in sys.modules:
            getattr(sys.modules[name], setter)(1)
