"""Reading the files that KITTI's raw and odometry layouts have in common.

Formats: readme.txt of the raw data development kit and Geiger et al., "Vision meets Robotics: The
KITTI Dataset" (IJRR 2013).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import read_bounded, reading

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
# Farther than this, m, is nothing: neither a point of a scanner nor a place on the earth.
FARTHEST = 1e8
# The longest sequence of KITTI-360 has poses of 3 MB; a turn of the scanner has 2 MB.
LARGEST_TEXT, LARGEST_SCAN = 20_000_000, 60_000_000


def split_frames(text: str) -> range:
    """The range of a `--frames A:B` option, B excluded; either end may be left out.

    Raises:
        UserError: not of that form, or empty.
    """
    start, colon, stop = text.partition(":")
    try:
        if not colon:
            raise ValueError(text)
        frames = range(int(start or 0), int(stop or sys.maxsize))
    except ValueError:
        raise UserError(f"--frames {text!r} is not of the form A:B, for example 0:50") from None
    if frames.start < 0 or not frames:
        raise UserError(f"--frames {text!r} holds no frame; write A:B with 0 <= A < B")
    return frames


def read_calibration(path: Path) -> dict[str, Array]:
    """Key to flat float64 array of a `key: number number ...` file; lines with text are left out.

    Raises:
        UserError: the file is missing or unreadable.
    """
    values: dict[str, Array] = {}
    for line in read_text(path, "unpack the calibration archive there").splitlines():
        key, _, numbers = line.partition(":")
        try:
            values[key.strip()] = np.array([float(word) for word in numbers.split()])
        except ValueError:
            continue
    return values


def entry(values: dict[str, Array], key: str, shape: tuple[int, ...], path: Path) -> Array:
    """One calibration entry in its shape.

    Raises:
        UserError: the entry is missing, of another size, or has what is no number of a camera.
    """
    value = values.get(key)
    if value is None or value.size != np.prod(shape) or not (np.abs(value) < FARTHEST).all():
        raise UserError(
            f"{path} has no usable entry {key!r} of {int(np.prod(shape))} numbers; "
            "take the calibration file from the KITTI site again"
        )
    return value.reshape(shape)


def read_text(path: Path, cure: str) -> str:
    """Text of a file, or UserError naming path and cure."""
    if not path.exists():
        raise UserError(f"{shown(path)} is missing: {cure}")
    content = read_bounded(path, LARGEST_TEXT, "replace it")
    with reading(path, "replace it", "text"):
        return content.decode("ascii")


def read_table(path: Path, columns: int, cure: str) -> Array:
    """(N,columns) numbers of a whitespace-separated file.

    Raises:
        UserError: missing, not numbers, ragged, or of another width.
    """
    rows = [line.split() for line in read_text(path, cure).splitlines() if line.strip()]
    try:
        table = np.array(rows, np.float64).reshape(-1, columns) if rows else None
    except ValueError:
        table = None
    if table is None or len(table) != len(rows) or not np.isfinite(table).all():
        raise UserError(f"{path} is not a table of {columns} finite numbers a line; replace it")
    return table


def rigid(R: npt.ArrayLike, t: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """(4,4) transform of a (3,3) rotation and a translation."""
    T = np.eye(4)
    T[:3, :3] = np.asarray(R, np.float64).reshape(3, 3)
    T[:3, 3] = t
    return T


def rotation(R: Array, path: Path) -> Array:
    """The (3,3) matrix, if it is a rotation to the digits of a file.

    Raises:
        UserError: it is none.
    """
    if not np.abs(R @ R.T - np.eye(3)).max() <= 1e-3 or np.linalg.det(R) < 0:
        raise UserError(
            f"{path} has a matrix that is no rotation; take it from the KITTI site again"
        )
    return R


def check_pose(T: Array, where: object) -> Array:
    """The (4,4) pose, if it is one to the digits of a file.

    Raises:
        UserError: it is nowhere, or turns by what is no rotation.
    """
    R = T[:3, :3]
    if not (
        (np.abs(T) < FARTHEST).all()
        and np.abs(R @ R.T - np.eye(3)).max() < 1e-2
        and np.linalg.det(R) > 0
    ):
        raise UserError(f"{where} is no place and direction; unpack its file again")
    return T


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within, a refusal of what a file says also says which file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def split_projection(P: Array, path: Path) -> tuple[Array, Array]:
    """Rectified (3,4) projection K [I | t] into K (3,3) and T_cam_rect0 (4,4).

    KITTI writes the place of each rectified camera relative to camera 0 into the fourth column.

    Raises:
        UserError: the projection of `path` has no focal length.
    """
    K = P[:, :3]
    if not (K[0, 0] > 0 and K[1, 1] > 0 and K[2, 2] > 0):
        raise UserError(f"{path} has a projection without focal lengths; take it from the KITTI "
                        "site again")  # fmt: skip
    with reading(path, "take it from the KITTI site again", "numpy"):
        return K, rigid(np.eye(3), np.linalg.solve(K, P[:, 3]))


def image_indices(folder: Path) -> dict[int, Path]:
    """Frame index to image file of a folder of numbered images; empty if it does not exist."""
    if not folder.is_dir():
        return {}
    found: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
        if not path.stem.isdecimal():
            continue
        if int(path.stem) in found:
            raise UserError(
                f"{path} and {found[int(path.stem)].name} are both frame {int(path.stem)}; "
                "remove one"
            )
        found[int(path.stem)] = path
    return found


def read_scan(path: Path) -> npt.NDArray[np.float32] | None:
    """(N,4) x y z reflectance of a Velodyne scan in its own frame, None if there is no such file.

    Raises:
        UserError: the file is not a whole number of points, or has some that are no place.
    """
    if not path.is_file():
        return None
    data = read_bounded(path, LARGEST_SCAN, "replace it")
    if len(data) % 16:
        raise UserError(f"{path} is cut short: a scan is a multiple of 16 bytes; copy it again")
    points = np.frombuffer(data, np.float32).reshape(-1, 4)
    if not (np.abs(points) < FARTHEST).all():
        raise UserError(f"{path} has points that are nowhere: it is damaged; copy it again")
    return points.copy()


def sparse_depth(
    xyz_velo: npt.NDArray[np.floating], T_cam_velo: Array, camera: Camera
) -> npt.NDArray[np.float32]:
    """(H,W) z-depth in m of the nearest (N,3) point per pixel, 0 where there is none.

    The raw data kit's convention: only points in front of the scanner (x >= 0), and pixel
    round(u) - 1, round(v) - 1 with u, v counted from the centre of the first pixel. That is one
    pixel off by KITTI's own calibration, yet published depth figures are measured so.
    """
    ahead = xyz_velo[xyz_velo[:, 0] >= 0, :3].astype(np.float64)
    uv, z = camera.project(ahead @ T_cam_velo[:3, :3].T + T_cam_velo[:3, 3])
    uv, z = uv[z > 0], z[z > 0]
    column, row = (np.round(uv - 0.5) - 1).T
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row, z = column[inside].astype(int), row[inside].astype(int), z[inside]
    # Of several writes to one pixel the last stands: write the farthest first.
    order = np.argsort(-z, kind="stable")
    depth = np.zeros((camera.height, camera.width), np.float32)
    depth[row[order], column[order]] = z[order]
    return depth


def summary(names: Iterable[object], limit: int = 8) -> str:
    """At most `limit` names in one line for an error message."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:limit]) + (", ..." if len(listed) > limit else "")
