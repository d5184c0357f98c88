"""Looking at a network while it learns, on worlds and a drive it never learns from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.datasets.synthetic.places.frames import place_frame
from kdbts_ros.datasets.synthetic.places.kinds import IN_TURN
from kdbts_ros.datasets.synthetic.training import training_frame
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.geometry.camera import View, inverse, transform
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter
from kdbts_ros.evaluation.depth_metrics import depth_metrics, mean_metrics
from kdbts_ros.files import write_png
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.frames.labels import FAR, Occupied, level_base
from kdbts_ros.learning.frames.sources import enlarged, shrunk
from kdbts_ros.learning.record.run_folder import RunFolder
from kdbts_ros.learning.weights.start import adopt
from kdbts_ros.pictures import map_picture, panel

# The map that is compared: what lies ahead of the robot, above kerbs and below its top.
LATTICE = Lattice.from_bounds(x=(3.0, 30.0), y=(-9.0, 9.0), z=(0.3, 2.1), resolution=0.3)
# A point this far behind what its pixel shows is hidden: only completion can know it.
HIDDEN_METRES = 0.5

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One view of a world with its truth over the lattice; all lattice arrays are flat."""

    view: View
    depth: npt.NDArray[np.float32]
    points: npt.NDArray[np.float64]
    occupied: Bools
    hidden: Bools
    shape: tuple[int, int, int]


class Watcher:
    """Holds what is watched; each look returns figures and draws pictures."""

    def __init__(self, config: TrainingConfig, folder: RunFolder) -> None:
        self._config = config.watch
        self._size = config.network.image_width, config.network.image_height
        self._camera = config.network.training_camera
        self._folder = folder
        # Opened at once: a folder that is not there must not end a run at its first look.
        root, drive = self._config.kitti_root, self._config.kitti_drive
        self._recording = None if root is None else KittiRawDrive(root, drive)

    def look(self, network: DensityNetwork, step: int) -> dict[str, float]:
        """Figures of held-out worlds and of the real drive, where one is set."""
        watched = self._single_view(network)
        info = CheckpointInfo("training", watched.spec, "")
        device = next(network.parameters()).device
        scene = SceneCompleter(watched, info, device, "float32")
        figures = self._look_at_worlds(scene, step)
        if self._recording is not None:
            figures |= self._look_at_drive(scene, step)
        return figures

    @staticmethod
    def _single_view(network: DensityNetwork) -> DensityNetwork:
        """A copy that reads the one view that is watched: the student, where there is one.

        The facade freezes and folds what it is given; the network in training must not notice,
        and its batch norms may be those of several processes, which the facade does not know.
        """
        if network.student is None:
            alike = DensityNetwork(network.spec)
            alike.load_state_dict(network.state_dict())
            return alike
        student = DensityNetwork(network.spec.of_student())
        adopt(student, network, CheckpointInfo("training", network.spec, ""))
        return student

    def _look_at_worlds(self, scene: SceneCompleter, step: int) -> dict[str, float]:
        depths, counts = [], np.zeros((3, 3))
        for index, world in enumerate(self._worlds):
            scene.set_views([world.view])
            depth = scene.depth_map(stride=1).depth
            depths.append(depth_metrics(depth, world.depth, crop="none"))
            sigma, seen = scene.density(world.points)
            probability = 1 - np.exp(-OPACITY_LENGTH * np.nan_to_num(sigma))
            solid = probability > 0.5
            predicted, true = column(solid & seen, world), column(world.occupied & seen, world)
            some = column(seen, world)
            counts[0] += overlap(predicted[some], true[some])
            counts[1] += overlap(solid[seen], world.occupied[seen])
            chosen = seen & world.hidden
            counts[2] += overlap(solid[chosen], world.occupied[chosen])
            if index < self._config.pictures:
                maps = [("map", self._map(predicted, some)), ("truth", self._map(true, some))]
                self._draw(world.view, depth, maps, f"world{index}_{step:07d}")
        means = mean_metrics(depths)
        ious = counts[:, 0] / np.maximum(counts.sum(1), 1)
        return {
            "world_abs_rel": means["abs_rel"],
            "map_iou": float(ious[0]),
            "cell_iou": float(ious[1]),
            "hidden_iou": float(ious[2]),
        }

    def _look_at_drive(self, scene: SceneCompleter, step: int) -> dict[str, float]:
        metrics, scaled = [], []
        for index, (view, truth) in enumerate(self._drive):
            scene.set_views([view])
            depth = scene.depth_map(stride=1).depth
            full = cv2.resize(depth, truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
            metrics.append(depth_metrics(np.asarray(full), truth))
            scaled.append(depth_metrics(np.asarray(full), truth, scaling="median"))
            if index < self._config.pictures:
                self._draw(
                    view, depth, [("map", self._drive_map(scene))], f"drive{index}_{step:07d}"
                )
        means = mean_metrics(metrics)
        return {
            "drive_abs_rel": means["abs_rel"],
            "drive_a1": means["a1"],
            "drive_scaled": mean_metrics(scaled)["abs_rel"],
        }

    def _drive_map(self, scene: SceneCompleter) -> npt.NDArray[np.uint8]:
        world = scene.views[0].T_world_cam @ T_CAM_GROUND
        volume = scene.occupancy(LATTICE, world)
        seen = np.isfinite(volume.probability)
        solid = np.nan_to_num(volume.probability) > 0.5
        return self._map(np.asarray(solid.any(0)), np.asarray(seen.any(0)))

    @staticmethod
    def _map(occupied: Bools, known: Bools) -> npt.NDArray[np.uint8]:
        return map_picture(np.where(known, np.where(occupied, 100, 0), -1).astype(np.int8))

    def _draw(
        self,
        view: View,
        depth: npt.NDArray[np.float32],
        maps: list[tuple[str, npt.NDArray[np.uint8]]],
        name: str,
    ) -> None:
        picture = panel(view.image, depth, maps)
        file = self._folder.path / "pictures" / f"{name}.png"
        write_png(file, picture)

    @cached_property
    def _worlds(self) -> list[HeldOut]:
        seeds = range(self._config.seed, self._config.seed + self._config.worlds)
        if self._camera is None:
            return [held_out(seed, *self._size) for seed in seeds]
        return [held_out_place(seed, *self._size, self._camera) for seed in seeds]

    @cached_property
    def _drive(self) -> list[tuple[View, npt.NDArray[np.float32]]]:
        assert self._recording is not None
        drive = self._recording
        scanned = [i for i in drive.frames if drive.lidar(i) is not None]
        picked = np.linspace(0, len(scanned) - 1, min(self._config.kitti_frames, len(scanned)))
        frames = [scanned[round(k)] for k in picked]
        return [(drive.frame(i).views["left"], drive.lidar_depth(i)) for i in frames]


# Ground frame below a level KITTI camera: 1.65 m high, optical axes to REP-103 axes.
T_CAM_GROUND = np.array([[0.0, -1, 0, 0], [0, 0, -1, 1.65], [1, 0, 0, 0], [0, 0, 0, 1]])


def column(cells: Bools, world: HeldOut) -> Bools:
    """(Y,X): any cell of the column."""
    return np.asarray(cells.reshape(world.shape).any(0))


def overlap(predicted: Bools, true: Bools) -> tuple[int, int, int]:
    """Counts of hits, false alarms and misses; their IoU is hits over the sum."""
    cells = (predicted & true, predicted & ~true, ~predicted & true)
    hits, alarms, misses = (int(np.count_nonzero(c)) for c in cells)
    return hits, alarms, misses


def held_out(seed: int, width: int, height: int) -> HeldOut:
    """The truth about one world, over a lattice in front of the robot."""
    frame = training_frame(seed, width, height)
    depth = np.minimum(np.nan_to_num(frame.depth, nan=FAR), 2 * FAR)
    return _held_out(frame.view, depth, lambda points: occupied(frame.world, points))


def held_out_place(seed: int, width: int, height: int, camera: TrainingCamera) -> HeldOut:
    """The truth about one place, kinds in turn, as large as a network of that camera is shown it.

    Depth is 0 where the robot's camera sees nothing.
    """
    made = place_frame(IN_TURN[seed % len(IN_TURN)], seed, 0, width, height, training=camera)
    scale = made.view.scale
    view = enlarged(shrunk(made.view, width, height), scale)
    depth = np.where(made.seen, np.minimum(made.depth * scale, 2 * FAR), 0)
    return _held_out(view, depth, lambda points: occupied(made.world, points / scale))


def _held_out(view: View, depth: npt.NDArray[np.floating], solid: Occupied) -> HeldOut:
    points = transform(level_base(view.T_world_cam), LATTICE.centres().reshape(-1, 3))
    uv, z = view.camera.project(transform(inverse(view.T_world_cam), points))
    last = [view.camera.width - 1, view.camera.height - 1]
    pixel = np.clip(np.nan_to_num(uv), 0, last).astype(int)
    hidden = z > depth[pixel[:, 1], pixel[:, 0]] + HIDDEN_METRES
    return HeldOut(view, depth.astype(np.float32), points, solid(points), hidden, LATTICE.shape)
