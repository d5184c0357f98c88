"""Points followed from one image to another, and what they say about the motion between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from kdbts_ros.density.geometry.camera import Array, Camera, View, inverse

# Width to which images are shrunk: a pixel there is what the figures in pixels mean.
WIDTH = 640
CORNERS = 400
# A point that does not return to within this when it is followed back is lost, pixels.
RETURN = 0.7
# Points this far from where the epipolar geometry wants them contradict it, pixels.
TOLERANCE = 2.0
FEWEST = 30


@dataclass(frozen=True, eq=False)
class Tracks:
    """(N,2) pixels (half-integer centres) of the same points in two images of `cameras`."""

    cameras: tuple[Camera, Camera]
    first: Array
    second: Array

    @property
    def rays(self) -> tuple[Array, Array]:
        """(N,3) rays with z = 1 of both images."""
        return _rays(self.cameras[0], self.first), _rays(self.cameras[1], self.second)


@dataclass(frozen=True)
class Motion:
    """What tracks say about a motion T_second_first, against what poses say.

    rotation, direction: angles between the two, degrees; direction is NaN where nothing moved.
    fitting: share of tracks that obey the poses. possible: share that obey the best motion.
    """

    rotation: float
    direction: float
    fitting: float
    possible: float


def shrunk_view(view: View) -> View:
    """The view at `WIDTH` pixels, or as it is where it has fewer."""
    if view.camera.width <= WIDTH:
        return view
    height = max(1, round(view.camera.height * WIDTH / view.camera.width))
    image = cv2.resize(view.image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return View(np.asarray(image, np.uint8), view.camera.resized(WIDTH, height), view.T_world_cam)


def follow(a: View, b: View) -> Tracks:
    """Corners of one view found again in another (Lucas-Kanade, forth and back)."""
    first, second = (cv2.cvtColor(v.image, cv2.COLOR_RGB2GRAY) for v in (a, b))
    empty = np.zeros((0, 2))
    corners = cv2.goodFeaturesToTrack(first, CORNERS, 0.01, 7)
    if np.size(corners) < 2:
        return Tracks((a.camera, b.camera), empty, empty)
    size, levels = (21, 21), 4
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, corners, np.empty(0), winSize=size, maxLevel=levels
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(
        second, first, there, np.empty(0), winSize=size, maxLevel=levels
    )
    error = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    kept = (found.ravel() == 1) & (again.ravel() == 1) & (error < RETURN)
    # OpenCV counts pixel centres at integers.
    forth, hence = corners.reshape(-1, 2)[kept] + 0.5, there.reshape(-1, 2)[kept] + 0.5
    return Tracks((a.camera, b.camera), forth.astype(np.float64), hence.astype(np.float64))


def epipolar_distance(tracks: Tracks, T_second_first: Array) -> Array:
    """(N,) pixels by which tracks miss what a motion allows.

    Where the motion has no translation to speak of, the distance to where its rotation alone puts
    the point; else the Sampson distance of the essential matrix.
    """
    a, b = tracks.rays
    R, t = T_second_first[:3, :3], T_second_first[:3, 3]
    focal = tracks.cameras[1].fx
    if np.linalg.norm(t) < 1e-3:
        turned = a @ R.T
        return np.asarray(np.linalg.norm(turned[:, :2] / turned[:, 2:] - b[:, :2], axis=1) * focal)
    x, y, z = t / np.linalg.norm(t)
    E = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ R
    line_b, line_a = a @ E.T, b @ E
    off = np.abs((b * line_b).sum(1))
    slope = np.sqrt((line_b[:, :2] ** 2).sum(1) + (line_a[:, :2] ** 2).sum(1))
    return np.asarray(off / np.maximum(slope, 1e-12) * focal)


def best_motion(tracks: Tracks) -> Array | None:
    """(4,4) T_second_first, 1 m long, that most tracks obey; None where that is unclear."""
    if len(tracks.first) < FEWEST:
        return None
    a, b = tracks.rays
    threshold = TOLERANCE / 2 / tracks.cameras[1].fx
    eye = np.eye(3)
    E, inliers = cv2.findEssentialMat(
        a[:, :2], b[:, :2], eye, method=cv2.RANSAC, prob=0.999, threshold=threshold
    )
    if E is None or E.shape != (3, 3):
        return None
    count, R, t, _ = cv2.recoverPose(E, a[:, :2], b[:, :2], eye, mask=inliers)
    if count < FEWEST // 2:
        return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t.ravel()
    return T


def compare_motion(tracks: Tracks, T_second_first: Array) -> Motion | None:
    """The motion of poses against the tracks; None where there are too few tracks."""
    best = best_motion(tracks)
    if best is None:
        return None
    turn = best[:3, :3].T @ T_second_first[:3, :3]
    angle = np.degrees(Rotation.from_matrix(turn).magnitude())
    t = T_second_first[:3, 3]
    length = float(np.linalg.norm(t))
    # Seen from the first camera, so that the rotations' own difference does not count twice.
    own, given = best[:3, :3].T @ best[:3, 3], T_second_first[:3, :3].T @ t
    cosine = own @ given / max(length, 1e-12)
    direction = np.degrees(np.arccos(np.clip(cosine, -1, 1))) if length > 1e-3 else np.nan
    return Motion(
        float(angle),
        float(direction),
        float((epipolar_distance(tracks, T_second_first) < TOLERANCE).mean()),
        float((epipolar_distance(tracks, best) < TOLERANCE).mean()),
    )


def motion_length(tracks: Tracks, depth: npt.NDArray[np.floating]) -> float | None:
    """Metres moved between the images, from points of known depth; None where that is unclear.

    depth: (H,W) z of the first image in m, 0 where it is not known.
    """
    column, row = np.clip(tracks.first.astype(int), 0, np.array(depth.shape[::-1]) - 1).T
    z = depth[row, column]
    known = (z > 0) & (z < 30)
    if known.sum() < FEWEST:
        return None
    points = tracks.rays[0][known] * z[known, None]
    camera = tracks.cameras[1]
    found, _, t, inliers = cv2.solvePnPRansac(
        points, tracks.second[known], camera.matrix, np.zeros(4), reprojectionError=TOLERANCE
    )
    if not found or inliers is None or len(inliers) < FEWEST // 2:
        return None
    return float(np.linalg.norm(t))


def relative(a: View, b: View) -> Array:
    """(4,4) T_b_a of two views by their poses."""
    return inverse(b.T_world_cam) @ a.T_world_cam


def _rays(camera: Camera, uv: Array) -> Array:
    xy = (uv - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    return np.column_stack([xy, np.ones(len(xy))])
