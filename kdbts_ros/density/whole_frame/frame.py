"""A frame that the network has looked at, and who answers about it: queries, or a GPU's graph."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kdbts_ros.density.engines.answers import DepthImage, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor
from kdbts_ros.density.maps.grid import FrameMap
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps


class Frame(Protocol):
    """A frame until the next one; the scene's queries are about its view unless told otherwise."""

    @property
    def finished_map(self) -> FrameMap | None:
        """Its map, of its view alone, where that came along; None: ask the scene."""
        ...

    def encoded(self) -> EncodedView:
        """Its view, for the scene's queries and for maps to come."""
        ...

    def depth(self, stride: int) -> DepthImage:
        """Of every `stride`-th pixel of its view."""
        ...

    def shown_visibility(self) -> Floats:
        """(h,w) over its image: where half the light is gone, m as the network is shown."""
        ...


class QueriedFrame:
    """See `Frame`: encoded alone, everything else is asked of the scene."""

    finished_map = None

    def __init__(self, scene: SceneCompleter, view: EncodedView) -> None:
        self._scene, self._view = scene, view
        scene.use([view])

    def encoded(self) -> EncodedView:
        return self._view

    def depth(self, stride: int) -> DepthImage:
        return DepthImage.of(self._scene.depth_map(stride, by_student=True))

    def shown_visibility(self) -> Floats:
        return np.asarray(self._scene.visibility()[0] * np.float32(self._view.scale))


class WholeFrame:
    """See `Frame`: from image to map in one go, and still there for its depth image."""

    def __init__(
        self,
        scene: SceneCompleter,
        engine: SingleViewMaps,
        view: View,
        finished_map: FrameMap,
        anchor: Anchor = AS_SEEN,
    ) -> None:
        self.finished_map = finished_map
        self._scene, self._engine, self._view, self._anchor = scene, engine, view, anchor

    def encoded(self) -> EncodedView:
        return self._engine.encoded(self._view, self._anchor)

    def shown_visibility(self) -> Floats:
        return self._engine.shown_visibility()

    def depth(self, stride: int) -> DepthImage:
        if (found := self._engine.depth(self._view, stride, self._anchor)) is not None:
            return found
        self._scene.use([self.encoded()])
        return DepthImage.of(self._scene.depth_map(stride, by_student=True))
