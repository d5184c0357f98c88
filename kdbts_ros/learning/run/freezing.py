"""Keeping parts of a network as they are while others learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    """Within, batch norms of the modules use their running statistics and do not move them.

    `requires_grad_(False)` alone leaves a batch norm in training mode, whose statistics then
    drift although nothing is said to learn; and `eval()` is undone by the next `train()` of the
    whole network. Here the mode is set at each forward pass, so that neither matters. The modes
    from before return afterwards.
    """
    norms = {m for module in modules for m in module.modules() if isinstance(m, _BatchNorm)}
    with ExitStack() as held:
        for norm in norms:
            held.callback(setattr, norm, "training", norm.training)
            held.callback(norm.register_forward_pre_hook(_to_eval).remove)
        yield


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Within, neither weights nor running statistics of the modules change."""
    learning = [p for module in modules for p in module.parameters() if p.requires_grad]
    with frozen_statistics(*modules):
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)


def _to_eval(norm: nn.Module, arguments: Any) -> None:
    norm.training = False
