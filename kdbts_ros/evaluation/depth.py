"""Depth of networks against truth, beside two guesses that look at no image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.cameras.adapter import Mode
from kdbts_ros.density.engines.answers import DepthMap, OwnPixels, stretched
from kdbts_ros.density.geometry.camera import Camera, OwnCamera
from kdbts_ros.density.ground.anchor import Track
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.anchoring import Anchoring, set_views
from kdbts_ros.evaluation.depth_errors import DepthErrors
from kdbts_ros.evaluation.depth_metrics import (
    CAP,
    Crop,
    Scaling,
    constant_depth,
    depth_metrics,
    evaluated_pixels,
    ground_plane_depth,
)
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.shown import adapter_of, shown
from kdbts_ros.pictures import FAR, Rgb, depth_picture, near_for, panel

Metrics = dict[str, float]
Depth = npt.NDArray[np.float32]

# Where the ground plane baseline ends, m. A near end is a strong guess on a street lined with cars
# and walls, so both a far and a near one stand beside the network.
PLANE_ENDS = (40.0, 15.0)


def evaluate_depth(
    scenes: Mapping[str, SceneCompleter],
    samples: Iterable[Sample],
    cap: tuple[float, float] = CAP,
    crop: Crop = "garg",
    scaling: Scaling = "none",
    gallery: Gallery | None = None,
    canonical_camera: Mode = "auto",
    errors: Mapping[str, DepthErrors] | None = None,
    anchoring: Anchoring = Anchoring.OFF,
) -> dict[str, list[Metrics]]:
    """Measures by method and frame, by the Eigen protocol (NIPS 2014).

    Networks are shown what the node would show them of a camera, see `CameraAdapter`; pixels of
    truth that one of them is not shown count for no method. The ground plane baseline knows the
    camera's height and pitch; the constant is the best one for these very frames. The gallery gets
    the first network's frames. errors: filled, by network.
    anchoring: filtered means along a drive, whose samples must come in its order.
    """
    gallery = gallery or Gallery(0)
    methods: dict[str, list[Metrics]] = {name: [] for name in scenes}
    adapters = {name: adapter_of(scene, canonical_camera) for name, scene in scenes.items()}
    tracks = {name: Track() for name in scenes}
    # Truth of the frames as flat depths: all that the best constant needs of them.
    counted: list[Depth] = []
    for sample in samples:
        told, truth = dict[str, Depth](), sample.depth
        for name, scene in scenes.items():
            views = [shown(view, sample, adapters[name]) for view in sample.views]
            tied = anchoring is not Anchoring.OFF
            track = tracks[name] if anchoring is Anchoring.FILTERED else None
            set_views(scene, views, sample.T_world_base, tied, track, sample.stamp_ns)
            told[name], seen = told_depth(scene.depth_map(), sample.view.camera, truth.shape)
            truth = np.where(seen, truth, np.float32(0))
        for name, predicted in told.items():
            methods[name].append(depth_metrics(predicted, truth, cap, crop, scaling))
        pixels = evaluated_pixels(truth, cap, crop)
        if errors is not None:
            plane = ground_plane_depth(sample.view.camera, *_height_and_pitch(sample), far=np.inf)
            for name, predicted in told.items():
                errors[name].add(predicted[pixels], truth[pixels], plane[pixels])
        first = next(iter(told))
        badness = -methods[first][-1]["abs_rel"]
        gallery.offer(sample.name, badness, lambda: _picture(sample, told[first]))  # noqa: B023
        for far in PLANE_ENDS:
            plane = ground_plane_depth(sample.view.camera, *_height_and_pitch(sample), far=far)
            found = depth_metrics(plane, truth, cap, crop)
            methods.setdefault(f"ground plane, then {far:.0f} m", []).append(found)
        counted.append(truth[pixels][None])
    best = constant_depth(counted, cap, "none")
    methods[f"constant {best:.1f} m"] = [
        depth_metrics(np.full_like(truth, best), truth, cap, "none") for truth in counted
    ]
    return methods


@dataclass(frozen=True, eq=False)
class Looked:
    """Where pixels (H,W) of the real camera lie among those of a depth map: `index` of its flat
    depth, -1 where the network was not shown them, and their z per z of the map. By nearest
    neighbour: a mean over an edge would put a point between two things."""

    index: npt.NDArray[np.int64]
    share: Depth

    @classmethod
    def at(cls, found: DepthMap, camera: Camera, size: tuple[int, ...]) -> Looked:
        """Depth of a warped view covers part of the real image: it is placed there by its pinhole.
        That of an image shown as it is covers the same image."""
        own, places = found.own, np.arange(found.depth.size).reshape(found.depth.shape)
        if own is None:
            index = cv2.resize(
                places.astype(np.float64), size[::-1], interpolation=cv2.INTER_NEAREST
            )
            return cls(index.astype(np.int64), np.ones(size, np.float32))
        pixel, z = OwnPixels.of(OwnCamera(camera, own.R_own_view), found.camera)
        if found.seen is not None:
            known = stretched(found.seen, found.depth.shape).ravel()
            pixel = np.where(known[pixel], pixel, -1)
        share = np.ones(len(pixel), np.float32)
        share[pixel >= 0] = 1 / z[pixel >= 0]
        return cls(pixel.reshape(size), share.reshape(size))

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(H,W): pixels that the network was shown."""
        return self.index >= 0

    def told(self, depth: Depth) -> Depth:
        """(H,W) m, NaN where not seen, of the map's depth."""
        told = depth.ravel()[self.index] * self.share
        return np.where(self.seen, told, np.float32(np.nan))


def told_depth(
    found: DepthMap, camera: Camera, size: tuple[int, ...]
) -> tuple[Depth, npt.NDArray[np.bool_]]:
    """Depth (H,W) m in the pixels of the real camera, and which of them the network was shown."""
    looked = Looked.at(found, camera, size)
    return looked.told(found.depth), looked.seen


def depth_findings(
    methods: Mapping[str, Sequence[Metrics]],
    networks: Sequence[str],
    errors: Mapping[str, DepthErrors],
) -> Findings:
    """networks: the checkpoint and, where there is one, the second. errors: of each."""
    tables = {name: FrameTable.of_measures(frames) for name, frames in methods.items()}
    extra = {"networks": {name: found.as_json() for name, found in errors.items()}}
    return Findings(networks[0], tables, networks[1] if len(networks) > 1 else None, extra)


def _height_and_pitch(sample: Sample) -> tuple[float, float]:
    T_base_cam = np.linalg.inv(sample.T_world_base) @ sample.view.T_world_cam
    return float(T_base_cam[2, 3]), float(np.arcsin(np.clip(-T_base_cam[2, 2], -1, 1)))


def _picture(sample: Sample, predicted: Depth) -> Rgb:
    # LiDAR is a point in thirty pixels: thicken it to be seen.
    truth = cv2.dilate(np.where(np.isfinite(sample.depth), sample.depth, 0), np.ones((3, 3)))
    known = sample.depth[np.isfinite(sample.depth) & (sample.depth > 0)]
    near = near_for(2 * float(np.median(known)) if known.size else FAR)
    drawn = depth_picture(np.asarray(truth, np.float32), near)
    return panel(sample.view.image, predicted, [("true depth", drawn)], near=near)
