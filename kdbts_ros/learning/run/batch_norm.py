"""Batch norms over the whole batch when several processes share it.

PyTorch's own synchronised batch norm needs GPUs; this one works wherever processes can add, so that
what is tested on two CPU processes is what runs on many GPUs.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


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


def share_batch_norms(module: nn.Module) -> None:
    """Replace every BatchNorm2d within a module by one that is shared; weights are kept."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared.to(child.weight.device).train(child.training))
        else:
            share_batch_norms(child)
