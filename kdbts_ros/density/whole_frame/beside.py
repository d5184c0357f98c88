"""What else a frame can tell beside its map; nothing of it is computed before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdbts_ros import pictures
from kdbts_ros.density.cell_volume import CellVolume, cells_of, volume_around
from kdbts_ros.density.clouds import Points, cell_points, solid_cells, surface_points
from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.camera import Array, inverse
from kdbts_ros.density.maps.grid import OCCUPIED, Int8s, MapArea, Pose, band_columns
from kdbts_ros.density.novel_view import LENS, FollowingCamera
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.views.frusta import Frustum, frusta
from kdbts_ros.density.whole_frame.frame import Frame

# How far the views in use are drawn, m.
DRAWN_DEPTH = 2.0
# Rays of novel views end where less light than this is left.
DARK = 0.02
# Width of a novel view that is only rehearsed.
_FEW_PIXELS = 16


@dataclass(frozen=True, eq=False)
class Beside:
    """A frame after its map. To be asked before the next frame, in the thread that owns the scene.

    Attributes:
        frame: what the network has looked at.
        chosen: views of the map, the frame's first; empty: the frame's alone.
        area: of the map; its pose tells the ground of the band.
        T_fixed_base: (4,4) where the robot was.
        trinary: (H,W) the map as it is published.
        depth_stride: of the surface, as of depth images.
    """

    scene: SceneCompleter
    frame: Frame
    chosen: tuple[EncodedView, ...]
    area: MapArea
    T_fixed_base: Pose
    trinary: Int8s
    depth_stride: int

    @cached_property
    def views(self) -> tuple[EncodedView, ...]:
        """Behind the map, the reference view first."""
        return self.chosen or (self.frame.encoded(),)

    def volume(self) -> CellVolume:
        """Every cell of the map's columns over its height band."""
        return volume_around(self._scene(), self.area)

    def occupied_cells(self) -> Points:
        """(N,) `CELL_POINT` in the base frame: the cells that make columns of the map occupied.

        Only columns that the published map calls occupied have points, and each of them has one at
        least, as far as the views in use see it: what an accumulated map remembers of places out of
        view has no height.
        """
        columns, _ = band_columns(*self.area)
        probability, observed = cells_of(self._scene(), columns)
        cells = solid_cells(probability, self.trinary == OCCUPIED)
        T_base_fixed = inverse(self.T_fixed_base)
        return cell_points(columns, cells, probability, observed, T_base_fixed)

    def surface(self, T_fixed_frame: Array) -> Points:
        """(N,) `SURFACE_POINT` in a frame: the frame's depth image, at most one point in a cube of
        the map's resolution."""
        view = self._scene().views[0]
        depth = self.frame.depth(self.depth_stride).valid
        camera = view.camera.resized(depth.shape[1], depth.shape[0])
        edge = self.area.window.resolution
        T_frame_fixed = inverse(T_fixed_frame)
        return surface_points(depth, view.image, camera, view.T_world_cam, edge, T_frame_fixed)

    def novel_view(self, behind: float, above: float) -> pictures.Rgb:
        """(H,W,3) what a virtual camera so far behind and above the robot, m, would see, darker
        the less of a pixel's light the views know the colour of."""
        rgb, weight = self._render(FollowingCamera(behind, above))
        return np.asarray(np.rint(rgb * weight.clip(0, 1)[..., None]), np.uint8)

    def rehearse(self) -> None:
        """Ask for all of it once, so that what compiles or allocates has done so before anybody
        waits."""
        self.occupied_cells()
        self.volume()
        self.surface(self.T_fixed_base)
        # Of few pixels: how many there are compiles nothing.
        few = FollowingCamera(camera=LENS.resized(_FEW_PIXELS, _FEW_PIXELS // 2))
        self._render(few)
        self.frusta()

    def frusta(self) -> tuple[Frustum, ...]:
        """The views behind the map."""
        return frusta(((view.camera, view.T_world_cam) for view in self.views), DRAWN_DEPTH)

    def _render(self, following: FollowingCamera) -> tuple[pictures.Rgb, Floats]:
        T_fixed_cam = following.pose(self.T_fixed_base)
        return self._scene().render(following.camera, T_fixed_cam, stop=DARK)

    def _scene(self) -> SceneCompleter:
        """About the views of the map."""
        if self.scene.views != self.views:
            self.scene.use(self.views)
        return self.scene
