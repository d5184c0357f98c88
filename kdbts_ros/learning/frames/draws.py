"""The random numbers of a step: functions of the seed, the step and the place in the batch.

A process that takes some places of a batch draws for these what one process alone would have
drawn for them, and a resumed run draws what it would have drawn; no state has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

# Keeps apart what is drawn for one place and for the whole batch.
_PLACE, _BATCH = 0, 1


class Draws:
    """Random numbers for the places of one step that one process takes.

    Args:
        seed: of the run. stage, step: which step. places: the places of the batch.
    """

    def __init__(self, seed: int, stage: int, step: int, places: Sequence[int]) -> None:
        self._key = (seed, stage, step)
        self._places = tuple(places)

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def rngs(self) -> list[np.random.Generator]:
        """A numpy generator for each place."""
        return [np.random.default_rng([*self._key, _PLACE, place]) for place in self._places]

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1) of a shape whose first axis is the places."""
        return self._stacked(torch.rand, shape)

    def normal(self, *shape: int) -> Tensor:
        """Normal numbers of a shape whose first axis is the places."""
        return self._stacked(torch.randn, shape)

    def coin(self) -> bool:
        """Heads or tails for the whole batch, the same in every process."""
        return bool(self._shared.random() < 0.5)

    @property
    def places(self) -> tuple[int, ...]:
        """The places of the batch that are drawn for."""
        return self._places

    def partners(self, batch: int) -> list[int]:
        """For each place another one of the whole batch, no two the same."""
        order = self._shared.permutation(batch)
        return [int(order[place]) for place in self._places]

    @cached_property
    def _shared(self) -> np.random.Generator:
        return np.random.default_rng([*self._key, _BATCH])

    @cached_property
    def _generators(self) -> list[torch.Generator]:
        return [
            torch.Generator().manual_seed(seed_of(*self._key, _PLACE, place))
            for place in self._places
        ]

    def _stacked(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        count, *rest = shape
        if count != len(self._places):
            raise ValueError(f"asked for {count} places, this process takes {len(self._places)}")
        return torch.stack([draw(rest, generator=g) for g in self._generators])


def seed_of(*key: int) -> int:
    """A well-mixed seed below 2**63 from a few numbers."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
