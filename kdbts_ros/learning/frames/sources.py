"""Where training frames come from: picklable functions from a number to a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.datasets.kitti.kitti_360 import Kitti360Sequence
from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.datasets.kitti.splits import read_split
from kdbts_ros.datasets.pose_check import check_poses
from kdbts_ros.datasets.synthetic.places.frames import place_frame
from kdbts_ros.datasets.synthetic.places.kinds import STREET, place_of
from kdbts_ros.datasets.synthetic.rig import HEIGHTS, Mounts, is_usual
from kdbts_ros.datasets.synthetic.training import training_pair, training_views
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import ClipStage
from kdbts_ros.learning.frames.labels import (
    FAR,
    NEAR,
    PLACE_COLUMNS,
    LabelledFrame,
    label_frame,
    level_base,
)
from kdbts_ros.learning.losses.photometric import Clip


class LabelledWorlds:
    """One labelled frame of each procedural world, its number being the world's seed.

    `extra` further views of each world come along. `low_share` of the cameras are low ones and
    `high_share` high ones, down to and up to `heights` m: their world is enlarged or shrunk until
    they look from the training camera's height, which is what the canonical camera makes of what
    they see. `alone_share` of the further views are what one moving camera saw before. `streets`:
    shares of other kinds of streets, see `STREETS`; `hills`: share on one, see `hill_of`. near,
    near_share: see `label_frame`. `places`: shares of worlds that are no streets, see `PLACES`,
    seen by cameras of any robot as the node shows them to a network of `camera` (None: the usual
    one), `steep_share` of them tilted far down; without any, streets are what they are without
    this.
    """

    def __init__(
        self,
        width: int,
        height: int,
        points: int,
        columns: int,
        extra: int,
        low_share: float = 0.0,
        alone_share: float = 0.0,
        high_share: float = 0.0,
        heights: tuple[float, float] = HEIGHTS,
        streets: Mapping[str, float] | None = None,
        near: float = NEAR,
        near_share: float = 0.0,
        hills: float = 0.0,
        places: Mapping[str, float] | None = None,
        camera: TrainingCamera | None = None,
        steep_share: float = 0.0,
    ) -> None:
        self._size = width, height
        self._points, self._columns, self._extra = points, columns, extra
        self._mounts = Mounts(low_share, high_share, heights)
        self._alone, self._streets = alone_share, dict(streets or {})
        self._hills = hills
        self._near, self._near_share = near, near_share
        self._places = {name: share for name, share in (places or {}).items() if share > 0}
        self._camera, self._steep_share = camera, steep_share

    def __call__(self, seed: int) -> LabelledFrame:
        place = place_of(seed, self._places)
        return self._of_street(seed) if place == STREET else self._of_place(place, seed)

    def _of_place(self, place: str, seed: int) -> LabelledFrame:
        made = place_frame(
            place,
            seed,
            self._extra,
            *self._size,
            training=self._camera,
            steep_share=self._steep_share,
        )
        scale = made.view.scale
        views = (enlarged(shrunk(v, *self._size), scale) for v in (made.view, *made.others))
        view, *further = views
        frame = label_frame(
            view,
            made.depth * np.float32(scale),
            level_base(view.T_world_cam),
            lambda points: occupied(made.world, points / scale),
            self._points,
            np.random.default_rng([seed, 1]),
            self._columns,
            further,
            FAR * max(scale, 1.0),
            self._near,
            self._near_share,
            made.seen,
            PLACE_COLUMNS.enlarged(scale),
        )
        return replace(frame, street=False)

    def _of_street(self, seed: int) -> LabelledFrame:
        frame, others = training_views(
            seed,
            self._extra,
            *self._size,
            mounts=self._mounts,
            alone_share=self._alone,
            streets=self._streets,
            hills=self._hills,
        )
        height = frame.height
        scale = 1.0 if is_usual(height) else TrainingCamera().height / height
        view, *further = (enlarged(view, scale) for view in (frame.view, *others))
        return label_frame(
            view,
            frame.depth * scale,
            frame.world.hill.on_it(level_base(view.T_world_cam)),
            lambda points: occupied(frame.world, points / scale),
            self._points,
            np.random.default_rng([seed, 1]),
            self._columns,
            further,
            FAR * max(scale, 1.0),
            self._near,
            self._near_share,
        )


class SyntheticClips:
    """A stereo pair at two times of each procedural world."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height

    def __call__(self, seed: int) -> Clip:
        frames = training_pair(seed, *self._size)
        return clip_of([frames[name].view for name in ("left0", "left1", "right0", "right1")])


class RecordedClips:
    """Stereo pairs at two times of recorded drives, shrunk to the network's size."""

    def __init__(self, stage: ClipStage, width: int, height: int) -> None:
        self._stage = stage
        self._size = width, height

    def __call__(self, seed: int) -> Clip:
        rng, step = np.random.default_rng([seed, 2]), self._stage.time_step
        starts = _starts(self._stage)
        name, first = starts[rng.integers(len(starts))]
        drive = _drive(self._stage, name)
        frames = [drive.frame(first), drive.frame(first + step)]
        return clip_of(
            [shrunk(frame.views[name], *self._size) for name in drive.cameras for frame in frames]
        )


@lru_cache(maxsize=4)
def _starts(stage: ClipStage) -> tuple[tuple[str, int], ...]:
    """Drives and frames that have another one `time_step` later.

    Raises:
        UserError: there is none.
    """
    if stage.split is not None:
        entries = dict.fromkeys((entry.drive, entry.frame) for entry in read_split(stage.split))
    else:
        entries = {(name, i): None for name in stage.drives for i in _drive(stage, name).frames}
    known = {name: set(_drive(stage, name).frames) for name in {name for name, _ in entries}}
    found = tuple((name, i) for name, i in entries if {i, i + stage.time_step} <= known[name])
    if not found:
        raise UserError(f"there are no two frames {stage.time_step} apart; lower time_step")
    return found


@cache
def _drive(stage: ClipStage, name: str) -> KittiDrive | BagDrive:
    """A recorded drive whose poses make sense.

    Raises:
        UserError: missing data, or poses that contradict the images.
    """
    assert stage.root is not None
    drive: KittiDrive | BagDrive
    if stage.source == "bag":
        drive = BagDrive(Path(stage.root) / name, cameras=stage.cameras or None)
        if len(drive.cameras) != 2:
            raise UserError(
                f"{drive.name} has the cameras {', '.join(drive.cameras)}: this objective needs a "
                "pair, name two with 'cameras', or use `kdbts adapt`, which needs one"
            )
    elif stage.source == "kitti-360":
        drive = Kitti360Sequence(stage.root, name, cameras=stage.cameras or ("left", "right"))
    else:
        drive = KittiRawDrive(
            stage.root,
            name,
            cameras=("left", "right"),
            poses=stage.poses,
            orbslam_folder=stage.orbslam_folder,
            orbslam_scale=stage.orbslam_scale,
        )
    _refuse_nonsense(drive, stage.time_step)
    return drive


def _refuse_nonsense(drive: KittiDrive | BagDrive, step: int) -> None:
    """Raise UserError where points followed between images contradict the poses."""
    known = set(drive.frames)
    starts = [i for i in drive.frames if i + step in known]
    chosen = sorted(
        {starts[k] for k in np.linspace(0, len(starts) - 1, 4).astype(int)} if starts else ()
    )
    lead = drive.cameras[0]
    pairs = [tuple(drive.frame(i + k).views[lead] for k in (0, step)) for i in chosen]
    verdict = check_poses([(a, b) for a, b in pairs])
    # Images in which nothing can be followed are no proof against the poses.
    if verdict.pairs and not verdict.fits:
        raise UserError(f"{drive.name}: {verdict.sentence}")


def shrunk(view: View, width: int, height: int) -> View:
    """A view of another size; area averages, because the network has never seen aliasing."""
    image = cv2.resize(view.image, (width, height), interpolation=cv2.INTER_AREA)
    return View(np.asarray(image, np.uint8), view.camera.resized(width, height), view.T_world_cam)


def enlarged(view: View, scale: float) -> View:
    """The same image, of a world that is `scale` times as large about its origin."""
    T = view.T_world_cam.copy()
    T[:3, 3] *= scale
    return View(view.image, view.camera, T)


def clip_of(views: Sequence[View]) -> Clip:
    """Views of one size in the order L t0, L t1, R t0, R t1."""
    return Clip(
        np.stack([view.image for view in views]),
        np.stack([view.camera.ndc for view in views]).astype(np.float32),
        np.stack([view.T_world_cam for view in views]),
    )
