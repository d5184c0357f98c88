"""How a run descends: the rate over a stage, a step of the optimiser, the average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.learning.config.stages import OptimiserConfig, Stage
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.run.parallel import Ranks

Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]


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


def level_factors(optimiser: OptimiserConfig, levels: int) -> list[float]:
    """What the rate is multiplied by for each level of the encoder, the finest first."""
    deepest = range(levels - 1, -1, -1)
    return [optimiser.trunk_rate * optimiser.trunk_decay**above for above in deepest]


class WeightAverage:
    """Exponential average of parameters and running statistics; decay 0 keeps none."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._averaged: AveragedModel | None = None
        if decay:
            self._averaged = AveragedModel(
                network, multi_avg_fn=_following(decay), use_buffers=True
            )
            # Torch would throw away the weights that the network starts from; a run from a
            # checkpoint would lose the half of its average that is known to be good.
            self._averaged.n_averaged += 1

    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        if self._averaged is not None:
            self._averaged.update_parameters(network)

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Within, the network carries the average; its own weights return afterwards."""
        if self._averaged is None:
            yield
            return
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self._values())
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor | int]:
        """Tensors by name, and the number of updates."""
        updates = 0 if self._averaged is None else int(self._averaged.n_averaged) - 1
        floats = {k: v for k, v in self._values().items() if v.is_floating_point()}
        return {**floats, "updates": updates}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Continue from `state_dict`; an average switched on since starts anew."""
        for name, value in self._values().items():
            saved = state.get(name)
            if isinstance(saved, Tensor) and self._averaged is not None:
                value.copy_(saved)
                self._averaged.n_averaged.fill_(int(state["updates"]) + 1)

    def _values(self) -> dict[str, Tensor]:
        """The tensors of the average themselves, by their names in the network."""
        return {} if self._averaged is None else self._averaged.module.state_dict()


def _following(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """How averages follow: slowly in the long run, faster while the start is to be forgotten."""

    @torch.no_grad()
    def follow(averages: Tensors, current: Tensors, updates: Tensor | int) -> None:
        kept = min(decay, (1 + int(updates)) / (10 + int(updates)))
        for average, value in zip(averages, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - kept)
            else:
                average.copy_(value)

    return follow


class Descent:
    """AdamW over a network, its loss scale for float16 and the moving average of the weights.

    With `weight_decay: 0` this is Adam, as the papers train.
    """

    def __init__(
        self, network: DensityNetwork, config: TrainingConfig, ranks: Ranks, device: torch.device
    ) -> None:
        self._network = network
        self._ranks = ranks
        self._device = device
        self._levels = _levels(network) if _by_levels(config) else []
        inside = {p for level in self._levels for p in level}
        rest = [p for p in network.parameters() if p not in inside]
        groups = [group for group in (rest, *self._levels) if group]
        self._optimiser = torch.optim.AdamW([{"params": group} for group in groups])
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
        factors = level_factors(settings, len(self._levels))
        for group, factor in zip(self._optimiser.param_groups, [1.0, *factors], strict=True):
            group["lr"], group["weight_decay"] = rate * factor, settings.weight_decay
        parameters = list(self._network.parameters())
        self._optimiser.zero_grad(set_to_none=True)
        with self._ranks.bounded():
            self._scaler.scale(losses["loss"]).backward()  # type: ignore[no-untyped-call]
        # The mean was taken before: an overflow in one process makes all of them skip the step.
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


def _by_levels(config: TrainingConfig) -> bool:
    """Whether any stage has rates of its own for the encoder."""
    optimisers = [stage.optimiser for stage in config.stages]
    return any(o.trunk_rate != 1 or o.trunk_decay != 1 for o in optimisers)


def _levels(network: DensityNetwork) -> list[list[nn.Parameter]]:
    """The parameters of the levels of the encoder, the finest first."""
    levels = network.encoder.levels()
    return [[p for module in level for p in module.parameters()] for level in levels]
