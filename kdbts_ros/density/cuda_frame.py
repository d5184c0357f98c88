"""A frame from the image's bytes to the map's as one CUDA graph.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.cuda_field import CudaField
from kdbts_ros.density.cuda_head import CudaHead
from kdbts_ros.density.cuda_steps import FrameSteps, Slot
from kdbts_ros.density.folded import FoldedField
from kdbts_ros.density.frame_plan import FrameGrids, FramePlan
from kdbts_ros.density.results import Floats

SLOTS = 2
_WARM_UPS = 3


class GraphedFrame:
    """Frames of one shape, on one stream, for the one thread that made it.

    A graph belongs to the thread that captured it, as much of torch's state beside it does. Two
    slots of pinned memory alternate: while a frame is computed, the next may be handed over.
    `note` says in a sentence why there is no graph, where the steps are launched one by one.
    """

    def __init__(
        self,
        field: CudaField,
        index: int,
        head: CudaHead,
        plan: FramePlan,
        graphed: bool = True,
    ) -> None:
        """index: which of the field's maps the head reads. graphed: False launches every step."""
        self.plan, self.note, self._head = plan, "", head
        device = head.code_weight.device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.inference_mode():
            self.steps = FrameSteps(field, index, head, plan)
        self.slots = [Slot(plan, pinned=True) for _ in range(SLOTS)]
        self._done = [
            torch.cuda.Event()  # type: ignore[no-untyped-call]
            for _ in range(SLOTS)
        ]
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._next, self._last = 0, self.slots[0]
        torch.cuda.synchronize(device)
        with settings(), torch.cuda.stream(self.stream):
            for _ in range(_WARM_UPS):
                self.steps.all(self.slots[0])
        self.stream.synchronize()
        if graphed:
            self._capture()

    def submit(self, image: npt.NDArray[np.uint8], params: Floats) -> int:
        """Hand a frame over, image (h,w,3) of the plan's source size; returns its slot.

        params: see `frame_params`. At most SLOTS frames may wait for their `result`.
        """
        index, slot = self._next, self.slots[self._next]
        self._next, self._last = (index + 1) % SLOTS, slot
        # The frame before the last one used this memory.
        self._done[index].synchronize()
        np.copyto(slot.image, image)
        np.copyto(slot.params, params)
        self.launch(index)
        return index

    def launch(self, index: int) -> None:
        """Compute what the memory of a slot holds."""
        if self._graphs:
            with torch.cuda.stream(self.stream):
                self._graphs[index].replay()
                self._done[index].record(self.stream)
            return
        with settings(), torch.cuda.stream(self.stream):
            self.steps.all(self.slots[index])
            self._done[index].record(self.stream)

    def result(self, index: int) -> FrameGrids:
        """Wait for the frame in a slot; copies of its grids."""
        self._done[index].synchronize()
        return self.slots[index].grids()

    def run(self, image: npt.NDArray[np.uint8], params: Floats) -> FrameGrids:
        """One frame from beginning to end."""
        return self.result(self.submit(image, params))

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone for the frame that slot 0 holds, by its own clock."""
        pairs = []
        with torch.cuda.stream(self.stream):
            for _ in range(repeats):
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
                begin.record(self.stream)
                self.launch(0)
                end.record(self.stream)
                pairs.append((begin, end))
        self.stream.synchronize()
        return tuple(begin.elapsed_time(end) for begin, end in pairs)

    def folded_map(self) -> Tensor:
        """(hidden,H,W) float32: the folded map of the frame that was handed over last, a copy."""
        self.stream.synchronize()
        assert self._last.folded is not None
        with torch.inference_mode():
            bias = self._head.head.conv_bias[None, :, None, None]
            full: Tensor = (self._last.folded.float() + bias)[0]
        return full

    def _capture(self) -> None:
        pool = None
        try:
            for slot in self.slots:
                self._graphs.append(self._graph(slot, pool))
                # One frame at a time is computed: graphs may share what lies between steps.
                pool = self._graphs[0].pool()
        except RuntimeError as error:
            reason = str(error).strip().split("\n")[0]
            self.note = f"frames are launched step by step: no CUDA graph could be made, {reason}"
            self._graphs.clear()
            torch.cuda.synchronize()

    def _graph(self, slot: Slot, pool: Any) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile.
        capture = torch.cuda.graph(
            graph, pool=pool, stream=self.stream, capture_error_mode="thread_local"
        )
        with settings(), capture:
            self.steps.all(slot)
        return graph


def capturing(field: FoldedField, answering: int) -> Callable[[FramePlan], GraphedFrame]:
    """Makes the graphs of a plan for the head of that index, whose field lies on a GPU."""
    packed, head = field.packed, CudaHead(field.heads[answering])
    assert isinstance(packed, CudaField)
    # Heads that share a hidden layer share a map as well.
    index = field.map_index(answering)
    return lambda plan: GraphedFrame(packed, index, head, plan)


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """No gradients; the fastest convolutions there are, which the first runs find."""
    fastest = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False)
    with torch.inference_mode(), fastest:
        yield
