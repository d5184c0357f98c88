"""What a stage of training learns: where its frames come from and how a step scores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.network import DensityNetwork
from kdbts_ros.learning import sources
from kdbts_ros.learning.config import (
    PhotometricStage,
    SupervisedStage,
    TrainingConfig,
)
from kdbts_ros.learning.photometric import collate_clips, photometric_step
from kdbts_ros.learning.supervised import collate, supervised_step


class Task(Protocol):
    """One kind of stage."""

    def source(self) -> Callable[[int], Any]:
        """A picklable function from a number to a training frame."""
        ...

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Losses of a batch of frames; `loss` is the one to descend."""
        ...


class SupervisedTask:
    """Exact occupancy and depth of procedural worlds."""

    def __init__(self, config: TrainingConfig, stage: SupervisedStage, device: torch.device):
        self._config, self._stage, self._device = config, stage, device

    def source(self) -> Callable[[int], Any]:
        # Several slices of points per frame, because a frame is used several times.
        slices = min(self._stage.pool.reuse, 4.0)
        return sources.LabelledWorlds(
            self._config.network.image_width,
            self._config.network.image_height,
            round(self._stage.points * slices),
            round(self._stage.columns * slices),
            # One more than is encoded, so that a frame that is used again looks different.
            extra=self._stage.views if self._stage.views > 1 else 0,
        )

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        batch = collate(frames, self._stage, rng).to(self._device)
        return supervised_step(network, batch, self._stage, generator, self._config.bf16)


class PhotometricTask:
    """Stereo pairs at two times, learnt from images and poses alone."""

    def __init__(self, config: TrainingConfig, stage: PhotometricStage, device: torch.device):
        self._config, self._stage, self._device = config, stage, device

    def source(self) -> Callable[[int], Any]:
        width, height = self._config.network.image_width, self._config.network.image_height
        if self._stage.source == "synthetic":
            return sources.SyntheticClips(width, height)
        return sources.KittiClips(self._stage, width, height)

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        batch = collate_clips(frames, self._stage.patches, rng).to(self._device)
        return photometric_step(network, batch, self._stage, generator, self._config.bf16)


def task_of(
    config: TrainingConfig, stage: SupervisedStage | PhotometricStage, device: torch.device
) -> Task:
    """The task a stage asks for."""
    if isinstance(stage, SupervisedStage):
        return SupervisedTask(config, stage, device)
    return PhotometricTask(config, stage, device)
