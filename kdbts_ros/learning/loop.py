"""Training from start to end, and from wherever it stopped."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from kdbts_ros.density.checkpoint import load_network, save_network
from kdbts_ros.density.device import choose_device
from kdbts_ros.density.network import SINGLE_VIEW_HEADS, DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError
from kdbts_ros.learning.adoption import adopt
from kdbts_ros.learning.average import WeightAverage
from kdbts_ros.learning.config import NetworkConfig, Stage, TrainingConfig
from kdbts_ros.learning.freezing import frozen_statistics
from kdbts_ros.learning.pool import FramePool
from kdbts_ros.learning.progress import Progress
from kdbts_ros.learning.run_folder import RunFolder
from kdbts_ros.learning.schedule import learning_rate, stage_share
from kdbts_ros.learning.tasks import task_of
from kdbts_ros.learning.watch import Watcher


def build_network(config: NetworkConfig) -> DensityNetwork:
    """A fresh network as thin fog, or the one to start from.

    Raises:
        UserError: the checkpoint to start from cannot be read or is of another architecture.
    """
    single = config.head in SINGLE_VIEW_HEADS
    widths: tuple[int, ...] = (config.head_width,)
    if config.head == "mvbts":
        widths = config.multi_view_widths
    spec = NetworkSpec(
        layers=config.layers,
        feature_channels=config.feature_channels,
        decoder_channels=config.decoder_channels,
        head=config.head,
        head_widths=widths,
        image_height=config.image_height,
        image_width=config.image_width,
        # Worlds are rendered with smoothed edges: camera images must not come in with aliases.
        resize="area",
        student_widths=(config.head_width,) if config.student and not single else (),
    )
    network = DensityNetwork(spec)
    for head in network.heads().values():
        torch.nn.init.constant_(head.output_bias(), config.density_bias)
    if config.start_from is not None:
        adopt(network, *load_network(config.start_from))
    return network


class Trainer:
    """One run: stages in order, its state on disk every now and then."""

    def __init__(self, config: TrainingConfig, resume: bool) -> None:
        if RunFolder.holds_state(config) and not resume:
            raise UserError(
                f"the run {config.folder} exists already: use --resume, or --set name=another"
            )
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = RunFolder(config)
        self.device = choose_device(config.device)
        self.network = build_network(config.network).to(self.device)
        self.optimiser = torch.optim.AdamW(self.network.parameters())
        self.average = WeightAverage(self.network, config.average)
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.stage, self.stage_step, self.stage_seconds = 0, 0, 0.0
        self.step, self.received = 0, 0
        self._interrupted = False
        self._saved_at = self._watched_at = time.monotonic()
        self._unsaved_pool: FramePool[Any] | None = None
        if resume:
            self._restore(self.folder.load_state())

    def run(self) -> bool:
        """Train to the end; False when Ctrl-C or SIGTERM ended it early, with the state saved."""
        watcher = Watcher(self.config, self.folder)
        with _stopped_by_signals(self._interrupt):
            for index in range(self.stage, len(self.config.stages)):
                self._run_stage(index, watcher)
                if self._interrupted:
                    self._save()
                    return False
                self.stage, self.stage_step, self.stage_seconds = index + 1, 0, 0.0
                self._save()
        return True

    def export(self, path: Path | None = None) -> Path:
        """Write the (averaged) weights with a summary of the run as safetensors."""
        notes = {
            "run": self.config.name,
            "steps": str(self.step),
            "stages": json.dumps([stage.model_dump() for stage in self.config.stages]),
            "seed": str(self.config.seed),
        }
        target = path or self.folder.path / f"{self.config.name}.safetensors"
        with self.average.applied(self.network):
            return save_network(target, self.network, notes)

    def _run_stage(self, index: int, watcher: Watcher) -> None:
        stage = self.config.stages[index]
        task = task_of(self.config, stage, self.device)
        progress = Progress(index, len(self.config.stages), stage)
        pool: FramePool[Any]
        with (
            task.holding(self.network),
            frozen_statistics(*([self.network] if self.config.frozen_statistics else [])),
            FramePool(task.source(), stage.pool, self.rng, self.received) as pool,
            progress,
        ):
            while not pool.ready and not self._interrupted:
                pool.fill(1.0)
                progress.waiting(len(pool), stage.pool.minimum)
            while not self._interrupted:
                share = stage_share(stage, self.stage_step, self.stage_seconds)
                if share >= 1:
                    break
                started = time.monotonic()
                frames = pool.draw(stage.batch)
                waited = time.monotonic() - started
                self.network.train()
                losses = task.losses(self.network, frames, self.rng, self.generator)
                values = self._descend(losses, stage, share)
                self.received = pool.received
                self.stage_seconds += time.monotonic() - started
                self.stage_step += 1
                self.step += 1
                progress.step(self.stage_step, self.stage_seconds, stage.batch, values, waited)
                self._regularly(watcher, progress, values)
            if not self._interrupted:
                self._look(watcher, progress)

    def _descend(
        self, losses: dict[str, torch.Tensor], stage: Stage, share: float
    ) -> dict[str, float]:
        rate = learning_rate(stage.optimiser, self.stage_step, share)
        for group in self.optimiser.param_groups:
            group["lr"], group["weight_decay"] = rate, stage.optimiser.weight_decay
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), stage.optimiser.clip_norm)
        # One broken batch must not poison the weights of a long run.
        if torch.isfinite(norm):
            self.optimiser.step()
            self.average.update(self.network)
        values = {name: float(value.detach()) for name, value in losses.items()}
        return {**values, "rate": rate, "gradient": float(norm)}

    def _regularly(self, watcher: Watcher, progress: Progress, values: dict[str, float]) -> None:
        now = time.monotonic()
        if self.step % 20 == 0:
            rounded = {name: round(value, 6) for name, value in values.items()}
            self.folder.record(step=self.step, stage=self.stage, **rounded)
        if now - self._saved_at > self.config.checkpoint_seconds:
            self._save()
        if now - self._watched_at > 60 * self.config.watch.every_minutes:
            self._look(watcher, progress)

    def _look(self, watcher: Watcher, progress: Progress) -> None:
        with self.average.applied(self.network):
            self.network.eval()
            figures = watcher.look(self.network, self.step)
            self.network.train()
        self.folder.record(step=self.step, watched=figures)
        progress.say(f"step {self.step}: " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        self._watched_at = time.monotonic()

    def _save(self) -> None:
        self.folder.save_state(
            {
                "network_config": self.config.network.model_dump_json(),
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.state_dict(),
                "progress": {
                    "stage": self.stage,
                    "stage_step": self.stage_step,
                    "stage_seconds": self.stage_seconds,
                    "step": self.step,
                    "received": self.received,
                },
                "rng": json.dumps(self.rng.bit_generator.state),
                "generator": self.generator.get_state(),
            }
        )
        self._saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            same = json.loads(state["network_config"]) == json.loads(
                self.config.network.model_dump_json()
            )
            if not same:
                raise UserError(
                    f"the network section of the config differs from that of {self.folder.path}: "
                    "undo the change or start a run of another name"
                )
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average.load_state_dict(state["average"])
            self.rng.bit_generator.state = json.loads(state["rng"])
            self.generator.set_state(state["generator"])
            progress = state["progress"]
        except KeyError as error:
            raise UserError(f"the state in {self.folder.path} lacks {error}") from error
        self.stage, self.stage_step = progress["stage"], progress["stage_step"]
        self.stage_seconds, self.step = progress["stage_seconds"], progress["step"]
        self.received = progress["received"]

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True


class _stopped_by_signals:
    """Within, SIGINT and SIGTERM call a handler instead of ending the process."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handler = handler
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handler)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
