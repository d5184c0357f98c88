"""The network's convolutions by OpenVINO, where it is installed: pip's extra `openvino`.

It takes the packed trunk's place in `CpuEngine`; loops over the maps stay the same. In float32 it
says what torch says up to rounding. With ranges of what convolutions read it counts in 8 bits.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.activation_ranges import Ranges
from kdbts_ros.density.network.network import DensityNetwork

INSTALL = "pip install 'kdbts_ros[openvino]'"
_TELLS_ITS_MAKERS = "openvino_telemetry"


def installed() -> bool:
    """Whether OpenVINO can be imported; nothing is."""
    return importlib.util.find_spec("openvino") is not None


class OpenVinoField:
    """The maps of heads; see `PackedField`, whose place it takes. One thread asks."""

    def __init__(
        self, network: DensityNetwork, heads: Sequence[FoldedHead], ranges: Ranges | None = None
    ) -> None:
        """heads: those with a map of their own; ranges: for 8 bits, None for float32."""
        self._network, self._heads, self._ranges = network, heads, ranges
        self._compiled: _Compiled | None = None

    @torch.inference_mode()
    def encode(self, images: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [0,1] to a folded map (N,hidden,H,W) float32 per head, channels last."""
        compiled = self._for((images.shape[2], images.shape[3]))
        answers = [compiled(image) for image in images]
        if len(answers) == 1:
            return answers[0]
        return [torch.cat(maps) for maps in zip(*answers, strict=True)]

    def _for(self, size: tuple[int, int]) -> _Compiled:
        # Both hardly ever change.
        made_for = size, torch.get_num_threads()
        if self._compiled is None or self._compiled.made_for != made_for:
            with unheard():
                from kdbts_ros.density.engines.cpu.openvino_graph import field_graph
            graph = field_graph(self._network, self._heads, size, self._ranges)
            self._compiled = _Compiled(graph, size, torch.get_num_threads())
        return self._compiled


class _Compiled:
    """A graph for images of one size, on as many threads as torch has."""

    def __init__(self, graph: Any, size: tuple[int, int], threads: int) -> None:
        import openvino

        self.made_for = size, threads
        how = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Its own choice is bfloat16 where the processor has any instruction for that.
            "INFERENCE_PRECISION_HINT": "f32",
            # A thread that is bound to a core waits for whoever else is there.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = openvino.Core().compile_model(graph, "CPU", how)
        self._shapes = [tuple(output.shape) for output in compiled.outputs]
        self._request, self._tensor = compiled.create_infer_request(), openvino.Tensor

    def __call__(self, image: Tensor) -> list[Tensor]:
        """(3,H,W) to a map (1,hidden,H,W) per head, channels last, in memory of its own."""
        rows = image.permute(1, 2, 0)[None].float().contiguous()
        maps = [torch.empty(shape) for shape in self._shapes]
        self._request.set_input_tensor(self._tensor(rows.numpy(), shared_memory=True))
        for k, found in enumerate(maps):
            self._request.set_output_tensor(k, self._tensor(found.numpy(), shared_memory=True))
        self._request.infer()
        return [found.permute(0, 3, 1, 2) for found in maps]


@contextmanager
def unheard() -> Iterator[None]:
    """OpenVINO's import tells its makers of itself over the network, except where the module for
    that is missing: here it is."""
    if _TELLS_ITS_MAKERS in sys.modules:
        yield
        return
    sys.modules[_TELLS_ITS_MAKERS] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELLS_ITS_MAKERS]
