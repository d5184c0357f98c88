"""Depth of a network against truth, beside two guesses that look at no image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.depth_metrics import (
    Crop,
    Scaling,
    constant_depth,
    depth_metrics,
    ground_plane_depth,
    mean_metrics,
)
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.pictures import Rgb, depth_picture, panel

Metrics = dict[str, float]

# Where the ground plane baseline ends, m. A near end is a strong guess on a street lined with cars
# and walls, so both a far and a near one stand beside the network.
PLANE_ENDS = (40.0, 15.0)


@dataclass
class DepthReport:
    """Mean measures of the network and of the baselines, and every frame's own."""

    network: Metrics
    baselines: dict[str, Metrics]
    frames: list[tuple[str, Metrics]]
    pictures: list[tuple[str, Rgb]] = field(default_factory=list)

    def worst(self, count: int = 3) -> list[tuple[str, Metrics]]:
        return sorted(self.frames, key=lambda item: -item[1]["abs_rel"])[:count]


def evaluate_depth(
    scene: SceneCompleter,
    samples: Iterable[Sample],
    crop: Crop = "garg",
    scaling: Scaling = "none",
    pictures: int = 4,
) -> DepthReport:
    """Render the depth of each sample and compare, by the Eigen protocol (NIPS 2014).

    The prediction is resized to the truth by nearest neighbour. The ground plane baseline knows the
    camera's height and pitch; the constant is the best one for these very frames.
    """
    per_frame: list[tuple[str, Metrics]] = []
    planes: dict[float, list[Metrics]] = {far: [] for far in PLANE_ENDS}
    truths = []
    drawn: list[tuple[str, Rgb]] = []
    for sample in samples:
        scene.set_views([sample.view])
        resized = cv2.resize(
            scene.depth_map().depth, sample.depth.shape[::-1], interpolation=cv2.INTER_NEAREST
        )
        predicted = np.asarray(resized, np.float32)
        measured = depth_metrics(predicted, sample.depth, crop=crop, scaling=scaling)
        per_frame.append((sample.name, measured))
        for far, plane_frames in planes.items():
            plane = ground_plane_depth(sample.view.camera, *_height_and_pitch(sample), far=far)
            plane_frames.append(depth_metrics(plane, sample.depth, crop=crop))
        truths.append(sample.depth)
        if len(drawn) < pictures:
            drawn.append((sample.name, _picture(sample, predicted)))
    best = constant_depth(truths, crop=crop)
    constants = [depth_metrics(np.full_like(t, best), t, crop=crop) for t in truths]
    baselines = {
        f"ground plane, then {far:.0f} m": mean_metrics(frames) for far, frames in planes.items()
    }
    baselines[f"constant {best:.1f} m"] = mean_metrics(constants)
    return DepthReport(mean_metrics(m for _, m in per_frame), baselines, per_frame, drawn)


def _height_and_pitch(sample: Sample) -> tuple[float, float]:
    T_base_cam = np.linalg.inv(sample.T_world_base) @ sample.view.T_world_cam
    return float(T_base_cam[2, 3]), float(np.arcsin(np.clip(-T_base_cam[2, 2], -1, 1)))


def _picture(sample: Sample, predicted: npt.NDArray[np.float32]) -> Rgb:
    # LiDAR is a point in thirty pixels: thicken it to be seen.
    truth = cv2.dilate(np.where(np.isfinite(sample.depth), sample.depth, 0), np.ones((3, 3)))
    return panel(
        sample.view.image, predicted, [("true depth", depth_picture(np.asarray(truth, np.float32)))]
    )
