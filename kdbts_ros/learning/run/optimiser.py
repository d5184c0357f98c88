"""How a run descends: the rate over a stage, a step of the optimiser, the average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kdbts_ros.learning.config.stages import OptimiserConfig, Stage
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.run.parallel import Ranks


def stage_share(stage: Stage, step: int, seconds: float) -> float:
    """How much of a stage is over, 0..1, by whichever limit is nearer."""
    by_steps = step / stage.steps if stage.steps else 0.0
    by_time = seconds / (60 * stage.minutes) if stage.minutes else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate(optimiser: OptimiserConfig, step: int, share: float) -> float:
    """Linear over the first steps, then down a half cosine or in steps.

    The cosine ends at the final rate when `share` is 1. Steps multiply the rate by `decay_factor`
    every `decay_steps` steps, whatever the length of the stage (the schedule of BTS: 0.1 every
    120,000), and never go below the final rate.
    """
    if optimiser.decay == "step":
        drops = step // optimiser.decay_steps
        rate = max(optimiser.final_rate, optimiser.rate * optimiser.decay_factor**drops)
    else:
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        rate = optimiser.final_rate + (optimiser.rate - optimiser.final_rate) * cosine
    if step < optimiser.warm_up_steps:
        rate *= (step + 1) / (optimiser.warm_up_steps + 1)
    return rate


class WeightAverage:
    """Exponential average of parameters and running statistics; decay 0 keeps none."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._values = _copies(network) if decay else {}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        self._updates += 1
        # Early averages must not remember the random start.
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        current = network.state_dict()
        for name, value in self._values.items():
            value.lerp_(current[name], 1 - decay)

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Within, the network carries the average; its own weights return afterwards."""
        if not self._values:
            yield
            return
        own = _copies(network)
        network.load_state_dict(self._values, strict=False)
        try:
            yield
        finally:
            network.load_state_dict(own, strict=False)

    def state_dict(self) -> dict[str, Tensor | int]:
        """Tensors by name, and the number of updates."""
        return {**self._values, "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Continue from `state_dict`; an average switched on since starts anew."""
        for name, value in self._values.items():
            saved = state.get(name)
            if isinstance(saved, Tensor):
                value.copy_(saved)
                self._updates = int(state["updates"])


def _copies(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.detach().clone()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


class Descent:
    """AdamW over a network, its loss scale for float16 and the moving average of the weights.

    With `weight_decay: 0` this is Adam, as the papers train.
    """

    def __init__(
        self, network: nn.Module, config: TrainingConfig, ranks: Ranks, device: torch.device
    ) -> None:
        self._network = network
        self._ranks = ranks
        self._device = device
        self._optimiser = torch.optim.AdamW(network.parameters())
        # Gradients of float16 vanish unless the loss is scaled up; bfloat16 has float32's range.
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        self.average = WeightAverage(network, config.average)

    def step(
        self, losses: Mapping[str, Tensor], settings: OptimiserConfig, step: int, share: float
    ) -> dict[str, float]:
        """Descend `loss`; the means of all losses over the processes, the rate and the gradient.

        Args:
            step, share: how many steps of the stage were taken, and how much of it is over.
        """
        rate = learning_rate(settings, step, share)
        for group in self._optimiser.param_groups:
            group["lr"], group["weight_decay"] = rate, settings.weight_decay
        parameters = list(self._network.parameters())
        self._optimiser.zero_grad(set_to_none=True)
        with self._ranks.bounded():
            self._scaler.scale(losses["loss"]).backward()  # type: ignore[no-untyped-call]
        # Before unscaling: an overflow in one process must make all of them skip the step.
        self._ranks.average_gradients(parameters)
        self._scaler.unscale_(self._optimiser)
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        # One broken batch must not poison the weights of a long run.
        if torch.isfinite(norm):
            self._scaler.step(self._optimiser)
            self.average.update(self._network)
        self._scaler.update()
        values = {name: float(value.detach()) for name, value in losses.items()}
        return {**self._ranks.mean(values, self._device), "rate": rate, "gradient": float(norm)}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return {
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; KeyError where something is missing."""
        self._optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])
        if state["scaler"] and self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])
