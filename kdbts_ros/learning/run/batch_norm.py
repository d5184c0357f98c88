"""What batch norms do in training: one statistic for all processes, or none that moves.

Freezing a part of a network is more than `requires_grad_(False)`, which leaves its batch norms
drifting; hence both are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


class SharedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics in training are those of all processes' images together."""

    def forward(self, input: Tensor) -> Tensor:
        """(N,C,H,W), each process its own N, to the same shape."""
        if not self.training:
            return super().forward(input)
        # Squares of bfloat16 would lose what their small differences say.
        x = input.float()
        count = x.new_full((1,), x.numel() / x.shape[1])
        message = torch.cat([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3)), count])
        total: Tensor = all_reduce(message, dist.ReduceOp.SUM)  # type: ignore[no-untyped-call]
        sums, squares, number = torch.split(total, [x.shape[1], x.shape[1], 1])
        mean = sums / number
        variance = (squares / number - mean * mean).clamp_min(0)
        self._move_statistics(mean.detach(), variance.detach(), number.detach())
        scale = torch.rsqrt(variance + self.eps) * self.weight
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _move_statistics(self, mean: Tensor, variance: Tensor, number: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        unbiased = variance * number / (number - 1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked += 1


def share_batch_norms(module: nn.Module, device: torch.device) -> None:
    """Replace every BatchNorm2d within a module by one that is shared; weights are kept.

    PyTorch's own wants GPUs; where processes meet by gloo, ours does the same.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared.to(child.weight.device).train(child.training))
        else:
            share_batch_norms(child, device)


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
