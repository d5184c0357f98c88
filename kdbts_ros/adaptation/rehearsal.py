"""What an adaptation must not forget: exact worlds, shown beside the clips of a recording.

One road teaches what that road looks like, and nothing about what is hidden elsewhere. Worlds like
those the weights began with hold what they taught while the rest gives way.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from kdbts_ros.datasets.synthetic.places.kinds import PLACES
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.learning.config.stages import OptimiserConfig, SupervisedStage
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.labels import NEAR, LabelledFrame
from kdbts_ros.learning.frames.sources import LabelledWorlds
from kdbts_ros.learning.losses.supervised import collate, supervised_step

# Worlds that are kept, and how often each is seen before a fresh one is awaited: they must not
# become a handful that is learnt by heart.
WORLDS, REUSE = 120, 6
# Apart from the worlds of trainings, which begin at smaller numbers.
FIRST_WORLD = 1_500_000_000
_POINTS, _COLUMNS = 2000, 300


class Worlds(Protocol):
    """Where labelled worlds come from."""

    received: int

    def draw(self, count: int) -> list[LabelledFrame]:
        """Worlds at random."""


class KnownWorlds:
    """A picklable function from a seed to a labelled world, as the network is shown it: streets to
    one of KITTI's camera, places of every kind to one of another."""

    def __init__(
        self, width: int, height: int, near: float = NEAR, camera: TrainingCamera | None = None
    ) -> None:
        of_places = camera is not None and camera != TrainingCamera()
        self._make = LabelledWorlds(
            width,
            height,
            _POINTS,
            _COLUMNS,
            extra=0,
            near=near,
            places=dict.fromkeys(PLACES, 1 / len(PLACES)) if of_places else None,
            camera=camera if of_places else None,
        )

    def __call__(self, seed: int) -> LabelledFrame:
        return self._make(FIRST_WORLD + seed % 100_000_000)


class Rehearsal:
    """Losses of a few worlds in every step, `count` of them."""

    def __init__(self, supply: Worlds, count: int, seed: int) -> None:
        self.supply, self._count, self._seed = supply, count, seed
        self._stage = SupervisedStage(
            kind="supervised",
            steps=1,
            batch=count,
            points=1000,
            rays=100,
            columns=150,
            samples=24,
            optimiser=OptimiserConfig(),
        )

    def losses(self, network: DensityNetwork, step: int, device: torch.device) -> dict[str, Tensor]:
        """As of `supervised_step`, of the worlds of this step."""
        draws = Draws(self._seed, 1, step, range(self._count))
        batch = collate(self.supply.draw(self._count), self._stage, draws.rngs).to(device)
        return supervised_step(network, batch, self._stage, draws, "float32")
