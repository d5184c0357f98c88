"""A map completed by the head that looks at its cells together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.maps.grid import HeightBand, MapArea, OccupancyMap, Pose
from kdbts_ros.density.maps.lattice_before import LatticeBefore
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.density.network.projection import MIN_DEPTH

# Log odds are told in these; a cell that nobody knows has those of a very free one.
LOG_ODDS, UNKNOWN_ODDS = 3.0, -4.0
# Probabilities are told apart up to here.
_SUREST = 1e-4
# Bands that were learnt, m; others are told as the nearest.
LOWEST, HIGHEST = (0.05, 0.6), (0.5, 2.6)
# Features are gathered over squares of so many cells.
EVERY = 2


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the head is shown of a map: planes (PLANES,n,n), features (heights*channels,n/2,n/2).

    The planes: log odds, observed, known, how far ahead, how far aside (both 0..1), and the two
    ends of the height band.
    """

    planes: Tensor
    features: Tensor


class MapHead:
    """Applies a trained `MapHeadNetwork` on a device. One thread owns it."""

    def __init__(self, network: MapHeadNetwork, device: torch.device) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.spec, self._device = network.spec, device

    def serves(self, scale: float) -> bool:
        """Whether it completes maps of views of this scale."""
        low, high = self.spec.scales
        return low <= scale <= high

    @torch.inference_mode()
    def completed(
        self, found: OccupancyMap, view: EncodedView, feature_map: Tensor, area: MapArea
    ) -> OccupancyMap:
        """The map of a view, with the probabilities of what is known changed; unknown stays so.

        As it is of a view of a scale that nothing was learnt from. feature_map (channels,h,w): of
        the head that made the map.
        """
        if not self.serves(view.scale):
            return found
        lattice = lattice_before(self.spec, view, area.T_fixed_base)
        shown = inputs_of(self.spec, lattice, found, view, feature_map, area.band)
        planes, features = (
            part[None].to(self._device).contiguous(memory_format=torch.channels_last)
            for part in (shown.planes, shown.features)
        )
        change = self.network(planes, features)[0].float().cpu().numpy()
        odds = log_odds(found.probability) + lattice.returned(change, found.window)
        # NaN stays NaN.
        probability = np.asarray(0.5 * (1 + np.tanh(odds / 2)), np.float32)
        return replace(found, probability=probability)


class MapHeads:
    """Those of a checkpoint, by the head whose maps they complete.

    Attributes:
        used: whether any completes a map.
    """

    def __init__(self, networks: Mapping[str, MapHeadNetwork], device: torch.device) -> None:
        self._heads = {head: MapHead(each, device) for head, each in networks.items()}
        self.used = True

    def of(self, head: str) -> MapHead | None:
        """None where there is none, or none is used."""
        return self._heads.get(head) if self.used else None

    @contextmanager
    def instead(self, head: str, other: MapHead | None) -> Iterator[None]:
        """Within, another one in the place of that of a head; None: there is none."""
        before = dict(self._heads)
        self._heads.pop(head, None)
        if other is not None:
            self._heads[head] = other
        try:
            yield
        finally:
            self._heads = before


def lattice_before(spec: MapHeadSpec, view: EncodedView, T_fixed_base: Pose) -> LatticeBefore:
    """Where the lattice of a view lies."""
    return LatticeBefore.of(T_fixed_base, view.T_world_cam, spec.resolution, spec.cells)


def inputs_of(
    spec: MapHeadSpec,
    lattice: LatticeBefore,
    found: OccupancyMap,
    view: EncodedView,
    feature_map: Tensor,
    band: HeightBand,
) -> Inputs:
    """See `Inputs`; feature_map (channels,h,w) of the view."""
    planes = _planes(lattice, found, band)
    return Inputs(torch.from_numpy(planes), gathered(spec, lattice, view, feature_map))


def unknown_as(planes: Tensor, kept: Tensor) -> Tensor:
    """Planes (PLANES,n,n) of a map that knows nothing of the cells that are not kept (n,n)."""
    found = planes * torch.cat([kept.expand(3, -1, -1), torch.ones_like(kept).expand(4, -1, -1)])
    found[0] += (UNKNOWN_ODDS / LOG_ODDS) * ~kept
    return found


def log_odds(probability: Floats) -> Floats:
    """Of probabilities of any shape; NaN stays NaN."""
    p = np.clip(probability, _SUREST, 1 - _SUREST)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def gathered(
    spec: MapHeadSpec, lattice: LatticeBefore, view: EncodedView, feature_map: Tensor
) -> Tensor:
    """(heights*channels,n/2,n/2): the features where cells lie in the image, 0 outside of it."""
    levels, side = len(spec.heights), spec.cells // EVERY
    points = lattice.points(spec.heights, EVERY)
    P = projection(view)
    q = points @ P[:, :3].T + P[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        # What is not before the camera is far outside of its image.
        uv = np.where(q[..., 2:] > MIN_DEPTH, q[..., :2] / q[..., 2:], 9.0)
    at = torch.from_numpy(uv.astype(np.float32)).to(feature_map.device)
    grid = at.reshape(1, levels * side, side, 2)
    found = F.grid_sample(feature_map[None].float(), grid, align_corners=False)[0]
    # Channels of one height after another.
    return found.reshape(-1, levels, side, side).transpose(0, 1).reshape(-1, side, side)


def _planes(lattice: LatticeBefore, found: OccupancyMap, band: HeightBand) -> Floats:
    known = np.isfinite(found.probability)
    odds = np.where(known, log_odds(found.probability), 0)
    stacked = np.stack([odds, known, known & found.observed], -1).astype(np.float32)
    carried = lattice.carried(stacked, found.window)
    share = carried[..., 1]
    told = share >= 0.5
    odds = np.where(told, carried[..., 0] / np.maximum(share, 0.5), UNKNOWN_ODDS) / LOG_ODDS
    observed = told & (2 * carried[..., 2] >= share)
    n = lattice.cells
    along = (np.arange(n, dtype=np.float32) + 0.5) / n
    ahead, aside = np.broadcast_to(along, (n, n)), np.abs(2 * along - 1)[:, None]
    ends = np.clip(band.low, *LOWEST) / 2, np.clip(band.high, *HIGHEST) / 2
    planes = [odds, observed, told, ahead, np.broadcast_to(aside, (n, n))]
    planes += [np.full((n, n), end) for end in ends]
    return np.stack(planes).astype(np.float32)
