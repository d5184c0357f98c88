"""What a frame says as points: the occupied cells of its map, and the surface its camera sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array, Camera, transform

# x, y, z of a cell's centre in m; its probability as in a `CellVolume`; 1 where light of a view
# reaches it, 0 where the network completed it. Points lie on whole words.
CELL_POINT = np.dtype(
    {
        "names": ["x", "y", "z", "probability", "observed"],
        "formats": ["f4", "f4", "f4", "f4", "u1"],
        "offsets": [0, 4, 8, 12, 16],
        "itemsize": 20,
    }
)
# x, y, z in m; the colour as 0x00RRGGBB in the bits of a float, as PCL and RViz read it.
SURFACE_POINT = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "f4")])
# Probability from which a cell of an occupied column is a point: where cells overlap best with what
# stands on held-out synthetic worlds, for maps of one view and of several.
SOLID_FROM = 0.15

Points = npt.NDArray[np.void]


def solid_cells(probability: Floats, occupied: Bools) -> Bools:
    """(levels,rows,columns): the cells that make columns (rows,columns) occupied.

    Those from `SOLID_FROM` on, and the likeliest of every column in which something may stand.
    probability: of cells, NaN unknown.
    """
    likely = np.nan_to_num(probability, nan=-1.0)
    most = likely.max(0)
    return (likely >= np.minimum(most, SOLID_FROM)) & (occupied & (most > 0))


def cell_points(
    columns: AffineGrid,
    cells: Bools,
    probability: Floats,
    observed: Bools,
    T_frame_fixed: Array,
) -> Points:
    """(N,) `CELL_POINT` of chosen cells, bottom level first.

    columns: their grid in the fixed frame. cells, probability, observed: (levels,rows,columns).
    T_frame_fixed: to the frame that points are told in.
    """
    level, row, column = np.nonzero(cells)
    xyz_fixed = columns.origin + np.stack([column, row, level], -1) @ columns.steps
    points = _in_frame(CELL_POINT, xyz_fixed, T_frame_fixed)
    points["probability"] = probability[cells]
    points["observed"] = observed[cells]
    return points


def surface_points(
    depth: Floats,
    image: npt.NDArray[np.uint8],
    camera: Camera,
    T_fixed_cam: Array,
    edge: float,
    T_frame_fixed: Array,
) -> Points:
    """(N,) `SURFACE_POINT` of a depth image (h,w) of z in m, NaN where there is nothing.

    At most one point in each cube of `edge` m of the fixed frame, a pixel's own. image (H,W,3):
    what the depth is of, at any size. camera: of the depth image.
    """
    known = np.isfinite(depth)
    xyz_fixed = transform(T_fixed_cam, camera.rays()[known] * depth[known, None])
    kept = one_per_cube(xyz_fixed, edge)
    points = _in_frame(SURFACE_POINT, xyz_fixed[kept], T_frame_fixed)
    row, column = (found[kept] for found in np.nonzero(known))
    h, w = depth.shape
    colours = image[row * image.shape[0] // h, column * image.shape[1] // w].astype(np.uint32)
    packed = colours @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    points["rgb"] = packed.astype(np.uint32).view(np.float32)
    return points


def one_per_cube(points: Array, edge: float) -> npt.NDArray[np.int64]:
    """Indices, in order, of the first of points (N,3) in each cube of `edge` m they lie in."""
    if not len(points):
        return np.empty(0, np.int64)
    cubes = np.floor(points / edge).astype(np.int64)
    cubes -= cubes.min(0)
    x, y, z = cubes.max(0) + 1
    # One number a cube: rows would be compared one by one.
    flat = (cubes[:, 2] * y + cubes[:, 1]) * x + cubes[:, 0]
    assert float(x) * float(y) * float(z) < 2**63
    return np.sort(np.unique(flat, return_index=True)[1])


def _in_frame(kind: np.dtype[np.void], xyz_fixed: Array, T_frame_fixed: Array) -> Points:
    # In float64 to the frame: coordinates of odometry may be kilometres.
    xyz = transform(T_frame_fixed, xyz_fixed)
    points = np.zeros(len(xyz), kind)
    points["x"], points["y"], points["z"] = xyz.T
    return points
