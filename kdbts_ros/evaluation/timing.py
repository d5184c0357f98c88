"""How long the stages of a frame take, beside the plain formulation in the same run."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.camera import Array, View, inverse, transform
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.volume_rendering import DEPTH_SAMPLES, composite, sample_distances
from kdbts_ros.density.parity.reference_profile import fast_profile, profile_points
from kdbts_ros.density.queries import ViewSnapshot
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps

# A robot's surroundings: 20 x 18 x 2 m at 0.1 m, 720,000 points.
ROBOT_LATTICE = Lattice.from_bounds((0, 20), (-9, 9), (0, 2), 0.1)
PLAIN_CHUNK = 1 << 16
# Of the robot behind `Benchmark.frame`: 4 m/s at ten images a second, a keyframe every 1.6 m.
METRES_PER_FRAME, FRAMES_PER_KEYFRAME = 0.4, 4


@dataclass(frozen=True)
class Times:
    """Wall times of a stage in ms, ascending."""

    ms: tuple[float, ...]

    @property
    def best(self) -> float:
        """A shared machine only ever adds time: ratios compare the best."""
        return self.ms[0]

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.ms, share))

    def figures(self) -> dict[str, float]:
        return {"best_ms": self.best} | {f"p{p}_ms": self.percentile(p) for p in (50, 95, 99)}


def measure(run: Callable[[], object], repeats: int) -> Times:
    """Times of `repeats` runs after one that warms up: compiles, allocates, fills caches."""
    run()
    return measure_warm(run, repeats)


def measure_warm(run: Callable[[], object], repeats: int) -> Times:
    """The same without the first run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return Times(tuple(sorted(times)))


class _DrivingOn:
    """Frames of a robot that drives straight on: what its camera shows stays, where it is does not.

    views: behind each map, the newest and keyframes.
    """

    def __init__(self, scene: SceneCompleter, view: View, T_world_base: Array, views: int) -> None:
        self._scene, self._view, self._T_world_base = scene, view, T_world_base
        self._frames = 0
        self._kept: deque[EncodedView] = deque(maxlen=views - 1)
        for k in range(views - 1, 0, -1):
            self._kept.appendleft(scene.encode(self._seen_from(-k * FRAMES_PER_KEYFRAME)))

    def frame(self) -> None:
        pose, new = self._base(self._frames), self._scene.encode(self._seen_from(self._frames))
        self._scene.use([new, *self._kept])
        window = GridWindow.around(float(pose[0, 3]), float(pose[1, 3]), 40.0, 0.2)
        found = map_around(self._scene, pose, window, HeightBand())
        found.trinary()
        found.percent()
        if self._frames % FRAMES_PER_KEYFRAME == 0:
            self._kept.appendleft(new)
        self._frames += 1

    def _base(self, frames: int) -> Array:
        moved = self._T_world_base.copy()
        moved[:3, 3] += frames * METRES_PER_FRAME * moved[:3, 0]
        return moved

    def _seen_from(self, frames: int) -> View:
        T = self._base(frames) @ inverse(self._T_world_base) @ self._view.T_world_cam
        return dataclasses.replace(self._view, T_world_cam=T)


class Benchmark:
    """Posed views on the scene's device, each stage timed fast and, where it has one, plain.

    The plain formulation is encode, grid_sample and the concatenated perceptron in float32, of the
    views the scene's head looks at.
    """

    def __init__(
        self,
        scene: SceneCompleter,
        plain: DensityNetwork,
        views: list[View],
        lattice: Lattice,
        repeats: int,
    ) -> None:
        self.scene, self.plain, self.lattice, self.repeats = scene, plain, lattice, repeats
        self.device = scene.device
        self.views = views if plain.density_head.multi_view else views[:1]
        spec = scene.spec
        self.images = torch.rand(
            len(self.views), 3, spec.image_height, spec.image_width, device=self.device
        )
        reference = inverse(self.views[0].T_world_cam)
        poses = [inverse(reference @ view.T_world_cam) for view in self.views]
        self.K = self._tensor(np.stack([view.camera.ndc for view in self.views]))[None]
        self.T = self._tensor(np.stack(poses))[None]

    def stages(self) -> Iterator[tuple[str, Times | None, Times]]:
        """(stage, plain, fast), one after the other on the same machine."""
        yield "decode", None, self._decode()
        yield "remap", None, self._remap()
        yield "network", self._plain_network(), self._network()
        self.scene.set_views(self.views)
        pose = self.views[0].T_world_cam
        slab = transform(pose, profile_points(256, 64, 0.0).numpy())
        yield "profile", self._plain_points(slab), self._fast(self._profile)
        centres = self.lattice.centres().reshape(-1, 3).astype(np.float64)
        occupancy = self._fast(lambda: self.scene.occupancy(self.lattice))
        yield "lattice", self._plain_points(centres), occupancy
        yield "points", *self._points()
        yield "depth", self._plain_depth(), self._fast(self._depth)
        if self.scene.maps_in_one_go:
            yield from self._frame_graph()

    def _frame_graph(self) -> Iterator[tuple[str, Times | None, Times]]:
        """A frame from the image in host memory to the map there, and the device's part of it."""
        engine, view = SingleViewMaps(self.scene), self.views[0]
        base = np.eye(4)
        base[:2, 3] = view.T_world_cam[:2, 3]
        window = GridWindow.around(float(base[0, 3]), float(base[1, 3]), 40.0, 0.2)
        threshold = engine.curves.occupied_from

        def run() -> object:
            return engine.map(view, base, window, HeightBand(), threshold, "discount")

        if run() is not None:
            yield "frame_graph", None, measure(run, self.repeats)
            device = engine.device_times(self.repeats)
            yield "frame_graph_device", None, Times(tuple(sorted(device)))

    def frame(self, T_world_base: Array) -> dict[str, float]:
        """A frame to its map, beside the bare network, of a robot that drives on.

        One view is new, the others are keyframes it left behind. Of several views also what a frame
        of one would have taken.
        """
        ways = {"frame": _DrivingOn(self.scene, self.views[0], T_world_base, len(self.views))}
        if len(self.views) > 1:
            ways["single_frame"] = _DrivingOn(self.scene, self.views[0], T_world_base, 1)
        for drive in ways.values():
            # Until every keyframe is one that was driven past.
            for _ in range(1 + len(self.views) * FRAMES_PER_KEYFRAME):
                drive.frame()
        found: dict[str, list[float]] = {"network": [], **{name: [] for name in ways}}
        for _ in range(self.repeats):
            # In turn, so that all see the same moments of a shared machine.
            found["network"] += measure_warm(lambda: self.scene.encode(self.views[0]), 1).ms
            for name, drive in ways.items():
                found[name] += measure_warm(drive.frame, 1).ms
        ms = {f"{name}_ms": float(np.median(times)) for name, times in found.items()}
        tail = Times(tuple(sorted(found["frame"])))
        figures = {
            **ms,
            "ratio": ms["frame_ms"] / ms["network_ms"],
            "maps_per_s": 1e3 / ms["frame_ms"],
            "p95_ms": tail.percentile(95),
            "p99_ms": tail.percentile(99),
        }
        if "single_frame_ms" in ms:
            figures["views_ratio"] = ms["frame_ms"] / ms["single_frame_ms"]
        return figures

    def _decode(self) -> Times:
        _, jpeg = cv2.imencode(".jpg", self.views[0].image)
        return measure(lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), self.repeats)

    def _remap(self) -> Times:
        image = self.views[0].image
        height, width = image.shape[:2]
        spec = self.scene.spec
        x = np.linspace(0, width - 1, spec.image_width, dtype=np.float32)
        y = np.linspace(0, height - 1, spec.image_height, dtype=np.float32)
        maps = cv2.convertMaps(*np.meshgrid(x, y), cv2.CV_16SC2)
        return measure(lambda: cv2.remap(image, *maps, cv2.INTER_LINEAR), self.repeats)

    def _network(self) -> Times:
        def fast() -> None:
            for view in self.views:
                self.scene.encode(view)
            self._wait()

        return measure(fast, self.repeats)

    @torch.inference_mode()
    def _plain_network(self) -> Times:
        def plain() -> None:
            self.plain.encode(self.images)
            self._wait()

        return measure(plain, self.repeats)

    def _fast(self, query: Callable[[], object]) -> Times:
        def run() -> None:
            # What is kept for the next query is part of this one's price.
            self.scene.forget_answers()
            query()
            self._wait()

        return measure(run, self.repeats)

    def _profile(self) -> None:
        # Of a level camera, as the plain one beside it.
        fast_profile(self.scene, pitch=0.0)

    def _points(self) -> tuple[Times, Times]:
        """10,000 points before the camera, as `~/query` answers them: by one thread."""
        local = np.random.default_rng(0).uniform([-10, -1, 3], [10, 1.5, 23], (10_000, 3))
        points = transform(self.views[0].T_world_cam, local)
        snapshot = ViewSnapshot.of(self.scene, "discount")
        return self._plain_points(points), measure(lambda: snapshot.points(points), self.repeats)

    def _depth(self) -> None:
        self.scene.depth_map()

    @torch.inference_mode()
    def _plain_points(self, points: Array) -> Times:
        local = self._tensor(transform(inverse(self.views[0].T_world_cam), points))
        features = self.plain.encode(self.images)[None]
        chunks = torch.split(local, PLAIN_CHUNK)

        def plain() -> None:
            for chunk in chunks:
                self.plain.density(features, self.K, self.T, chunk[None])
            self._wait()

        self.plain.density(features, self.K, self.T, chunks[0][None])
        return measure_warm(plain, 2)

    @torch.inference_mode()
    def _plain_depth(self) -> Times:
        spec = self.scene.spec
        features = self.plain.encode(self.images)[None]
        camera = self.views[0].camera.resized(spec.image_width, spec.image_height)
        rays = self._tensor(camera.rays()).reshape(-1, 3)
        jitter = torch.full((DEPTH_SAMPLES,), 0.5, device=self.device)
        t = sample_distances(*spec.depths, jitter, spec.depth_spacing)

        def plain() -> None:
            for block in torch.split(rays, PLAIN_CHUNK // DEPTH_SAMPLES):
                points = (block[:, None] * t[:, None]).reshape(1, -1, 3)
                sigma, _ = self.plain.density(features, self.K, self.T, points)
                composite(sigma.view(len(block), -1), t, force_last=True)
            self._wait()

        return measure_warm(plain, 1)

    def _tensor(self, array: npt.ArrayLike) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
