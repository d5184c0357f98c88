"""Where the network runs and in what precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

import torch

from kdbts_ros.errors import UserError

# Of convolutions; densities are always float32.
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
# Those of half a width, which the GPU's own engine takes.
HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


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


def choose_precision(name: str, device: torch.device) -> Precision:
    """ "auto" takes bfloat16 convolutions where the hardware has units for them, else float32.

    A processor without any such instructions emulates them, ten times slower than float32. AVX-512
    alone has some, and is slower by them too: a step of training by 1.1 to 1.3, a map by 2.
    """
    if name == "auto":
        return "bfloat16" if _multiplies_bfloat16(device) else "float32"
    if name not in get_args(Precision):
        raise UserError(f"unknown precision '{name}', use auto, {', '.join(get_args(Precision))}")
    return cast(Precision, name)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older releases of torch do not tell; the names differ between architectures.
    has: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has.get(name, False) for name in ("amx_bf16", "bf16"))
