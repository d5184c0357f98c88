"""The training of an adaptation: looked at on held-out clips, saved, resumable, never for worse."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from kdbts_ros.adaptation.clips import Clip
from kdbts_ros.adaptation.judge import Judge, Score
from kdbts_ros.adaptation.rehearsal import Rehearsal
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.adaptation.step import adapt_step, collate
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.record.state_file import StateFile
from kdbts_ros.learning.run.batch_norm import frozen_statistics
from kdbts_ros.learning.run.interruption import Interruption
from kdbts_ros.learning.run.optimiser import WeightAverage
from kdbts_ros.learning.run.resuming import Identity, written

WARM_UP_STEPS = 30
CLIP_NORM = 5.0
WEIGHT_DECAY = 1e-4
AVERAGE = 0.98
SAVE_SECONDS = 60.0


class Supply(Protocol):
    """Where clips come from."""

    received: int

    def draw(self, count: int) -> list[Clip]:
        """Clips at random."""


class Display(Protocol):
    """Who hears how it goes: share 0..1 and a line of figures."""

    def __call__(self, share: float, text: str) -> None: ...


@dataclass
class Progress:
    """How far a session is; seconds of training. best_step -1: nothing better than the start."""

    step: int = 0
    seconds: float = 0.0
    received: int = 0
    worlds: int = 0
    best_step: int = -1


class Session:
    """Teaches a network; `best` holds the weights with the best look so far."""

    def __init__(
        self,
        network: DensityNetwork,
        start: DensityNetwork,
        judge: Judge,
        settings: AdaptSettings,
        state: StateFile,
        made_from: Identity,
    ) -> None:
        self.network, self.judge, self.settings = network, judge, settings
        self._made_from = made_from
        self.start = start.eval().requires_grad_(False)
        self._state = state
        self._device = next(network.parameters()).device
        self._optimiser = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        self._average = WeightAverage(network, AVERAGE)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.before = judge.score(judge.looks(self.start))
        self.best_score = self.before
        self._looked_at = self._saved_at = time.monotonic()

    def run(self, supply: Supply, rehearsal: Rehearsal | None, display: Display) -> bool:
        """Train to the end, on worlds as well where there is a rehearsal.

        False when Ctrl-C or SIGTERM ended it, with the state saved.
        """
        with Interruption() as stop, frozen_statistics(self.network):
            while not stop.asked and self.share < 1:
                began = time.monotonic()
                values = self._descend(supply.draw(self.settings.batch), rehearsal)
                self.progress.seconds += time.monotonic() - began
                self.progress.step += 1
                self.progress.received = supply.received
                if rehearsal is not None:
                    self.progress.worlds = rehearsal.supply.received
                display(self.share, self._line(values))
                self._regularly(display)
            if not stop.asked:
                self._look(display)
        self.save()
        return not stop.asked

    @property
    def share(self) -> float:
        """How much is done, 0..1."""
        return min(1.0, self.progress.seconds / (60 * self.settings.minutes))

    def save(self) -> None:
        """Write everything that `restore` needs."""
        self._state.save(
            {
                "made_from": written(self._made_from),
                "network": self.network.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "average": self._average.state_dict(),
                "best": self.best,
                "best_score": asdict(self.best_score),
                "progress": asdict(self.progress),
            }
        )
        self._saved_at = time.monotonic()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where a session was saved, see `saved_state`.

        Raises:
            UserError: a damaged state, or one of another network.
        """
        try:
            self.network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._average.load_state_dict(state["average"])
            self.best = dict(state["best"])
            self.best_score = Score(**state["best_score"])
            self.progress = Progress(**state["progress"])
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self._state.path} belongs to another network or version: remove it and start "
                f"again ({str(error).splitlines()[0]})"
            ) from error

    def _descend(self, clips: list[Clip], rehearsal: Rehearsal | None) -> dict[str, float]:
        draws = Draws(self.settings.seed, 0, self.progress.step, range(len(clips)))
        batch = collate(clips, self.settings, draws).to(self._device)
        rate = self.settings.rate * 0.5 * (1 + math.cos(math.pi * self.share))
        rate *= min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        losses = adapt_step(self.network, self.start, batch, self.settings, draws)
        if rehearsal is not None:
            known = rehearsal.losses(self.network, self.progress.step, self._device)
            losses["worlds"] = known["loss"].detach()
            losses["loss"] = losses["loss"] + self.settings.rehearsal * known["loss"]
        self._optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        # One broken batch must not poison the weights.
        if torch.isfinite(norm):
            self._optimiser.step()
            self._average.update(self.network)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _regularly(self, display: Display) -> None:
        now = time.monotonic()
        if now - self._looked_at > self.settings.look_seconds:
            self._look(display)
        if now - self._saved_at > SAVE_SECONDS:
            self.save()

    def _look(self, display: Display) -> None:
        with self._average.applied(self.network):
            self.network.eval()
            score = self.judge.score(self.judge.looks(self.network))
            if score.better_than(self.best_score):
                self.best_score, self.progress.best_step = score, self.progress.step
                self.best = {
                    k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()
                }
        display(
            self.share,
            f"held out: photometric {self.before.photometric:.4f} -> {score.photometric:.4f}, "
            f"depth {self.before.depth:.3f} -> {score.depth:.3f}",
        )
        self._looked_at = time.monotonic()

    def _line(self, values: dict[str, float]) -> str:
        shown = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
        pace = self.settings.batch * self.progress.step / max(self.progress.seconds, 1e-6)
        return f"step {self.progress.step}  {shown}  {pace:.1f} clips/s"
