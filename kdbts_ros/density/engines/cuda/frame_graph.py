"""A frame from the image's bytes to the map's as one CUDA graph.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from kdbts_ros.density.engines.answers import Floats, FrameGrids
from kdbts_ros.density.engines.cuda.depth_graph import GraphedDepth
from kdbts_ros.density.engines.cuda.frame_plan import DepthPlan, FrameEncoding, FramePlan
from kdbts_ros.density.engines.cuda.frame_steps import FrameSteps, Slot
from kdbts_ros.density.engines.cuda.graphs import Replayed, settings
from kdbts_ros.density.engines.cuda.single_view import CudaHead
from kdbts_ros.density.engines.cuda.trunk import CudaField

SLOTS = 2
_WARM_UPS = 3


class GraphedFrame:
    """Frames of one plan, on one stream, for the one thread that made it: see `Replayed`.

    Two slots of pinned memory alternate: while a frame is computed, the next may be handed over.
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
        self.plan, self._head = plan, head
        device = head.code_weight.device
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.inference_mode():
            self.steps = FrameSteps(field, index, head, plan)
        self.slots = [Slot(plan, pinned=True) for _ in range(SLOTS)]
        torch.cuda.synchronize(device)
        with settings(), torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self.steps.all(self.slots[0])
        stream.synchronize()
        work = [partial(self.steps.all, slot) for slot in self.slots]
        self._replayed = Replayed(stream, work, "frames", graphed)
        self._next, self._last = 0, 0

    @property
    def note(self) -> str:
        """See `Replayed`."""
        return self._replayed.note

    def submit(self, image: npt.NDArray[np.uint8], params: Floats) -> int:
        """Hand a frame over, image (h,w,3) of the plan's source size; returns its slot.

        params: see `frame_params`. At most SLOTS frames may wait for their `result`.
        """
        index = self._last = self._next
        self._next = (index + 1) % SLOTS
        # The frame before the last one used this memory.
        self._replayed.wait(index)
        np.copyto(self.slots[index].image, image)
        np.copyto(self.slots[index].params, params)
        self._replayed.launch(index)
        return index

    def result(self, index: int) -> FrameGrids:
        """Wait for the frame in a slot; copies of its grids."""
        self._replayed.wait(index)
        return self.slots[index].grids()

    def run(self, image: npt.NDArray[np.uint8], params: Floats) -> FrameGrids:
        """One frame from beginning to end."""
        return self.result(self.submit(image, params))

    def show(self, plan: FramePlan) -> None:
        """Take the tables of another plan of the same key, from the next frame on."""
        self.plan = plan
        # Behind the frames that are on their way.
        with torch.inference_mode(), torch.cuda.stream(self._replayed.stream):
            self.steps.show(plan)

    def depths(self, plan: DepthPlan) -> GraphedDepth:
        """Prepares depth images of the frame that was handed over last."""
        return GraphedDepth(
            self._head, plan, self._replayed.stream, self.slots, lambda: self._last,
            self._replayed.graphed,
        )  # fmt: skip

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone for the frame that slot 0 holds, by its own clock."""
        return self._replayed.device_times(0, repeats)

    def visibility(self) -> Floats:
        """Where half the light of the frame that was handed over last is gone, as it is shown."""
        self._replayed.stream.synchronize()
        return self.steps.visibility.cpu().numpy()

    def encoding(self) -> FrameEncoding:
        """What the network made of the frame that was handed over last, which nothing follows."""
        self._replayed.stream.synchronize()
        folded = self.slots[self._last].folded
        assert folded is not None
        with torch.inference_mode():
            bias = self._head.head.conv_bias[None, :, None, None]
            full = (folded.float() + bias)[0]
            image, visibility = self.steps.shown(), self.steps.visibility
            return FrameEncoding(full, image.cpu().numpy(), visibility.cpu().numpy())
