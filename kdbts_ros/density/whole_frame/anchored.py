"""Frames tied to the ground: see docs/ground_anchor.md."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kdbts_ros.density.geometry.camera import Array, View, inverse
from kdbts_ros.density.ground.anchor import (
    AS_SEEN,
    Anchor,
    GroundAccount,
    GroundAnchors,
    GroundUse,
    Track,
)
from kdbts_ros.density.ground.band_plane import AS_TOLD, GroundPlane, PlaneTrack, fit_band_plane
from kdbts_ros.density.ground.plane_fit import fit_ground
from kdbts_ros.density.maps.grid import CellRule, MapArea
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import FrameStamp
from kdbts_ros.density.whole_frame.frame import Frame, QueriedFrame, WholeFrame
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps


class Look(NamedTuple):
    """A frame, what ties its distances, and the area of its map: on the ground it follows."""

    frame: Frame
    ground: GroundAccount
    area: MapArea


class AnchoredFrames:
    """Lets the network look at views. A frame is anchored by what the frames before it found, and
    so is the plane that its band stands on: a GPU's map is finished before its ground is known.
    Where no frame found any, it is by itself."""

    def __init__(self, scene: SceneCompleter, single_view_maps: SingleViewMaps | None) -> None:
        self._scene, self._single_view_maps = scene, single_view_maps
        self._anchors = GroundAnchors()
        self._planes: dict[str, PlaneTrack] = {}

    def look(
        self, view: View, area: MapArea, rule: CellRule, stamp: FrameStamp | None, use: GroundUse
    ) -> Look:
        """The frame of a view whose world is the fixed frame.

        area: with the pose of the base, z = 0 being the ground that transforms tell. rule: of a map
        that comes along. stamp: None for a view that nothing is remembered of.
        """
        if not (use.anchored or use.followed):
            return Look(self._encode(view, area, rule, AS_SEEN), GroundAccount(), area)
        track, plane = self._tracks(stamp)
        tied = track.known or not use.anchored
        anchor, stands = track.anchor_for(use), _on(plane, area, use)
        stood = plane.known or not use.followed
        frame = self._encode(view, stands, rule, anchor)
        self._learn(view, area.T_fixed_base, frame, track, plane, use, stamp)
        found = anchor if tied else track.anchor_for(use)
        ground = stands if stood else _on(plane, area, use)
        if frame.finished_map is not None and (found is not anchor or ground is not stands):
            frame = self._encode(view, ground, rule, found)
        elif found is not anchor:
            frame = QueriedFrame(self._scene, frame.encoded().anchored(found))
        return Look(frame, track.account(found) if use.anchored else GroundAccount(), ground)

    def anchor_of(self, camera: str, use: GroundUse) -> Anchor:
        """By which the next frame of a camera is anchored."""
        return self._anchors.track(camera).anchor_for(use)

    def forget(self) -> None:
        """Drop what earlier frames found."""
        self._anchors.forget()
        self._planes.clear()

    def _tracks(self, stamp: FrameStamp | None) -> tuple[Track, PlaneTrack]:
        if stamp is None:
            return self._anchors.track(None), PlaneTrack()
        plane = self._planes.setdefault(stamp.camera, PlaneTrack())
        return self._anchors.track(stamp.camera), plane

    def _learn(
        self, view: View, T_fixed_base: Array, frame: Frame, track: Track, plane: PlaneTrack,
        use: GroundUse, stamp: FrameStamp | None,
    ) -> None:  # fmt: skip
        """Take what the frame, anchored by what the track had, sees of the ground."""
        seen, stamp_ns = frame.shown_visibility(), 0 if stamp is None else stamp.stamp_ns
        T_base_cam, first = inverse(T_fixed_base) @ view.T_world_cam, not track.known

        def plane_seen() -> GroundPlane | None:
            scale = view.scale * anchor.scale
            depth = seen / np.float32(scale)
            return fit_band_plane(depth, view.camera, T_base_cam, scale, view.valid)

        anchor = track.anchor_for(use)
        found = plane_seen() if use.followed else None
        if use.anchored:
            fit = fit_ground(seen, view.camera, T_base_cam, view.scale, view.valid)
            # A scale is read on ground that lies as transforms say, not on a slope.
            track.add(None if found is not None and found.slopes else fit, stamp_ns)
        if use.followed:
            if first and (anchor := track.anchor_for(use)) is not AS_SEEN:
                found = plane_seen()
            plane.add(found, T_fixed_base, stamp_ns)

    def _encode(self, view: View, area: MapArea, rule: CellRule, anchor: Anchor) -> Frame:
        """Where a GPU can, the map of a view comes along."""
        if self._single_view_maps is not None:
            finished = self._single_view_maps.map(view, *area, *rule, anchor)
            if finished is not None:
                return WholeFrame(self._scene, self._single_view_maps, view, finished, anchor)
        return QueriedFrame(self._scene, self._scene.encode(view).anchored(anchor))


def _on(plane: PlaneTrack, area: MapArea, use: GroundUse) -> MapArea:
    """The area, standing on the plane where that is followed."""
    followed = plane.at(area.T_fixed_base) if use.followed else AS_TOLD
    if followed == AS_TOLD:
        return area
    return area._replace(T_fixed_base=area.T_fixed_base @ followed.pose)
