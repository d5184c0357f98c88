"""Training a map head: its cells by cross entropy, mirrored and cut, with a running mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.map_head import EVERY, LOG_ODDS, unknown_as
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.errors import UserError
from kdbts_ros.learning.map_head.evidence import Evidence

# What is farther ahead than this share of the lattice counts less: hardly any map reaches there.
NEAR_SHARE, FAR_WEIGHT = 0.8, 0.25
# Of maps that end earlier than the image does, or were made by a narrower camera.
CUT = 0.4
# Half an angle of view, rad, and how far a cut map reaches, of the lattice.
ANGLES, REACHES = (0.35, 0.8), (0.4, 1.0)


@dataclass(frozen=True)
class FitSettings:
    """How a head is trained. epochs: how often each world is seen. mean: share of the running mean
    of weights that a step keeps."""

    epochs: float = 14.0
    batch: int = 8
    rate: float = 2e-3
    decay: float = 1e-3
    mean: float = 0.995
    seed: int = 0


class Fit:
    """A head while it is trained; `state` and `restore` continue it to the step.

    begin: a head of the same shape whose weights are learnt on with; None: it changes nothing yet.
    """

    def __init__(
        self,
        spec: MapHeadSpec,
        evidence: Sequence[Evidence],
        settings: FitSettings,
        begin: MapHeadNetwork | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.network = MapHeadNetwork(spec).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if begin is not None:
            self.network.load_state_dict(begin.state_dict())
        self._evidence, self._settings = evidence, settings
        self._places = [(f, k) for f, each in enumerate(evidence) for k in range(len(each.truth))]
        self.steps = max(1, round(settings.epochs * len(self._places) / settings.batch))
        self.step = 0
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.rate, weight_decay=settings.decay
        )
        self._rates = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, settings.rate, self.steps + 1, pct_start=0.15
        )
        self._mean = {k: v.clone() for k, v in self.network.state_dict().items()}

    def run(self, until: int, told: Callable[[float], None]) -> None:
        """Steps up to `until`; told the loss of each."""
        self.network.train()
        while self.step < min(until, self.steps):
            told(self._one_step())

    def averaged(self) -> MapHeadNetwork:
        """The running mean of the weights so far, as a network of its own."""
        network = MapHeadNetwork(self.network.spec)
        network.load_state_dict(self._mean)
        return network.eval()

    def state(self) -> dict[str, Any]:
        """All that continues this training: tensors and plain values."""
        return {
            "step": self.step,
            "steps": self.steps,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "rates": self._rates.state_dict(),
            "mean": self._mean,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`.

        Raises:
            UserError: it is of a training of another length: its rates were planned for that.
        """
        if state.get("steps") != self.steps:
            raise UserError(
                f"the saved training has {state.get('steps')} steps, and this one {self.steps}: "
                "give the first command's --worlds and --epochs, or remove state.pt"
            )
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._rates.load_state_dict(state["rates"])
        self._mean = dict(state["mean"])

    def _one_step(self) -> float:
        rng = np.random.default_rng([self._settings.seed, self.step])
        chosen = rng.choice(len(self._places), self._settings.batch)
        planes, features, truth = self._batch(chosen.tolist())
        planes, features, truth = _varied(planes, features, truth, rng)
        layout = torch.channels_last
        change = self.network(
            planes.contiguous(memory_format=layout), features.contiguous(memory_format=layout)
        )
        loss = loss_of(change, planes, truth)
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self._rates.step()
        self.step += 1
        # From few steps a short mean: it would otherwise begin with what knew nothing.
        kept = min(self._settings.mean, self.step / (self.step + 19))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self._mean[key].mul_(kept).add_(value, alpha=1 - kept)
        return float(loss.detach())

    def _batch(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        found = [(self._evidence[f], k) for f, k in (self._places[c] for c in chosen)]

        def stacked(part: str) -> Tensor:
            rows = [np.asarray(getattr(each, part)[k], np.float32) for each, k in found]
            return torch.from_numpy(np.stack(rows))

        return stacked("planes"), stacked("features"), stacked("truth")


def loss_of(change: Tensor, planes: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy of the cells that are known; change, truth (N,n,n), planes (N,PLANES,n,n)."""
    odds, known = planes[:, 0] * LOG_ODDS, planes[:, 2]
    n = change.shape[-1]
    weight = known * torch.where(torch.arange(n) < NEAR_SHARE * n, 1.0, FAR_WEIGHT)
    each = F.binary_cross_entropy_with_logits(change + odds, truth, reduction="none")
    return (each * weight).sum() / weight.sum().clamp_min(1)


def _varied(
    planes: Tensor, features: Tensor, truth: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch seen in a mirror or not, and some of its maps cut."""
    if rng.uniform() < 0.5:
        # A street is as likely the other way round.
        planes, features, truth = planes.flip(-2), features.flip(-2), truth.flip(-2)
    planes, features = planes.clone(), features.clone()
    for k in range(len(planes)):
        if rng.uniform() < CUT:
            left, seen = _cut(planes.shape[-1], rng)
            planes[k] = unknown_as(planes[k], left)
            features[k] *= seen[EVERY // 2 :: EVERY, EVERY // 2 :: EVERY]
    return planes, features, truth


def _cut(n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(n,n) bool: cells that stay known, and those that stay in the image."""
    along = (torch.arange(n) + 0.5) / n
    ahead, aside = along[None], (along - 0.5)[:, None]
    if rng.uniform() < 0.5:
        seen = (aside.abs() < ahead * float(np.tan(rng.uniform(*ANGLES)))).expand(n, n)
        return seen, seen
    reach = float(rng.uniform(*REACHES))
    return ((ahead < reach) & (aside.abs() < reach)).expand(n, n), torch.ones(n, n).bool()
