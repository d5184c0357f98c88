"""What a stage of training learns: where its frames come from and how a step scores them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import (
    AnyStage,
    ClipStage,
    DistillStage,
    PhotometricStage,
)
from kdbts_ros.learning.config.stages import Stage, SupervisedStage
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.frames import sources
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.distillation import distill_step
from kdbts_ros.learning.losses.encoding import encoder_precision
from kdbts_ros.learning.losses.photometric import ClipBatch, collate_clips, photometric_step
from kdbts_ros.learning.losses.supervised import collate, supervised_step
from kdbts_ros.learning.run.batch_norm import frozen
from kdbts_ros.learning.weights.building import start_trunk


class Task(Protocol):
    """One kind of stage."""

    def holding(
        self, network: DensityNetwork, warming: bool = False
    ) -> AbstractContextManager[None]:
        """Within, the parts of the network that this stage does not teach are frozen.

        warming: that is the whole encoder for now, see `Stage.warm_decoder`.
        """
        ...

    def source(self) -> Callable[[int], Any]:
        """A picklable function from a number to a training frame."""
        ...

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        draws: Draws,
    ) -> dict[str, Tensor]:
        """Losses of a batch of frames; `loss` is the one to descend."""
        ...


class Lesson(nn.Module):
    """A network with its task: the forward pass is from frames to losses.

    Processes that share a batch exchange gradients of what a forward pass has used.
    """

    def __init__(self, network: DensityNetwork, task: Task) -> None:
        super().__init__()
        self.network = network
        self._task = task

    def forward(self, frames: list[Any], draws: Draws) -> dict[str, Tensor]:
        """See `Task.losses`."""
        return self._task.losses(self.network, frames, draws)


class SupervisedTask:
    """Exact occupancy and depth of procedural worlds."""

    def __init__(self, config: TrainingConfig, stage: SupervisedStage, device: torch.device):
        self._config, self._stage, self._device = config, stage, device
        self._precision = encoder_precision(config.precision, device)
        self._start = start_trunk(config.network) if stage.feature_distance else None
        if self._start is not None:
            self._start.to(device)
        self._teacher = _feature_teacher(config, stage)
        if self._teacher is not None:
            self._teacher.to(device)

    def holding(
        self, network: DensityNetwork, warming: bool = False
    ) -> AbstractContextManager[None]:
        return _held(network, self._stage, warming)

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
            low_share=self._stage.low_cameras,
            alone_share=self._stage.one_camera,
            high_share=self._stage.high_cameras,
            heights=self._stage.camera_heights,
            streets=dict(self._stage.streets),
            hills=self._stage.hills,
            near=self._config.network.depth_near,
            near_share=self._stage.near_share,
            places=dict(self._stage.places),
            camera=self._config.network.training_camera,
            steep_share=self._stage.steep_cameras,
        )

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        draws: Draws,
    ) -> dict[str, Tensor]:
        batch = collate(frames, self._stage, draws.rngs).to(self._device)
        return supervised_step(
            network, batch, self._stage, draws, self._precision, self._start, self._teacher
        )


def _feature_teacher(config: TrainingConfig, stage: SupervisedStage) -> DensityNetwork | None:
    """The network whose features a stage draws the learner's to.

    Raises:
        UserError: it cannot be read, or has another number of features.
    """
    if stage.feature_teacher is None:
        return None
    teacher, info = load_network(stage.feature_teacher)
    theirs, ours = info.spec.feature_channels, config.network.feature_channels
    if theirs != ours:
        raise UserError(
            f"the feature teacher {info.source} has {theirs} features, the network {ours}"
        )
    return teacher.requires_grad_(False)


class ClipTask:
    """What the stages that learn from clips of posed images have in common."""

    def __init__(self, config: TrainingConfig, stage: ClipStage, device: torch.device):
        self._size = config.network.image_width, config.network.image_height
        self._precision = encoder_precision(config.precision, device)
        self._clips, self._device = stage, device

    def source(self) -> Callable[[int], Any]:
        if self._clips.source == "synthetic":
            return sources.SyntheticClips(*self._size)
        return sources.RecordedClips(self._clips, *self._size)

    def _batch(self, frames: list[Any], draws: Draws) -> ClipBatch:
        clips = self._clips
        return collate_clips(frames, clips.patches, draws.rngs, clips.views).to(self._device)


class PhotometricTask(ClipTask):
    """Stereo pairs at two times, learnt from images and poses alone."""

    def __init__(self, config: TrainingConfig, stage: PhotometricStage, device: torch.device):
        super().__init__(config, stage, device)
        self._stage = stage

    def holding(
        self, network: DensityNetwork, warming: bool = False
    ) -> AbstractContextManager[None]:
        return _held(network, self._stage, warming)

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        draws: Draws,
    ) -> dict[str, Tensor]:
        batch = self._batch(frames, draws)
        return photometric_step(network, batch, self._stage, draws, self._precision)


class DistillTask(ClipTask):
    """A teacher's densities, and where wanted images and poses, learnt by a single-view student."""

    def __init__(self, config: TrainingConfig, stage: DistillStage, device: torch.device):
        super().__init__(config, stage, device)
        self._stage = stage
        self._teacher: DensityNetwork | None = None
        if stage.teacher is not None:
            teacher, info = load_network(stage.teacher)
            if not teacher.density_head.multi_view:
                raise UserError(
                    f"the teacher {info.source} has the head '{info.spec.head}', which reads one "
                    "view; a teacher must fuse several"
                )
            self._teacher = teacher.to(device).requires_grad_(False)

    def holding(
        self, network: DensityNetwork, warming: bool = False
    ) -> AbstractContextManager[None]:
        if self._stage.freeze and network.student is not None:
            return frozen(network.encoder, network.decoder, network.head)
        if self._stage.freeze:
            return frozen(network.encoder, network.decoder)
        return _held(network, self._stage, warming)

    def losses(
        self,
        network: DensityNetwork,
        frames: list[Any],
        draws: Draws,
    ) -> dict[str, Tensor]:
        batch = self._batch(frames, draws)
        return distill_step(network, self._teacher, batch, self._stage, draws, self._precision)


def _held(network: DensityNetwork, stage: Stage, warming: bool) -> AbstractContextManager[None]:
    levels = network.encoder.levels() if stage.freeze_levels else ()
    held = [module for level in levels[: stage.freeze_levels] for module in level]
    if stage.freeze_trunk or warming:
        held.append(network.encoder)
    if stage.freeze_trunk:
        held.append(network.decoder)
    if stage.freeze_student and network.student is not None:
        held.append(network.student)
    return frozen(*held) if held else nullcontext()


def task_of(config: TrainingConfig, stage: AnyStage, device: torch.device) -> Task:
    """The task a stage asks for.

    Raises:
        UserError: a teacher that cannot be read, or that reads one view.
    """
    if isinstance(stage, SupervisedStage):
        return SupervisedTask(config, stage, device)
    if isinstance(stage, DistillStage):
        return DistillTask(config, stage, device)
    return PhotometricTask(config, stage, device)
