"""Means over what counts, exact when several processes share the batch."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def masked_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values that count, 0 where none does; both of one shape.

    The sum is divided by what processes count on average, not by what this one counts: the mean of
    the results over the processes, which training takes, is then the mean over their whole batch.
    """
    count = counted.sum(dtype=values.dtype)
    if dist.is_available() and dist.is_initialized():
        count = count.clone()
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    # Less than one may count per process, so that 1 is no safe floor here.
    return (values * counted).sum() / count.clamp_min(1e-6)
