"""How fast a recording may be played for the node to make a map of nearly every image."""

from __future__ import annotations

import statistics
import time

import numpy as np
import numpy.typing as npt

from kdbts_ros.demo.recording import Recording
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings

# Of the time between two images, how much the pipeline may take: the node also moves messages, and
# shares its cores with the player and the recorder.
SHARE = 0.65
# A demo that takes longer bores; then images are dropped, and counted.
LONGEST_REPLAY = 120.0
_TRIES = 3


def playing_rate(recording: Recording, frame_seconds: float) -> float:
    """Recorded seconds per second, at most 1, for a pipeline of so many seconds a frame."""
    interval = recording.seconds / max(recording.frames - 1, 1)
    rate = SHARE * interval / frame_seconds if frame_seconds > 0 else 1.0
    rate = min(max(rate, recording.seconds / LONGEST_REPLAY), 1.0)
    return float(f"{rate:.2g}") or 1.0  # two digits say enough; a lone image has no length


def frame_seconds(image: npt.NDArray[np.uint8], checkpoint: str, device: str) -> float:
    """How long the node's pipeline takes here for an image (H,W,3) of this size.

    Raises:
        UserError: the checkpoint cannot be loaded.
    """
    pipeline = Pipeline(PipelineSettings(checkpoint=checkpoint, device=device))
    height, width = image.shape[:2]
    camera = Camera(width, height, 0.6 * width, 0.6 * width, width / 2, height / 2)
    # An optical frame 1.65 m up that looks along x.
    T_world_cam = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.65], [0, 0, 0, 1.0]])
    taken = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        pipeline.process(View(image, camera, T_world_cam), np.eye(4))
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
