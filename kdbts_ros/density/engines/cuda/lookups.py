"""Single points of views that lie on a GPU, answered on the CPU: see `cpu.lookups`.

Graphs and streams belong to the thread of frames. Whoever asks from another one reads a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.engines.interface import PointQueries
from kdbts_ros.density.geometry.camera import Array


class DownloadedPoints:
    """See `PointQueries`; for heads that compiled loops know. The first question fetches the maps,
    about 30 MB a view."""

    def __init__(
        self, head: FoldedHead, views: Sequence[EncodedView], feature_maps: Sequence[Tensor]
    ) -> None:
        self._head, self.views, self._feature_maps = head, views, feature_maps

    @cached_property
    def _points(self) -> PointQueries:
        from kdbts_ros.density.engines.cpu.lookups import compiled_points

        points = compiled_points(self._head, self.views, [m.cpu() for m in self._feature_maps])
        assert points is not None
        return points

    def point_densities(self, points: Array) -> Floats:
        return self._points.point_densities(points)

    def seen(self, points: Array) -> Bools:
        return self._points.seen(points)

    def visible(self, points: Array, visibility: Sequence[Floats]) -> Bools:
        return self._points.visible(points, visibility)
