"""Which engine answers: the fastest that the device has, and that says what torch alone says."""

from __future__ import annotations

import torch

from kdbts_ros.density.engines.cpu.engine import CpuEngine
from kdbts_ros.density.engines.cuda import support
from kdbts_ros.density.engines.cuda.engine import CudaEngine
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.interface import Engine
from kdbts_ros.density.engines.plain_torch import PlainTorch
from kdbts_ros.density.engines.self_check import check_views, differences
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.precision import Precision, choose_precision
from kdbts_ros.errors import in_one_line


def inference_precision(name: str, device: torch.device) -> Precision:
    """As `choose_precision`, but "auto" takes float16 where the GPU's own engine can run.

    There it is as fast as bfloat16 and eight times as exact; training would have to scale losses.
    On a CPU it takes float32: weights are laid out for that alone, and bfloat16 is on the edge of
    what `self_check` lets pass.
    """
    if name == "auto" and device.type == "cpu":
        return "float32"
    if name == "auto" and support.available(device):
        return "float16"
    return choose_precision(name, device)


def choose_engine(network: DensityNetwork, device: torch.device, precision: str) -> Engine:
    """The fastest engine for a network on its device: compiled loops, CUDA kernels, torch."""
    field = FoldedField(network)
    if device.type == "cpu":
        return CpuEngine(field, precision)
    missing = support.lacking(device)
    if missing:
        return PlainTorch(field, precision, (f"CUDA kernels are not used, {missing}",))
    return CudaEngine(field, precision)


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
                if found.acceptable():
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
