"""An engine that does as it is told, and jobs for the thread that owns it."""

from __future__ import annotations

import queue
import threading
from array import array
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.node.inference.worker import InferenceThread, Job, Outcome, Published
from kdbts_ros.node.inputs.camera_messages import Calibration
from kdbts_ros.node.inputs.waiting import Frame, Needs

# What a thread is told from one that hangs by, s: a busy machine may take long to give memory back.
HANGS = 120.0
CALIBRATION = Calibration(Lens(Camera(4, 2, 3, 3, 2, 1)))


class Engine:
    """Calls back instead of computing."""

    def __init__(self, process: Any = None) -> None:
        self.settings: Any = "first"
        self.threads = {threading.get_ident()}
        self.kept: list[tuple[str, int]] = []
        self.said: list[str] = []
        self._process = process or (lambda view: view)

    def publish(self, job: Job, result: Any) -> Published:
        self.threads.add(threading.get_ident())
        self.said.append("published")
        return Published(0.0, 0.0, 0.0)

    def update(self, settings: Any) -> None:
        self.settings = settings

    def describe(self) -> dict[str, str]:
        return {"head": "bts"}

    def view(self, image: Any, lens: Lens, T_fixed_camera: Any, T_fixed_base: Any) -> View:
        return View(image, lens.camera, T_fixed_camera)

    def concerns(self, lens: Lens, T_base_camera: Any) -> list[str]:
        self.said.append("concerns")
        return ["narrow"]

    def remember(self, view: View, frame_stamp: FrameStamp) -> None:
        self.kept.append((frame_stamp.camera, frame_stamp.stamp_ns))

    def forget(self) -> None:
        self.kept.clear()

    def process(self, view: View, T: Any, wanted: Wanted, frame_stamp: FrameStamp) -> Any:
        self.threads.add(threading.get_ident())
        return self._process(view)


def job(stamp: int = 1, settings: str = "first", **message: Any) -> Job:
    fields: dict[str, Any] = {
        "width": 4,
        "height": 2,
        "step": 12,
        "encoding": "rgb8",
        "is_bigendian": 0,
        "data": array("B", bytes(24)),
    }
    image = SimpleNamespace(**(fields | message))
    frame = Frame(stamp, "camera", image, (4, 2), 0.0)
    return Job(frame, Needs(CALIBRATION, np.eye(4), np.eye(4)), settings, Wanted(), 0)


def side_job(stamp: int, epoch: int = 0, camera: str = "left") -> Job:
    """A job of another camera, which only adds a view."""
    made = job(stamp)
    return replace(made, frame=replace(made.frame, camera=camera), wanted=None, epoch=epoch)


def sent(job: Job, result: Any) -> Published:
    return Published(1.0, 2.0, 3.0)


def started(engine: Any, outcomes: queue.Queue[Outcome], publish: Any = sent) -> InferenceThread:
    load = engine if callable(engine) else lambda: engine
    thread = InferenceThread(load, publish, outcomes.put)
    thread.start(meanwhile=lambda: None)
    return thread
