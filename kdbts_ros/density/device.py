"""Where the network runs and in what precision."""

from __future__ import annotations

import torch

from kdbts_ros.errors import UserError


def choose_device(name: str) -> torch.device:
    """ "auto" takes a GPU where one works; a named device that is absent is refused."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"unknown device '{name}', use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' was asked for but no GPU is usable; use device auto or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """ "auto" takes bfloat16 convolutions on a GPU that has them, float32 elsewhere."""
    if name not in ("auto", "float32", "bfloat16"):
        raise UserError(f"unknown precision '{name}', use auto, float32 or bfloat16")
    if name != "auto":
        return name
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast else "float32"
