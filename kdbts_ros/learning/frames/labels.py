"""What an exact world teaches about one image: labelled points and rays of known depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, Camera, View, inverse, transform

Occupied = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]]

NEAR, FAR = 3.0, 80.0
# The part of the frustum a robot plans in: ranges and heights above the ground, metres.
USEFUL_RANGE = (3.0, 30.0)
USEFUL_HEIGHT = (0.0, 2.5)
# Shares of the points: near visible surfaces, in the useful band, and anywhere.
SURFACE_SHARE, USEFUL_SHARE = 0.5, 0.3
# Layers of a column of the map, as the map's query cuts it.
LEVELS = 7
# What stands this high above the ground and this near is an obstacle. Half of the surfaces that
# are asked for are obstacles: most pixels show road and sky, which are learnt in no time.
OBSTACLE_HEIGHT, OBSTACLE_RANGE = 0.25, 50.0
OBSTACLE_SHARE = 0.5
# Points around surfaces are no nearer than this, m, or than what the network is to know.
NEAREST_POINT = 0.5
# Nearer than this, things are few pixels as well, and never ground.
NEAR_THINGS = 6.0
# From here on things are few pixels high, and a network that is asked about them as rarely as they
# are shown puts them nearer than they are.
FAR_THINGS = 30.0


@dataclass(frozen=True)
class ColumnBand:
    """Which columns of the map are labelled: where they stand before the camera, and the band of
    them that counts as an obstacle, m.

    Attributes:
        low, high: of the band, above the ground.
        ahead, aside: the box of their feet.
        step: between the heights that decide whether anything stands in a column.
    """

    low: float
    high: float
    ahead: tuple[float, float]
    aside: tuple[float, float]
    step: float

    @property
    def thickness(self) -> float:
        """Of one layer, m."""
        return (self.high - self.low) / LEVELS

    @property
    def levels(self) -> Array:
        """(LEVELS,) heights of the layers' middles."""
        return self.low + (np.arange(LEVELS, dtype=np.float64) + 0.5) * self.thickness

    @property
    def heights(self) -> Array:
        """Heights of the truth."""
        return np.linspace(self.low, self.high, round((self.high - self.low) / self.step) + 1)

    def enlarged(self, scale: float) -> ColumnBand:
        """The same columns of a world that is `scale` times as large."""
        (near, far), (right, left) = self.ahead, self.aside
        return ColumnBand(
            self.low * scale,
            self.high * scale,
            (near * scale, far * scale),
            (right * scale, left * scale),
            self.step * scale,
        )


STREET_COLUMNS = ColumnBand(0.3, 2.0, (3.0, 28.0), (-10.0, 10.0), 0.1)
# Of places, as a robot's map has them: thin things near by, from above a door sill to its top.
PLACE_COLUMNS = ColumnBand(0.1, 1.5, (0.5, 8.0), (-4.0, 4.0), 0.02)


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """One image, what its world says about it, and other views of the same scene.

    Everything is in the optical frame of the first view, the reference.

    Attributes:
        images: (V,H,W,3) uint8 RGB, the reference first.
        K_ndc: (V,3,3) float32, optical frames to [-1,1]^2.
        T_ref_cam: (V,4,4) float64, the identity first.
        z: (H,W) float16 z-depth in metres, `far` where nothing nearer is hit.
        obstacle: (H,W) bool, whether the pixel shows something that stands on the ground.
        far_thing: (H,W) bool, whether it shows something `FAR_THINGS` away or more that does.
        near_thing: (H,W) bool, whether it shows something nearer than `NEAR_THINGS` that does.
        points: (M,3) float32, all inside the image.
        occupied: (M,) bool.
        columns: (C,LEVELS,3) float32, points of columns over the height band, bottom up; at least
            half of each column is inside the image.
        column_occupied: (C,) bool, whether anything stands in the band.
        far: how far the image is asked about, m: `FAR`, or as much more as its world was enlarged.
        near: from where on, m.
        seen: (H,W) bool, what the camera saw of the image; nothing is asked about the rest. None:
            all of it.
        street: whether it is one, which the networks that teach features know.
        layer: thickness of a layer of its columns, m.
    """

    images: npt.NDArray[np.uint8]
    K_ndc: npt.NDArray[np.float32]
    T_ref_cam: Array
    z: npt.NDArray[np.float16]
    obstacle: npt.NDArray[np.bool_]
    far_thing: npt.NDArray[np.bool_]
    near_thing: npt.NDArray[np.bool_]
    points: npt.NDArray[np.float32]
    occupied: npt.NDArray[np.bool_]
    columns: npt.NDArray[np.float32]
    column_occupied: npt.NDArray[np.bool_]
    far: float = FAR
    near: float = NEAR
    seen: npt.NDArray[np.bool_] | None = None
    street: bool = True
    layer: float = STREET_COLUMNS.thickness


def label_frame(
    view: View,
    depth: npt.NDArray[np.floating],
    T_world_base: Array,
    occupied: Occupied,
    count: int,
    rng: np.random.Generator,
    columns: int = 0,
    others: Sequence[View] = (),
    far: float = FAR,
    near: float = NEAR,
    near_share: float = 0.0,
    seen: npt.NDArray[np.bool_] | None = None,
    band: ColumnBand = STREET_COLUMNS,
) -> LabelledFrame:
    """Choose and label about `count` points and `columns` columns of a view of an exact world.

    `others` are further views of the scene, of the same size.

    Args:
        depth: (H,W) z-depth in metres; infinity or NaN where nothing is hit.
        occupied: (N,3) world points to (N,) whether they are inside something.
        far, near, seen: see `LabelledFrame`.
        near_share: of the points around surfaces, those around near things.
        band: which columns.
    """
    z = np.where(np.isfinite(depth), depth, far)
    shown = np.True_ if seen is None else seen
    obstacle = obstacle_pixels(view, z, T_world_base, 0.0, OBSTACLE_RANGE) & shown
    near_thing = obstacle_pixels(view, z, T_world_base, 0.0, NEAR_THINGS) & shown
    wanted = [(obstacle, OBSTACLE_SHARE), (near_thing, near_share)]
    near_surfaces = round(count * SURFACE_SHARE)
    useful = round(count * USEFUL_SHARE)
    points = np.concatenate(
        [
            surface_points(view.camera, z, wanted, near_surfaces, far, rng, near, seen),
            useful_points(view, T_world_base, useful, near, rng),
            frustum_points(view.camera, count - near_surfaces - useful, near, rng),
        ]
    )
    if seen is not None:
        points = points[_in_seen(view.camera, points, seen)]
    # Pooled frames hand out slices, so that every slice must be a fair mixture.
    points = rng.permutation(points)
    feet = seen_columns(view, T_world_base, columns, near, rng, seen, band)
    views, T_ref_world = (view, *others), inverse(view.T_world_cam)
    return LabelledFrame(
        images=np.stack([v.image for v in views]),
        K_ndc=np.stack([v.camera.ndc for v in views]).astype(np.float32),
        T_ref_cam=np.stack([T_ref_world @ v.T_world_cam for v in views]),
        z=np.clip(z, 0, far).astype(np.float16),
        obstacle=obstacle,
        far_thing=obstacle_pixels(view, z, T_world_base, FAR_THINGS, far) & shown,
        near_thing=near_thing,
        points=points.astype(np.float32),
        occupied=occupied(transform(view.T_world_cam, points)),
        columns=_over(feet, band.levels, T_ref_world @ T_world_base),
        column_occupied=_stands_in(feet, band.heights, occupied, T_world_base),
        far=far,
        near=near,
        seen=seen,
        layer=band.thickness,
    )


def level_base(T_world_cam: Array) -> Array:
    """(4,4) base to world below a camera of a world whose ground is z = 0, x where it looks."""
    forward = T_world_cam[:2, 2] / np.linalg.norm(T_world_cam[:2, 2])
    T = np.eye(4)
    T[:2, 0] = forward
    T[:2, 1] = -forward[1], forward[0]
    T[:2, 3] = T_world_cam[:2, 3]
    return T


def obstacle_pixels(
    view: View, z: npt.NDArray[np.floating], T_world_base: Array, near: float, far: float
) -> npt.NDArray[np.bool_]:
    """(H,W) bool: pixels whose surface lies above the ground, from `near` to `far` m away."""
    up = (inverse(T_world_base) @ view.T_world_cam)[2]
    height = (view.camera.rays() @ up[:3]) * z + up[3]
    return np.asarray((height > OBSTACLE_HEIGHT) & (z >= near) & (z < far))


def draw_pixels(
    shape: tuple[int, ...],
    wanted: Sequence[tuple[npt.NDArray[np.bool_], float]],
    count: int,
    rng: np.random.Generator,
    seen: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of `count` pixels of an image: of each mask its share, where it has any.

    The others are any pixels, or any of those `seen`, of which there is one at least.
    """
    if seen is None:
        pixels = rng.integers(shape[0] * shape[1], size=count)
    else:
        visible = np.flatnonzero(seen)
        pixels = visible[rng.integers(len(visible), size=count)]
    first = 0
    for mask, share in wanted:
        candidates, number = np.flatnonzero(mask), round(count * share)
        if len(candidates):
            chosen = candidates[rng.integers(len(candidates), size=number)]
            pixels[first : first + number] = chosen
        first += number
    rows, columns = np.divmod(pixels, shape[1])
    return rows, columns


def surface_points(
    camera: Camera,
    z: npt.NDArray[np.floating],
    wanted: Sequence[tuple[npt.NDArray[np.bool_], float]],
    count: int,
    far: float,
    rng: np.random.Generator,
    near: float = NEAR,
    seen: npt.NDArray[np.bool_] | None = None,
) -> Array:
    """(count,3) points around what is seen: just before, just behind, and far behind it."""
    rows, columns = draw_pixels(z.shape, wanted, count, rng, seen)
    surface = np.asarray(z, np.float64)[rows, columns]
    kind = rng.random(count)
    # Uncertainty of depth grows with depth, so the shell in which it is asked does too.
    scale = 0.3 + 0.02 * surface
    if near < NEAREST_POINT:
        # Right before the camera the shell must not reach behind it.
        scale = np.minimum(scale, 0.25 * surface)
    offset = np.select(
        [kind < 0.35, kind < 0.7],
        [-rng.exponential(scale), rng.exponential(scale)],
        rng.uniform(0.5, 12.0, count),
    )
    distance = np.clip(surface + offset, min(NEAREST_POINT, near), far)
    return _along_rays(camera, columns + rng.random(count), rows + rng.random(count), distance)


def frustum_points(camera: Camera, count: int, near: float, rng: np.random.Generator) -> Array:
    """(count,3) points uniform over the image and over inverse depth."""
    distance = 1 / rng.uniform(1 / FAR, 1 / near, count)
    columns, rows = rng.random(count) * camera.width, rng.random(count) * camera.height
    return _along_rays(camera, columns, rows, distance)


def useful_points(
    view: View, T_world_base: Array, count: int, near: float, rng: np.random.Generator
) -> Array:
    """At most `count` points of the height band a robot drives through, all inside the image."""
    camera = view.camera
    T_base_cam = inverse(T_world_base) @ view.T_world_cam
    wanted = 4 * count
    distance = rng.uniform(min(near, USEFUL_RANGE[0]), USEFUL_RANGE[1], wanted)
    height = rng.uniform(*USEFUL_HEIGHT, wanted)
    columns = rng.random(wanted) * camera.width
    x = (columns - camera.cx) / camera.fx * distance
    # Solve the base-frame height of (x, y, distance) for y, which points down in the image.
    up = T_base_cam[2]
    y = (height - up[3] - up[0] * x - up[2] * distance) / up[1]
    points = np.stack([x, y, distance], axis=-1)
    rows = y / distance * camera.fy + camera.cy
    return np.asarray(points[(rows >= 0) & (rows <= camera.height)][:count])


def seen_columns(
    view: View,
    T_world_base: Array,
    count: int,
    near: float,
    rng: np.random.Generator,
    seen: npt.NDArray[np.bool_] | None = None,
    band: ColumnBand = STREET_COLUMNS,
) -> Array:
    """At most `count` feet (C,2) in the base frame, uniform over the box, half of each seen."""
    first, last = band.ahead
    box = (min(near, first), last), band.aside
    feet = np.stack([rng.uniform(*side, 4 * count) for side in box], axis=-1)
    points = _over(feet, band.levels, inverse(view.T_world_cam) @ T_world_base)
    if seen is not None:
        inside = _in_seen(view.camera, points.reshape(-1, 3), seen)
    else:
        uv, _ = view.camera.project(points.reshape(-1, 3))
        with np.errstate(invalid="ignore"):
            within = (uv >= 0) & (uv <= [view.camera.width, view.camera.height])
        inside = np.asarray(within.all(-1))
    half = inside.reshape(len(feet), LEVELS).mean(1) >= 0.5
    return feet[half][:count]


def _in_seen(
    camera: Camera, points: npt.NDArray[np.floating], seen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """(N,) whether points (N,3) of the optical frame lie in a pixel that is seen (H,W)."""
    uv, z = camera.project(np.asarray(points, np.float64))
    size = np.array([camera.width, camera.height])
    with np.errstate(invalid="ignore"):
        inside = (z > 0) & (uv >= 0).all(-1) & (uv < size).all(-1)
    columns, rows = np.where(inside[:, None], uv, 0).astype(int).T
    return np.asarray(inside & seen[rows, columns])


def _over(feet: Array, heights: Array, T_cam_base: Array) -> npt.NDArray[np.float32]:
    """(C,2) feet and (L,) heights to (C,L,3) points in the optical frame."""
    xyz = np.empty((len(feet), len(heights), 3))
    xyz[..., :2] = feet[:, None]
    xyz[..., 2] = heights
    return transform(T_cam_base, xyz).astype(np.float32)


def _stands_in(
    feet: Array, heights: Array, occupied: Occupied, T_world_base: Array
) -> npt.NDArray[np.bool_]:
    points = _over(feet, heights, T_world_base).reshape(-1, 3).astype(np.float64)
    return np.asarray(occupied(points).reshape(len(feet), len(heights)).any(1))


def _along_rays(camera: Camera, columns: Array, rows: Array, z: Array) -> Array:
    x = (columns - camera.cx) / camera.fx
    y = (rows - camera.cy) / camera.fy
    return np.stack([x * z, y * z, z], axis=-1)
