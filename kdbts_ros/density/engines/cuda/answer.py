"""A finished map as it lies in a GPU's memory: four grids behind each other, downloaded at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import FrameGrids

# Of a cell of an answer: its probability and three small numbers.
CELL_BYTES = 7


def answer_grids(answer: Tensor, cells: int) -> list[Tensor]:
    """What `columns` fills of a map, as parts of the bytes that are downloaded together."""
    small = (answer[k * cells : (k + 1) * cells].view(torch.int8) for k in (4, 5, 6))
    return [answer[: 4 * cells].view(torch.float32), *small]


def grids_of(answer: npt.NDArray[np.uint8], shape: tuple[int, int]) -> FrameGrids:
    """Copies of the four grids (rows,columns) of an answer's bytes."""
    cells = shape[0] * shape[1]
    small = answer[4 * cells :].view(np.int8).reshape(3, *shape)
    return FrameGrids(
        answer[: 4 * cells].view(np.float32).reshape(shape).copy(),
        small[0].copy(),
        small[1].copy(),
        small[2].astype(np.bool_),
    )
