"""One step of the optimiser: gradients of all processes, clipped, in the precision asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kdbts_ros.learning.config.stages import OptimiserConfig
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.run.average import WeightAverage
from kdbts_ros.learning.run.parallel import Ranks
from kdbts_ros.learning.run.schedule import learning_rate


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
