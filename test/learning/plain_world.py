"""A world small enough for tests: flat ground and one wall across the street."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from torch import nn

from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Camera, View
from kdbts_ros.density.network import network
from kdbts_ros.density.network.trunk import Layer, Step, Trunk
from kdbts_ros.learning.frames import sources
from kdbts_ros.learning.frames.labels import LabelledFrame, label_frame
from kdbts_ros.learning.frames.pool import FramePlan
from kdbts_ros.learning.frames.sources import clip_of
from kdbts_ros.learning.losses.photometric import Clip
from kdbts_ros.learning.record import diary
from kdbts_ros.learning.run import loop

HEIGHT = 1.6
WIDTH_PX, HEIGHT_PX = 128, 64


def camera() -> Camera:
    return Camera(WIDTH_PX, HEIGHT_PX, 80.0, 80.0, 60.0, 30.0)


def pose(x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.float64]:
    T = np.eye(4)
    T[:3, :3] = R_BODY_OPTICAL
    T[:3, 3] = x, y, HEIGHT
    return T


def wall_distance(seed: int) -> float:
    return 8.0 + seed % 5


def depth_from(T_world_cam: npt.NDArray[np.float64], wall: float) -> npt.NDArray[np.float64]:
    rays = camera().rays().astype(np.float64)
    with np.errstate(divide="ignore"):
        ground = np.where(rays[..., 1] > 0, HEIGHT / np.maximum(rays[..., 1], 1e-9), np.inf)
    return np.minimum(ground, wall - T_world_cam[0, 3])


def occupied(points: npt.NDArray[np.float64], wall: float) -> npt.NDArray[np.bool_]:
    return np.asarray((points[:, 2] < 0) | (points[:, 0] > wall))


def picture(T_world_cam: npt.NDArray[np.float64], wall: float) -> View:
    """Colours are a smooth function of the world point seen, so that views agree."""
    depth = depth_from(T_world_cam, wall)
    xyz = camera().rays() * depth[..., None]
    world = xyz @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]
    colours = 0.5 + 0.5 * np.sin(world * [1.5, 2.0, 3.0])
    return View((colours * 255).astype(np.uint8), camera(), T_world_cam)


class PlainWorlds:
    """Stands in for the source of a supervised stage."""

    def __init__(
        self,
        width: int,
        height: int,
        points: int,
        columns: int = 0,
        extra: int = 0,
        **others: object,
    ) -> None:
        self._points, self._columns, self._extra = points, columns, extra

    def __call__(self, seed: int) -> LabelledFrame:
        wall, T = wall_distance(seed), pose()
        places = [(-1.0 - k, 0.0) for k in range(self._extra)]
        return label_frame(
            picture(T, wall),
            depth_from(T, wall),
            np.eye(4),
            lambda points: occupied(points, wall),
            self._points,
            np.random.default_rng(seed),
            self._columns,
            [picture(pose(*place), wall) for place in places],
        )


class PlainClips:
    """Stands in for the source of a photometric stage."""

    def __init__(self, width: int, height: int) -> None:
        pass

    def __call__(self, seed: int) -> Clip:
        wall = wall_distance(seed)
        places = [(0.0, 0.0), (0.8, 0.0), (0.0, -0.5), (0.8, -0.5)]
        return clip_of([picture(pose(*place), wall) for place in places])


class InlinePool:
    """Stands in for the pool: makes frames where they are taken, without other processes."""

    def __init__(
        self,
        make: Callable[[int], Any],
        plan: FramePlan,
        places: Sequence[int],
        seed: int,
        workers: int,
        step: int,
    ) -> None:
        self._make, self._plan, self._places, self._seed = make, plan, places, seed

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def gather(self, step: int, seconds: float) -> bool:
        return True

    def take(self, step: int) -> list[Any]:
        numbers = self._plan.numbers(step)
        return [self._make(self._seed + int(numbers[place])) for place in self._places]


class BlindWatcher:
    """Looks at nothing: what is watched has tests of its own."""

    def __init__(self, *arguments: object) -> None:
        pass

    def look(self, network: object, step: int) -> dict[str, float]:
        return {}


def replace_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs learn from this world, with a slim network, without other processes."""
    monkeypatch.setattr(sources, "LabelledWorlds", PlainWorlds)
    monkeypatch.setattr(sources, "SyntheticClips", PlainClips)
    monkeypatch.setattr(diary, "Watcher", BlindWatcher)
    monkeypatch.setattr(diary, "write_page", lambda *_: None)
    monkeypatch.setattr(loop, "FramePool", InlinePool)
    monkeypatch.setattr(network, "build_trunk", SlimTrunk)


def settings(folder: Path, steps: int = 3, **changes: Any) -> dict[str, Any]:
    """A run on a tiny network: supervised, then photometric."""
    pool = {"capacity": 8, "minimum": 2, "reuse": 2}
    return {
        "name": "tiny",
        "out": str(folder),
        "threads": 1,
        "average": 0.9,
        "precision": "float32",
        "log_every": 1,
        "network": {
            "image_height": HEIGHT_PX,
            "image_width": WIDTH_PX,
            "feature_channels": 8,
            "decoder_channels": [8, 8, 8, 16, 16],
            "head_width": 16,
        },
        "stages": [
            {
                "kind": "supervised",
                "steps": steps,
                "batch": 2,
                "points": 64,
                "rays": 16,
                "columns": 16,
                "samples": 8,
                "pool": pool,
            },
            {
                "kind": "photometric",
                "steps": 2,
                "batch": 2,
                "patches": 2,
                "samples": 8,
                "pool": pool,
            },
        ],
        **changes,
    }


class SlimTrunk(Trunk):
    """Stands in for a trunk: five levels with batch norms, a thousandth of the weights."""

    mean, deviation = 0.0, 1.0
    channels = (8, 8, 8, 16, 16)

    def __init__(self, name: str) -> None:
        super().__init__()
        inputs = (3, *self.channels[:-1])
        self.parts = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o))
            for i, o in zip(inputs, self.channels, strict=True)
        )

    def levels(self) -> tuple[tuple[nn.Module, ...], ...]:
        return tuple((part,) for part in self.parts)

    def steps(self) -> tuple[tuple[Step, ...], ...]:
        return tuple((Layer(conv, norm, "relu"),) for conv, norm in self.parts)
