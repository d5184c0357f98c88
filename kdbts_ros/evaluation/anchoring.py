"""Views of a moment, each tied to the ground by itself: see docs/ground_anchor.md."""

from __future__ import annotations

from collections.abc import Sequence

from kdbts_ros.density.geometry.camera import Array, View, inverse
from kdbts_ros.density.ground.anchor import Track
from kdbts_ros.density.ground.plane_fit import fit_ground
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.frame import QueriedFrame


def set_views(
    scene: SceneCompleter, views: Sequence[View], T_world_base: Array, anchored: bool
) -> None:
    """Encode the views and use them, anchored or as seen.

    A node filters over time; here no frame knows of another, so that their order means nothing.
    The ground of every view is z = 0 of this one base.
    """
    if not anchored:
        scene.set_views(views)
        return
    encoded = []
    for view in views if scene.network.density_head.multi_view else views[:1]:
        frame = QueriedFrame(scene, scene.encode(view))
        T_base_cam, track = inverse(T_world_base) @ view.T_world_cam, Track()
        seen = frame.shown_visibility()
        track.add(fit_ground(seen, view.camera, T_base_cam, view.scale, view.valid), 0)
        encoded.append(frame.encoded().anchored(track.anchor))
    scene.use(encoded)
