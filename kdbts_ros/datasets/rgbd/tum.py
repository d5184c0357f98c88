"""Sequences as the TUM RGB-D benchmark has them: lists of stamped files and a trajectory.

Format and intrinsics: Sturm, Engelhard, Endres, Burgard and Cremers, "A Benchmark for the
Evaluation of RGB-D SLAM Systems" (IROS 2012), and the benchmark's page on file formats.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from kdbts_ros.datasets.kitti.files import FARTHEST, read_text, rigid
from kdbts_ros.datasets.rgbd.files import RgbdFiles, RgbdRig, camera_of, intrinsics_beside
from kdbts_ros.density.cameras.lenses import BrownConrady, Lens
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

LISTS = ("rgb.txt", "depth.txt", "groundtruth.txt")
PER_METRE = 5000.0
# Colour and depth are taken in turns; the benchmark's own tool pairs what is this near, s.
PAIRED = 0.02
# The motion capture has 100 Hz; no pose is interpolated over a longer gap, s.
LONGEST_GAP = 0.1
# Seconds since 1970 until 2262, as ROS counts them.
_LAST_STAMP = 9.2e9
_SIZE = (640, 480)
# fx, fy, cx, cy and k1, k2, p1, p2, k3 of the colour cameras. The third one's images are straight.
_KNOWN: Mapping[str, tuple[Sequence[float], Sequence[float]]] = {
    "freiburg1": (
        (517.306408, 516.469215, 318.643040, 255.313989),
        (0.262383, -0.953104, -0.005358, 0.002628, 1.163314),
    ),
    "freiburg2": (
        (520.908620, 521.007327, 325.141442, 249.701764),
        (0.231222, -0.784899, -0.003257, -0.000105, 0.917205),
    ),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}


def is_tum(folder: Path) -> bool:
    """Whether a folder has the lists of the layout, or one of them."""
    return any((folder / name).is_file() for name in LISTS)


def tum_files(folder: Path) -> RgbdFiles:
    """Colour images with a depth image within `PAIRED` and a pose around their stamp.

    Raises:
        UserError: a list is missing or damaged, or has no entry.
    """
    colour, depth = (_listed(folder, name) for name in LISTS[:2])
    poses = _Trajectory(folder / LISTS[2])
    stamps = sorted(colour)
    depth_stamps = sorted(depth)
    paired: dict[int, Path] = {}
    T_any_cam: dict[int, Array] = {}
    for index, stamp in enumerate(stamps):
        near = _nearest(depth_stamps, stamp)
        if near is not None:
            paired[index] = depth[near]
        T = poses.at(stamp)
        if T is not None:
            T_any_cam[index] = T
    return RgbdFiles(
        folder.name,
        {i: colour[stamp] for i, stamp in enumerate(stamps)},
        paired,
        {i: round(stamp * 1e9) for i, stamp in enumerate(stamps)},
        T_any_cam,
        np.array([0.0, 0.0, 1.0]),
        without_depth=len(stamps) - len(paired),
        without_pose=len(stamps) - len(T_any_cam),
    )


def tum_rig(folder: Path, size: tuple[int, int], intrinsics: Sequence[float] | None) -> RgbdRig:
    """One lens for both: the depth images are registered to the colour camera, bent as it is.

    intrinsics: fx, fy, cx, cy of straight images; None for `camera-intrinsics.txt`, or the
    benchmark's own by the name of the folder.

    Raises:
        UserError: nothing says what camera it was.
    """
    lens = _lens(folder, size, intrinsics)
    return RgbdRig(lens, lens, PER_METRE)


def _lens(folder: Path, size: tuple[int, int], intrinsics: Sequence[float] | None) -> Lens:
    if intrinsics is not None:
        return Lens(camera_of(intrinsics, size))
    beside = intrinsics_beside(folder, size)
    if beside is not None:
        return Lens(beside)
    name = folder.resolve().name
    known = next((values for word, values in _KNOWN.items() if word in name), None)
    if known is None or size != _SIZE:
        raise UserError(
            f"{shown(folder)} does not say its camera: name it as it was downloaded "
            "(rgbd_dataset_freiburg1_desk), or give --intrinsics FX,FY,CX,CY"
        )
    (fx, fy, cx, cy), bent = known
    K = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    camera = Camera.from_integer_centres(K, *size)
    return Lens(camera, BrownConrady(tuple(bent))) if bent else Lens(camera)


def _listed(folder: Path, name: str) -> dict[float, Path]:
    """Files by stamp of a list with a stamp and a file name a line."""
    path = folder / name
    found: dict[float, Path] = {}
    for number, words in _lines(path):
        stamp = _stamp(words[0], path, number)
        if len(words) != 2 or not _below(words[1]):
            raise UserError(
                f"{shown(path)} line {number} is not a stamp and the name of a file below it; "
                "unpack the sequence again"
            )
        found[stamp] = folder / words[1]
    if not found:
        raise UserError(f"{shown(path)} lists no image; unpack the sequence again")
    return found


def _below(name: str) -> bool:
    """Whether a name may be a file's, and stays below the folder it is told from."""
    inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return inside and name.isprintable()


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Numbered lines in words; comments and empty ones left out."""
    text = read_text(path, "unpack the whole sequence there")
    split = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, words) for number, words in split if words and not words[0].startswith("#")]


def _stamp(word: str, path: Path, number: int) -> float:
    try:
        stamp = float(word)
    except ValueError:
        stamp = float("nan")
    if not 0 < stamp < _LAST_STAMP:
        raise UserError(
            f"{shown(path)} line {number} does not begin with a time in seconds; unpack the "
            "sequence again"
        )
    return stamp


def _nearest(stamps: Sequence[float], wanted: float) -> float | None:
    at = bisect_left(stamps, wanted)
    best = min(stamps[max(at - 1, 0) : at + 1], key=lambda stamp: abs(stamp - wanted))
    return best if abs(best - wanted) <= PAIRED else None


class _Trajectory:
    """Poses of a `stamp tx ty tz qx qy qz qw` file, interpolated as tf2 does."""

    def __init__(self, path: Path) -> None:
        rows = [_pose_row(words, path, number) for number, words in _lines(path)]
        if not rows:
            raise UserError(f"{shown(path)} has no pose; unpack the sequence again")
        table = np.array(sorted(rows))
        self._table = table[np.append(True, np.diff(table[:, 0]) > 0)]
        self._stamps: list[float] = self._table[:, 0].tolist()

    def at(self, stamp: float) -> Array | None:
        """(4,4) the camera in the world; None outside the poses, or in a gap of them."""
        after = bisect_left(self._stamps, stamp)
        if after < len(self._stamps) and self._stamps[after] == stamp:
            row = self._table[after]
            return rigid(Rotation.from_quat(row[4:]).as_matrix(), row[1:4])
        if not 0 < after < len(self._stamps):
            return None
        a, b = self._table[after - 1], self._table[after]
        if b[0] - a[0] > LONGEST_GAP:
            return None
        share = (stamp - a[0]) / (b[0] - a[0])
        turned = Slerp([0.0, 1.0], Rotation.from_quat([a[4:], b[4:]]))(share)
        return rigid(turned.as_matrix(), a[1:4] + share * (b[1:4] - a[1:4]))


def _pose_row(words: Sequence[str], path: Path, number: int) -> list[float]:
    """Stamp, place and unit quaternion of a line."""
    stamp = _stamp(words[0], path, number)
    try:
        place_and_turn = [float(word) for word in words[1:]]
    except ValueError:
        place_and_turn = []
    values = np.array(place_and_turn)
    good = len(values) == 7 and bool((np.abs(values) < FARTHEST).all())
    if not good or not 0.9 < np.linalg.norm(values[3:]) < 1.1:
        raise UserError(
            f"{shown(path)} line {number} is not a stamp, a place and a unit quaternion; unpack "
            "the sequence again"
        )
    return [stamp, *place_and_turn]
