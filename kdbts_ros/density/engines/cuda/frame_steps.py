"""The steps of a frame on a GPU, from the image's bytes to the map's.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
from torch import Tensor

from kdbts_ros.density.engines.answers import FrameGrids
from kdbts_ros.density.engines.cuda.answer import CELL_BYTES, answer_grids, grids_of
from kdbts_ros.density.engines.cuda.frame_params import PARAMS
from kdbts_ros.density.engines.cuda.frame_plan import FramePlan
from kdbts_ros.density.engines.cuda.image_sampling import Sampling
from kdbts_ros.density.engines.cuda.kernels.image import sample_image
from kdbts_ros.density.engines.cuda.single_view import MAP, CudaHead
from kdbts_ros.density.engines.cuda.trunk import INPUT_CHANNELS, CudaField

_PIXELS = 128


class Slot:
    """The host's memory of a frame in flight, pinned where the device is a GPU.

    image (h,w,3) uint8 and params (PARAMS,) float32 are filled before a frame; `grids` is what came
    back of it, and `folded` its bare map (1,hidden,H,W) on the device.
    """

    def __init__(self, plan: FramePlan, pinned: bool) -> None:
        _, rows, across = plan.shape
        self._shape = rows, across
        source = (*plan.sampling.source, 3)
        self.image_tensor = torch.zeros(source, dtype=torch.uint8, pin_memory=pinned)
        self.params_tensor = torch.zeros(PARAMS, pin_memory=pinned)
        size = rows * across * CELL_BYTES
        self.answer_tensor = torch.zeros(size, dtype=torch.uint8, pin_memory=pinned)
        self.image, self.params = self.image_tensor.numpy(), self.params_tensor.numpy()
        self._answer = self.answer_tensor.numpy()
        self.folded: Tensor | None = None

    def grids(self) -> FrameGrids:
        """Copies: the next frame in this slot overwrites what came back."""
        return grids_of(self._answer, self._shape)


class FrameSteps:
    """Steps that launch on the current stream and neither wait nor allocate on the host.

    What one step leaves to the next stands in the object: they are for one frame at a time.
    """

    def __init__(self, field: CudaField, index: int, head: CudaHead, plan: FramePlan) -> None:
        """index: which of the field's maps the head reads."""
        self._field, self._index, self._head, self.plan = field, index, head, plan
        device = head.code_weight.device
        _, rows, across = plan.shape
        cells = rows * across
        self.image = torch.zeros((*plan.sampling.source, 3), dtype=torch.uint8, device=device)
        self.params = torch.zeros(PARAMS, device=device)
        self.input = field.blank_input()
        self.visibility = torch.zeros(plan.visibility, device=device)
        self._answer = torch.zeros(cells * CELL_BYTES, dtype=torch.uint8, device=device)
        self._grids = answer_grids(self._answer, cells)
        self._valid = _valid(plan).to(device)
        self._rays = head.ray_tables(plan.samples, plan.visibility)
        self._tables = sampling_tables(plan.sampling, device)
        self.taps: list[Tensor] | None = None
        self.features: Tensor | None = None
        self.folded: Tensor | None = None

    def show(self, plan: FramePlan) -> None:
        """Take the tables of another plan of the same key, where graphs will look for them."""
        self.plan = plan
        self._valid.copy_(_valid(plan))
        for mine, theirs in zip(
            self._tables, sampling_tables(plan.sampling, torch.device("cpu")), strict=True
        ):
            mine.copy_(theirs)

    def all(self, slot: Slot) -> None:
        """A whole frame from a slot's memory and back to it."""
        self.upload(slot)
        self.sample()
        self.encode()
        self.decode()
        self.project()
        self.find_visibility()
        self.find_map()
        self.download(slot)
        slot.folded = self.folded

    def upload(self, slot: Slot) -> None:
        """Image and parameters to the device."""
        self.image.copy_(slot.image_tensor, non_blocking=True)
        self.params.copy_(slot.params_tensor, non_blocking=True)

    def sample(self) -> None:
        """The image to the network's normalised input."""
        norm = self._field.mean, self._field.deviation
        sample_input(self.image, self.input, self.plan.sampling, self._tables, norm)

    def encode(self) -> None:
        self.taps = self._field.trunk.encode(self.input)

    def decode(self) -> None:
        assert self.taps is not None
        self.features = self._field.trunk.decode(self.taps)

    def project(self) -> None:
        """The output convolution, with the head's first layer inside."""
        assert self.features is not None
        self.folded = self._field.output(self.features, self._index)

    def find_visibility(self) -> None:
        """Where half the light is gone."""
        assert self.folded is not None
        self._head.rays(self.folded[0], True, self._rays, self.visibility)

    def find_map(self) -> None:
        assert self.folded is not None
        self._head.columns(
            self.folded[0],
            True,
            self.params,
            self._valid,
            self.visibility,
            self.plan.shape,
            MAP,
            *self._grids,
        )

    def shown(self) -> Tensor:
        """(H,W,3) uint8: the image that the network was shown."""
        normalised = self.input[0, :3].permute(1, 2, 0).float()
        return ((normalised * self._field.deviation + self._field.mean) * 255 + 0.5).to(torch.uint8)

    def download(self, slot: Slot) -> None:
        """The map's bytes to the host."""
        slot.answer_tensor.copy_(self._answer, non_blocking=True)


def _valid(plan: FramePlan) -> Tensor:
    known = np.ones((1, 1), np.uint8) if plan.valid is None else plan.valid.astype(np.uint8)
    return torch.from_numpy(known)


def sample_input(
    image: Tensor,
    out: Tensor,
    sampling: Sampling,
    tables: Sequence[Tensor],
    norm: tuple[float, float],
) -> None:
    """Image (h,w,3) uint8 to the normalised input (1,INPUT_CHANNELS,H,W), channels last.

    tables: those of the sampling, see `sampling_tables`. norm: the mean and deviation of images.
    """
    height, width = out.shape[2:]
    sample_image[(triton.cdiv(height * width, _PIXELS),)](
        image, out, *tables, *sampling.source, *sampling.resize.source,
        height, width, *norm,
        ROW_TAPS=tables[1].shape[1], COLUMN_TAPS=tables[3].shape[1],
        WARPED=sampling.table is not None, CHANNELS=INPUT_CHANNELS, BLOCK=_PIXELS,
    )  # fmt: skip


def sampling_tables(sampling: Sampling, device: torch.device) -> list[Tensor]:
    """Starts and weights of rows, of columns, and positions or a stand-in for them."""
    rows, columns = sampling.resize.rows, sampling.resize.columns
    xy = np.zeros((1, 1, 2), np.float32) if sampling.table is None else sampling.table.xy
    arrays = [rows.start, rows.weights, columns.start, columns.weights, xy]
    return [torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays]
