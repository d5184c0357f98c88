"""Which engine answers: the fastest that the device has, and that says what torch alone says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast, get_args

import torch

from kdbts_ros.density.engines.cpu import openvino_trunk
from kdbts_ros.density.engines.cpu.engine import CpuEngine
from kdbts_ros.density.engines.cpu.openvino_trunk import OpenVinoField
from kdbts_ros.density.engines.cuda import support
from kdbts_ros.density.engines.cuda.engine import CudaEngine
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.interface import Engine
from kdbts_ros.density.engines.plain_torch import PlainTorch
from kdbts_ros.density.engines.self_check import LIMITS, LIMITS_OF_INT8, check_views, differences
from kdbts_ros.density.network.activation_ranges import NOTE, Ranges, read_note
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.precision import Precision, choose_precision
from kdbts_ros.errors import UserError, in_one_line

# Whose convolutions a CPU runs: "auto" takes OpenVINO's for 8 bits, which torch has none for, and
# torch's for all else, so that what else is installed changes no map.
Convolutions: TypeAlias = Literal["auto", "torch", "openvino"]
# What an engine runs convolutions in; training has no 8 bits.
EnginePrecision: TypeAlias = Precision | Literal["int8"]


def inference_precision(name: str, device: torch.device) -> EnginePrecision:
    """As `choose_precision`, but "auto" takes float16 where the GPU's own engine can run.

    There it is as fast as bfloat16 and eight times as exact; training would have to scale losses.
    On a CPU it takes float32: weights are laid out for that alone, and bfloat16 is on the edge of
    what `self_check` lets pass. "int8" is for a CPU alone, and never chosen unasked.
    """
    if name not in (known := ("auto", *get_args(Precision), "int8")):
        raise UserError(f"unknown precision '{name}', use one of {', '.join(known)}")
    if name == "int8":
        if device.type != "cpu":
            raise UserError(f"precision int8 is for a CPU, not for device {device}: use float16")
        return "int8"
    if name == "auto" and device.type == "cpu":
        return "float32"
    if name == "auto" and support.available(device):
        return "float16"
    return choose_precision(name, device)


def choose_engine(
    network: DensityNetwork,
    device: torch.device,
    precision: str,
    convolutions: str = "auto",
    notes: Mapping[str, str] | None = None,
) -> Engine:
    """The fastest engine for a network on its device: compiled loops, CUDA kernels, torch.

    notes: the checkpoint's, among them what precision "int8" needs to know.

    Raises:
        UserError: what was asked for by name is not here.
    """
    by_openvino = chosen_convolutions(convolutions, device, precision) == "openvino"
    field = FoldedField(network)
    if by_openvino:
        ranges = _ranges(network, notes or {}) if precision == "int8" else None
        return CpuEngine(field, precision, OpenVinoField(network, field.own, ranges))
    if device.type == "cpu":
        return CpuEngine(field, precision)
    missing = support.lacking(device)
    if missing:
        return PlainTorch(field, precision, (f"CUDA kernels are not used, {missing}",))
    return CudaEngine(field, precision)


def chosen_convolutions(name: str, device: torch.device, precision: str) -> Convolutions:
    """What "auto" means, "torch" or "openvino".

    Raises:
        UserError: an unknown name, or what is asked for does not go together or is not installed.
    """
    if name not in get_args(Convolutions):
        known = ", ".join(get_args(Convolutions))
        raise UserError(f"unknown convolutions '{name}', use one of {known}")
    chosen = cast(Convolutions, name)
    if chosen == "auto":
        chosen = "openvino" if precision == "int8" else "torch"
    if chosen == "torch":
        if precision == "int8":
            raise UserError("precision int8 needs convolutions openvino or auto, not torch")
        return chosen
    if device.type != "cpu":
        raise UserError(f"convolutions openvino are for a CPU, not for device {device}")
    if precision not in ("float32", "int8"):
        raise UserError(f"convolutions openvino have precision float32 or int8, not {precision}")
    if not openvino_trunk.installed():
        asked = "precision int8" if precision == "int8" else "convolutions openvino"
        raise UserError(f"{asked} needs OpenVINO: {openvino_trunk.INSTALL}")
    return chosen


def _ranges(network: DensityNetwork, notes: Mapping[str, str]) -> Ranges:
    ranges = read_note(notes.get(NOTE), network)
    if ranges is None:
        raise UserError(
            "precision int8 needs weights that know what their convolutions read: "
            "`kdbts quantise CHECKPOINT --out FILE` writes such a file"
        )
    return ranges


def proven(engine: Engine, network: DensityNetwork, device: torch.device) -> Engine:
    """The engine, or the first one down from it, whose heads say what the plain formulation says.

    What is to be compiled is compiled here.
    """
    views = check_views(network.spec)
    for index, head in enumerate(network.heads().values()):
        shown = views if head.multi_view else views[:1]
        while True:
            failed: Exception | None = None
            try:
                encoded = [EncodedView.of(v, v.image, engine.encode, device) for v in shown]
                found = differences(engine.queries(index, encoded), encoded, network, head)
                if found.acceptable(LIMITS_OF_INT8 if engine.precision == "int8" else LIMITS):
                    break
                fault = str(found)
            except Exception as error:  # a kernel that does not compile
                fault, failed = in_one_line(error), error
            below = engine.weaker(index, fault)
            if below is None and failed is not None:
                raise failed
            if below is None:
                break
            engine = below
    return engine
