"""Training from start to end, and from wherever it stopped, in one process or in many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.network.precision import choose_device
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.learning.config.stages import Stage
from kdbts_ros.learning.config.training import NetworkConfig, TrainingConfig
from kdbts_ros.learning.frames.draws import Draws, seed_of
from kdbts_ros.learning.frames.pool import FramePlan, FramePool
from kdbts_ros.learning.record.diary import Diary
from kdbts_ros.learning.record.progress import Progress, StepReport
from kdbts_ros.learning.record.run_folder import RunFolder
from kdbts_ros.learning.run import resuming
from kdbts_ros.learning.run.batch_norm import frozen_statistics, share_batch_norms
from kdbts_ros.learning.run.interruption import Interruption
from kdbts_ros.learning.run.optimiser import Descent, stage_share
from kdbts_ros.learning.run.parallel import LostProcess, Ranks
from kdbts_ros.learning.run.tasks import Lesson, task_of
from kdbts_ros.learning.weights.building import build_network
from kdbts_ros.reading import telling

# Worlds of different stages of one config stay different unless their pools say otherwise.
SEEDS_PER_STAGE = 10_000_000


@dataclass
class Position:
    """Where a run stands; together with the config this decides every random number to come.

    Attributes:
        stage, stage_step, stage_seconds: the stage, and how much of it is done.
        step: steps of the whole run.
        best: the best figure of `watch.best` so far and the step that gave it; empty before.
    """

    stage: int = 0
    stage_step: int = 0
    stage_seconds: float = 0.0
    step: int = 0
    best: dict[str, float] = field(default_factory=dict)


class Trainer:
    """One run: stages in order, its state on disk every now and then.

    Args:
        resume: continue from the state in the run's folder.
        ranks: this process among those that train together.
        writes: whether the leading process may write to the run's folder.
    """

    def __init__(
        self,
        config: TrainingConfig,
        resume: bool,
        ranks: Ranks | None = None,
        writes: bool = True,
    ) -> None:
        self.ranks = ranks or Ranks()
        writes = writes and self.ranks.leads
        if writes and RunFolder.holds_state(config) and not resume:
            raise UserError(
                f"the run {config.folder} exists already: use --resume, or --set name=another"
            )
        torch.set_num_threads(max(1, config.threads // self.ranks.on_machine))
        torch.manual_seed(config.seed)
        self.config = config
        self._identity = resuming.identity_of(config)
        self.folder = RunFolder(config, writes)
        self.device = self.ranks.device(choose_device(config.device))
        self.network = build_network(config.network).to(self.device)
        if self.ranks.world > 1:
            share_batch_norms(self.network, self.device)
        self.descent = Descent(self.network, config, self.ranks, self.device)
        self.position = Position()
        self.listeners: list[Callable[[StepReport], None]] = []
        self._interruption = Interruption()
        self._saved_at = self._looked_at = time.monotonic()
        if resume:
            content = self.folder.read_state() if self.ranks.leads else b""
            self._restore(self.folder.decode_state(self.ranks.bytes_from_first(content)))
        self.folder.note(config)
        self.diary = Diary(config, self.folder) if writes else None

    @property
    def step(self) -> int:
        """Steps taken in the whole run."""
        return self.position.step

    def run(self) -> bool:
        """Train to the end; False when Ctrl-C or SIGTERM ended it early, with the state saved.

        Raises:
            UserError: the disk is full, frames cannot be made, another process was lost; the
                last state is kept.
        """
        if self.diary is not None and self.step:
            self.diary.resumed(self.step)
        try:
            with self._interruption:
                while self.position.stage < len(self.config.stages):
                    if not self._run_stage(self.position.stage):
                        self._save()
                        return False
                    position = self.position
                    self._keep_stage(position.stage)
                    self.position = Position(position.stage + 1, step=self.step, best=position.best)
                    self._save()
        except LostProcess:
            # The last step that all processes took together is complete here.
            self._save()
            raise
        return True

    def export(self, path: Path | None = None) -> Path:
        """Write the (averaged) weights with a summary of the run as safetensors."""
        notes = {
            "run": self.config.name,
            "steps": str(self.step),
            "stages": json.dumps([stage.model_dump() for stage in self.config.stages]),
            "seed": str(self.config.seed),
        }
        if (camera := self.config.network.training_camera) is not None:
            notes["camera"] = camera.note()
        target = path or self.folder.path / f"{self.config.name}.safetensors"
        with self.descent.average.applied(self.network):
            return save_network(target, self.network, notes)

    def _keep_stage(self, index: int) -> None:
        """Keep what a stage has reached: the next one may lose some of it."""
        if self.diary is not None and index + 1 < len(self.config.stages):
            self.export(self.folder.path / f"stage{index}.safetensors")

    def _run_stage(self, index: int) -> bool:
        """Take the steps of a stage; False when the run was interrupted."""
        stage = self.config.stages[index]
        places = self.ranks.places(stage.batch)
        task = task_of(self.config, stage, self.device)
        progress = Progress(index, len(self.config.stages), stage, shown=self.ranks.leads)
        pool: FramePool[Any] = FramePool(
            task.source(),
            FramePlan(stage.pool, stage.batch, seed_of(self.config.seed, index)),
            places,
            stage.pool.seed + SEEDS_PER_STAGE * index,
            stage.pool.workers,
            self.position.stage_step,
        )
        with (
            frozen_statistics(*([self.network] if self.config.frozen_statistics else [])),
            ExitStack() as held,
            pool,
            progress,
        ):
            warming, lesson = None, None
            while True:
                started = time.monotonic()
                self._await_frames(pool, progress)
                stop, share = self._agree(stage)
                if stop:
                    return False
                if share >= 1:
                    self._look(progress)
                    return True
                if lesson is None or warming != (share < stage.warm_decoder):
                    warming = share < stage.warm_decoder
                    held.close()
                    held.enter_context(task.holding(self.network, warming))
                    lesson = self.ranks.sharing_gradients(Lesson(self.network, task))
                waited = time.monotonic() - started
                frames = pool.take(self.position.stage_step)
                values = self._step(lesson, frames, stage, share, places)
                seconds = time.monotonic() - started
                self.position.stage_seconds += seconds
                self.position.stage_step += 1
                self.position.step += 1
                self._tell(
                    StepReport(self.step, index, share, stage.batch, values, seconds, waited),
                    progress,
                )

    def _await_frames(self, pool: FramePool[Any], progress: Progress) -> None:
        step = self.position.stage_step
        while not pool.gather(step, 1.0) and not self._interruption.asked:
            progress.waiting(pool.missing(step))

    def _agree(self, stage: Stage) -> tuple[bool, float]:
        """Whether any process was asked to stop, and how much of the stage is over for all."""
        share = stage_share(stage, self.position.stage_step, self.position.stage_seconds)
        stop, share = self.ranks.largest([float(self._interruption.asked), share], self.device)
        return stop > 0, share

    def _step(
        self, lesson: nn.Module, frames: list[Any], stage: Stage, share: float, places: range
    ) -> dict[str, float]:
        position = self.position
        draws = Draws(self.config.seed, position.stage, position.stage_step, places)
        # For what draws from torch's own generator, such as dropout.
        torch.manual_seed(seed_of(self.config.seed, self.step, self.ranks.rank))
        self.network.train()
        with self.ranks.bounded():
            losses = lesson(frames, draws)
        return self.descent.step(losses, stage.optimiser, position.stage_step, share)

    def _tell(self, report: StepReport, progress: Progress) -> None:
        """Let everybody know of a step, and do what is due every now and then."""
        progress.step(report)
        for listener in self.listeners:
            listener(report)
        if self.diary is None:
            return
        self.diary.step(report)
        now = time.monotonic()
        if now - self._saved_at > self.config.checkpoint_seconds:
            self._save()
        if now - self._looked_at > 60 * self.config.watch.every_minutes:
            self._look(progress)

    def _look(self, progress: Progress) -> None:
        """Watch what is held out; the best network so far is kept beside the last."""
        if self.diary is None:
            return
        with self.descent.average.applied(self.network):
            self.network.eval()
            figures = self.diary.look(self.network, self.step)
            self.network.train()
        progress.say(f"step {self.step}: " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        value = figures.get(self.config.watch.best)
        best = self.position.best
        if value is not None and self.config.watch.improves(value, best.get("value")):
            self.position.best = {"step": self.step, "value": value}
            self.export(self.folder.path / "best.safetensors")
        self._looked_at = time.monotonic()

    def _save(self) -> None:
        self.folder.save_state(
            {
                "network_config": self.config.network.model_dump_json(),
                "made_from": resuming.written(self._identity),
                "network": self.network.state_dict(),
                "descent": self.descent.state_dict(),
                "position": asdict(self.position),
            }
        )
        self._saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        with telling(
            lambda reason: (
                f"the state in {shown(self.folder.path)} is damaged ({reason}): remove "
                "it and start again"
            ),
            "torch",
        ):
            try:
                # Keys that a state of before does not know had their default.
                before = NetworkConfig.model_validate_json(state["network_config"])
                if before != self.config.network:
                    raise UserError(
                        "the network section of the config differs from that of "
                        f"{self.folder.path}: undo the change or start a run of another name"
                    )
                saved = resuming.read(state.get("made_from"))
                if saved is not None:
                    resuming.refuse_other(
                        resuming.completed(saved, self.config),
                        self._identity,
                        f"the config is not that of the run {shown(self.folder.path)}",
                        "Undo the change to resume, or start a run of another name.",
                    )
                self.network.load_state_dict(state["network"])
                self.descent.load_state_dict(state["descent"])
                self.position = Position(**state["position"])
            except KeyError as error:
                raise UserError(f"the state in {self.folder.path} lacks {error}") from error
