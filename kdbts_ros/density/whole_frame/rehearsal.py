"""All that can be asked of a pipeline, asked once before anybody waits: see `Pipeline`.

Loops and kernels compile when they are first called, which takes seconds each. A node compiles
while it is being configured; from then on a question is answered as soon as the next one like it.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.maps.grid import OCCUPIED, CellRule, MapArea
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.density.queries import ViewSnapshot
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.beside import Beside
from kdbts_ros.density.whole_frame.frame import QueriedFrame
from kdbts_ros.density.whole_frame.several_views import MultiViewMaps


def grey_view(spec: NetworkSpec) -> View:
    """An image of nothing, 1.5 m above the ground, that looks along x."""
    w, h = spec.image_width, spec.image_height
    camera = Camera(w, h, 0.6 * w, 0.6 * w, w / 2, h / 2)
    T_world_cam = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
    return View(np.full((h, w, 3), 128, np.uint8), camera, T_world_cam)


def rehearse_several_views(
    scene: SceneCompleter,
    maps: MultiViewMaps,
    view: EncodedView,
    area: MapArea,
    rule: CellRule,
    depth_stride: int,
) -> None:
    """The same of a map of several views, which takes other kernels than one of a single view."""
    frame = QueriedFrame(scene, view)
    scene.use([view, view])
    maps.map(*area, *rule)
    ViewSnapshot.of(scene, rule.completed).rehearse()
    everywhere = np.full((area.window.height, area.window.width), OCCUPIED, np.int8)
    chosen = scene.views
    Beside(scene, frame, chosen, area, area.T_fixed_base, everywhere, depth_stride).rehearse()
