"""Whether this machine has what the GPU's own engine needs; light to import."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import torch

from kdbts_ros.density.network.heads import MultiViewHead, SimpleMultiViewHead

if TYPE_CHECKING:
    from kdbts_ros.density.engines.folding import FoldedHead

# Matrix units for half precision, as the kernels ask for them, came with this capability.
_LEAST_CAPABILITY = (8, 0)


def available(device: torch.device) -> bool:
    """Whether kernels can be compiled for and run on the device."""
    return not lacking(device)


def lacking(device: torch.device) -> str:
    """What keeps kernels from running on the device, as part of a sentence; "" for nothing."""
    if device.type != "cuda":
        return f"the device is {device.type}"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    found = torch.cuda.get_device_capability(device)
    if found < _LEAST_CAPABILITY:
        least = ".".join(map(str, _LEAST_CAPABILITY))
        return f"the GPU has capability {found[0]}.{found[1]}, they need {least}"
    return ""


def supports(head: FoldedHead) -> bool:
    """Whether the kernels know a head: of one view, its hidden layer a power of two wide."""
    return not head.head.multi_view and _fits(head)


def fuses(head: FoldedHead) -> bool:
    """Whether the kernel of several views knows a head: one that weighs votes by confidence."""
    return isinstance(head.head, MultiViewHead | SimpleMultiViewHead) and _fits(head)


def _fits(head: FoldedHead) -> bool:
    hidden = head.arrays.hidden
    return hidden >= 16 and hidden & (hidden - 1) == 0
