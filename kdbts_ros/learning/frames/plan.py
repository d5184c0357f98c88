"""Which frame each place of each batch gets: a pure function of the step.

Nothing about the machine enters: not how fast frames are made, not how many processes share the
batch, not whether the run was interrupted. Runs can therefore be repeated, resumed and split.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kdbts_ros.learning.config.stages import PoolConfig

Ints = npt.NDArray[np.int64]


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
