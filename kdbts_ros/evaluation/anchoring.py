"""Views tied to the ground, by themselves or along a drive: see docs/ground_anchor.md."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from kdbts_ros.density.geometry.camera import Array, View, inverse
from kdbts_ros.density.ground.anchor import Track
from kdbts_ros.density.ground.plane_fit import fit_ground
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.frame import QueriedFrame


class Anchoring(str, Enum):
    """How frames are tied to the ground: each by itself, or by those before it, as a node does."""

    ON = "on"
    FILTERED = "filtered"
    OFF = "off"


def set_views(
    scene: SceneCompleter,
    views: Sequence[View],
    T_world_base: Array,
    anchored: bool,
    track: Track | None = None,
    stamp_ns: int = 0,
) -> None:
    """Encode the views and use them, anchored or as seen.

    No frame knows of another, so that their order means nothing, unless the reference view is given
    the track of its camera: it is then anchored by what the moments before `stamp_ns` found. The
    ground of every view is z = 0 of this one base.
    """
    if not anchored:
        scene.set_views(views)
        return
    encoded = []
    for view in views if scene.network.density_head.multi_view else views[:1]:
        frame, known = QueriedFrame(scene, scene.encode(view)), track or Track()
        before = known.anchor if known.known else None
        T_base_cam = inverse(T_world_base) @ view.T_world_cam
        seen = frame.shown_visibility()
        known.add(fit_ground(seen, view.camera, T_base_cam, view.scale, view.valid), stamp_ns)
        encoded.append(frame.encoded().anchored(before or known.anchor))
        track = None
    scene.use(encoded)
