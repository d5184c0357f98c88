"""The depth image of a frame on a GPU, from the folded map its graph left there.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import LEAST_OPACITY
from kdbts_ros.density.engines.cuda.frame_plan import DepthPlan, FrameDepth
from kdbts_ros.density.engines.cuda.frame_steps import Slot
from kdbts_ros.density.engines.cuda.graphs import Replayed, settings
from kdbts_ros.density.engines.cuda.single_view import CudaHead
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS


class GraphedDepth:
    """Depth images of a frame whose folded map still lies on the device: see `Replayed`."""

    def __init__(
        self,
        head: CudaHead,
        plan: DepthPlan,
        stream: torch.cuda.Stream,
        slots: Sequence[Slot],
        last: Callable[[], int],
        graphed: bool,
    ) -> None:
        """slots: of the frames, each of which has run if `graphed`. last: index of the one in
        question."""
        self._last = last
        self._steps = DepthSteps(head, plan, pinned=True)
        torch.cuda.synchronize(head.code_weight.device)
        work = [partial(self._of, slot) for slot in slots]
        with settings(), torch.cuda.stream(stream):
            work[last()]()
        stream.synchronize()
        self._replayed = Replayed(stream, work, "depth images", graphed)

    @property
    def note(self) -> str:
        """See `Replayed`."""
        return self._replayed.note

    def run(self) -> FrameDepth:
        """Of the frame that was handed over last."""
        index = self._last()
        self._replayed.launch(index)
        self._replayed.wait(index)
        return self._steps.result()

    def show(self, plan: DepthPlan) -> None:
        """Take the tables of another plan of the same key, from the next depth image on."""
        with torch.inference_mode(), torch.cuda.stream(self._replayed.stream):
            self._steps.show(plan)

    def device_times(self, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone, by its own clock."""
        return self._replayed.device_times(self._last(), repeats)

    def _of(self, slot: Slot) -> None:
        assert slot.folded is not None
        self._steps.all(slot.folded)


class DepthSteps:
    """Steps that launch on the current stream and wait for nothing; for one frame at a time."""

    def __init__(self, head: CudaHead, plan: DepthPlan, pinned: bool) -> None:
        """pinned: the host's memory of the answer, where the device is a GPU."""
        self._head, self.plan = head, plan
        device, (h, w) = head.code_weight.device, plan.size
        self._tables = head.ray_tables(plan.samples, plan.size)
        self._expected, self._surface, self._opacity = torch.zeros(3, h, w, device=device)
        self._told = self._expected if plan.thickness is None else self._surface
        self._seen, self._index, self._share = (t.to(device) for t in _tables(plan))
        self._nothing = torch.full((), torch.nan, device=device)
        self._answer = torch.zeros(h * w + len(self._index), device=device)
        self._host = torch.zeros(len(self._answer), pin_memory=pinned)

    def show(self, plan: DepthPlan) -> None:
        """Take the tables of another plan of the same key, where graphs will look for them."""
        self.plan = plan
        mine = self._seen, self._index, self._share
        for table, other in zip(mine, _tables(plan), strict=True):
            table.copy_(other)

    def all(self, folded: Tensor) -> None:
        """From the bare folded map (1,hidden,H,W) of a frame to the host's memory."""
        h, w = self.plan.size
        thickness = HALF_THICKNESS if self.plan.thickness is None else self.plan.thickness
        found = self._surface, self._expected, self._opacity
        self._head.rays(folded[0], True, self._tables, *found, thickness)
        known = (self._opacity >= LEAST_OPACITY) & self._seen
        depth = torch.where(known, self._told / self.plan.scale, self._nothing).view(-1)
        self._answer[: h * w] = depth
        if self.plan.pixels is not None:
            self._answer[h * w :] = depth[self._index] * self._share
        self._host.copy_(self._answer, non_blocking=True)

    def result(self) -> FrameDepth:
        """Copies of what came back, once the device is done."""
        h, w = self.plan.size
        found, own = self._host.numpy().copy(), self.plan.own
        valid = found[: h * w].reshape(h, w)
        if own is None:
            return FrameDepth(valid, None)
        return FrameDepth(valid, found[h * w :].reshape(own.camera.height, own.camera.width))


def _tables(plan: DepthPlan) -> tuple[Tensor, Tensor, Tensor]:
    """Rays of which the image held something; of the pixels of the own camera: the ray each looks
    along, and its z per z of the view, NaN where there is none."""
    known = np.ones((1, 1), np.bool_) if plan.seen is None else plan.seen
    seen = torch.from_numpy(np.ascontiguousarray(known))
    if plan.pixels is None:
        return seen, torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    pixel, z = plan.pixels
    share = np.full(len(z), np.nan, np.float32)
    np.divide(1, z, out=share, where=pixel >= 0, casting="same_kind")
    return seen, torch.from_numpy(np.maximum(pixel, 0)), torch.from_numpy(share)
