"""How long the stages of a frame take, beside the plain formulation in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from kdbts_ros.density.bev import GridWindow, HeightBand, map_around
from kdbts_ros.density.camera import Array, View, inverse, transform
from kdbts_ros.density.lattice import Lattice
from kdbts_ros.density.network import DensityNetwork
from kdbts_ros.density.profile import profile_points
from kdbts_ros.density.rendering import composite, sample_distances
from kdbts_ros.density.scene import DEPTH_SAMPLES, SceneCompleter

# A robot's surroundings: 20 x 18 x 2 m at 0.1 m, 720,000 points.
ROBOT_LATTICE = Lattice.from_bounds((0, 20), (-9, 9), (0, 2), 0.1)
PLAIN_CHUNK = 1 << 16


def measure(run: Callable[[], object], repeats: int) -> float:
    """Best wall time of `repeats` runs in ms after one that warms up; best, because a shared
    machine only ever adds time."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


class Benchmark:
    """One synthetic view on the scene's device, each stage timed fast and plain.

    The plain formulation is encode, grid_sample and the concatenated perceptron in float32.
    """

    def __init__(
        self, scene: SceneCompleter, plain: DensityNetwork, view: View, repeats: int
    ) -> None:
        self.scene, self.plain, self.view, self.repeats = scene, plain, view, repeats
        self.device = scene.device
        self.K = self._tensor(view.camera.ndc)[None, None]
        self.T = torch.eye(4, device=self.device)[None, None]
        spec = scene.spec
        side = torch.rand(1, 3, spec.image_height, spec.image_width, device=self.device)
        self.images = side

    def stages(self) -> Iterator[tuple[str, float, float]]:
        """(stage, plain ms, fast ms), one after the other on the same machine."""
        yield self._encode()
        for name, points in self._point_sets():
            yield self._points(name, points)
        yield self._depth()

    def frame(self, T_world_base: Array) -> dict[str, float]:
        """A whole frame to its map, beside the bare network."""
        window = GridWindow.around(0.0, 0.0, 40.0, 0.2)
        band = HeightBand()

        def whole() -> None:
            self.scene.set_views([self.view])
            map_around(self.scene, T_world_base, window, band)

        network = measure(lambda: self.scene.set_views([self.view]), self.repeats)
        frame = measure(whole, self.repeats)
        return {
            "network_ms": network,
            "frame_ms": frame,
            "ratio": frame / network,
            "maps_per_s": 1e3 / frame,
        }

    def _encode(self) -> tuple[str, float, float]:
        @torch.inference_mode()
        def plain() -> None:
            self.plain.encode(self.images)
            self._wait()

        def fast() -> None:
            self.scene.set_views([self.view])
            self._wait()

        return "encode", measure(plain, self.repeats), measure(fast, self.repeats)

    def _points(self, name: str, points: Array) -> tuple[str, float, float]:
        local = self._tensor(transform(inverse(self.view.T_world_cam), points))
        features = self._features()

        @torch.inference_mode()
        def plain() -> None:
            for chunk in torch.split(local, PLAIN_CHUNK):
                self.plain.density(features, self.K, self.T, chunk[None])
            self._wait()

        self.scene.set_views([self.view])
        return name, measure(plain, 1), measure(lambda: self.scene.density(points), self.repeats)

    def _depth(self) -> tuple[str, float, float]:
        spec, features = self.scene.spec, self._features()
        camera = self.view.camera.resized(spec.image_width, spec.image_height)
        rays = self._tensor(camera.rays()).reshape(-1, 3)
        jitter = torch.full((DEPTH_SAMPLES,), 0.5, device=self.device)
        t = sample_distances(spec.depth_near, spec.depth_far, jitter)

        @torch.inference_mode()
        def plain() -> None:
            for block in torch.split(rays, PLAIN_CHUNK // DEPTH_SAMPLES):
                points = (block[:, None] * t[:, None]).reshape(1, -1, 3)
                sigma, _ = self.plain.density(features, self.K, self.T, points)
                composite(sigma.view(len(block), -1), t, force_last=True)
            self._wait()

        def fast() -> None:
            self.scene.forget_depth()
            self.scene.depth_map()

        name = f"depth {spec.image_width}x{spec.image_height}x{DEPTH_SAMPLES}"
        return name, measure(plain, 1), measure(fast, self.repeats)

    def _point_sets(self) -> Iterator[tuple[str, Array]]:
        profile = profile_points(256, 64, 0.0).numpy()
        yield "profile 256x64x256", transform(self.view.T_world_cam, profile)
        yield "lattice 20x18x2 m", ROBOT_LATTICE.centres().reshape(-1, 3).astype(np.float64)

    @torch.inference_mode()
    def _features(self) -> torch.Tensor:
        return self.plain.encode(self.images)[None]

    def _tensor(self, array: npt.ArrayLike) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
