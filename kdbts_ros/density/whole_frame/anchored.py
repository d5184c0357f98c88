"""Frames tied to the ground: see docs/ground_anchor.md."""

from __future__ import annotations

from kdbts_ros.density.geometry.camera import View, inverse
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor, GroundAccount, GroundAnchors
from kdbts_ros.density.ground.plane_fit import fit_ground
from kdbts_ros.density.maps.grid import CellRule, MapArea
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import FrameStamp
from kdbts_ros.density.whole_frame.frame import Frame, QueriedFrame, WholeFrame
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps


class AnchoredFrames:
    """Lets the network look at views. A frame is anchored by what the frames before it found: a
    GPU's map is finished before its ground is known. Where no frame found any, it is by itself."""

    def __init__(self, scene: SceneCompleter, single_view_maps: SingleViewMaps | None) -> None:
        self._scene, self._single_view_maps = scene, single_view_maps
        self._anchors = GroundAnchors()

    def look(
        self, view: View, area: MapArea, rule: CellRule, stamp: FrameStamp | None, anchored: bool
    ) -> tuple[Frame, GroundAccount]:
        """The frame of a view whose world is the fixed frame, and what anchored it.

        rule: of a map that comes along. stamp: None for a view that nothing is remembered of.
        """
        if not anchored:
            return self._encode(view, area, rule, AS_SEEN), GroundAccount()
        track = self._anchors.track(None if stamp is None else stamp.camera)
        known, anchor = track.known, track.anchor
        frame = self._encode(view, area, rule, anchor)
        T_base_cam = inverse(area.T_fixed_base) @ view.T_world_cam
        seen = frame.shown_visibility()
        fit = fit_ground(seen, view.camera, T_base_cam, view.scale, view.valid)
        track.add(fit, 0 if stamp is None else stamp.stamp_ns)
        if not known and track.anchor is not AS_SEEN:
            anchor = track.anchor
            if frame.finished_map is not None:
                frame = self._encode(view, area, rule, anchor)
            else:
                frame = QueriedFrame(self._scene, frame.encoded().anchored(anchor))
        return frame, track.account(anchor)

    def anchor_of(self, camera: str) -> Anchor:
        """By which the next frame of a camera is anchored."""
        return self._anchors.track(camera).anchor

    def forget(self) -> None:
        """Drop what earlier frames found."""
        self._anchors.forget()

    def _encode(self, view: View, area: MapArea, rule: CellRule, anchor: Anchor) -> Frame:
        """Where a GPU can, the map of a view comes along."""
        if self._single_view_maps is not None:
            finished = self._single_view_maps.map(view, *area, *rule, anchor)
            if finished is not None:
                return WholeFrame(self._scene, self._single_view_maps, view, finished, anchor)
        return QueriedFrame(self._scene, self._scene.encode(view).anchored(anchor))
