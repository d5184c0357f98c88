"""A moving average of the weights, which often generalises better than the last step's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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
