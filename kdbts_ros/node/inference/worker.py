"""The one thread that owns the model.

CUDA graphs and their memory belong to the thread that made them, and the executor must stay free
for transforms; so a single long-lived thread loads the network and runs every frame. It also sends
what it has computed: a map that were handed over would wait for the images the executor takes.

Publishing is the last thing that can turn a job into a drop. What is asked of the engine after it
(why the network may do badly, what runs now) has a guard of its own: its fault becomes a sentence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kdbts_ros import memory
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import BadMount
from kdbts_ros.density.geometry.camera import View, inverse
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.errors import UserError
from kdbts_ros.node.inference.handover import Mailbox
from kdbts_ros.node.inputs.camera_messages import decode, decode_compressed
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import with_place

Rgb = npt.NDArray[np.uint8]


class Engine(Protocol):
    """What the thread runs: `kdbts_ros.density.pipeline.Pipeline`."""

    settings: Any

    def update(self, settings: Any) -> None:
        """Take new thresholds and heights."""

    def view(self, image: Rgb, lens: Lens, T_fixed_camera: Matrix, T_fixed_base: Matrix) -> View:
        """What the network is shown of an image taken through a lens."""

    def concerns(self, lens: Lens, T_base_camera: Matrix) -> list[str]:
        """Why the network may do badly with a camera, one sentence each."""

    def process(
        self, view: View, T_fixed_base: Matrix, wanted: Wanted, frame_stamp: FrameStamp
    ) -> Any:
        """Map, and on request more, of one posed image."""

    def remember(self, view: View, frame_stamp: FrameStamp) -> None:
        """Keep one posed image for the maps to come."""

    def forget(self) -> None:
        """Drop what earlier images left."""

    def describe(self) -> dict[str, str]:
        """head, checkpoint, device and precision in words."""


@dataclass(frozen=True)
class Job:
    """A frame with everything inference needs. `epoch` tells outcomes of a past epoch apart.

    `wanted` is None for an image that only adds a view. `pose_faults`: see `FrameStamp`.
    """

    frame: Frame
    needs: Needs
    settings: Any
    wanted: Wanted | None
    epoch: int
    pose_faults: int = 0


@dataclass(frozen=True)
class Published:
    """When a map was sent, seconds of `Frame.arrived`'s clock, and its age then by the node's.

    fault: what could not be sent beside the map, and why; empty if nothing.
    """

    began: float
    ended: float
    age_ms: float
    fault: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or the reason why there is none.

    Neither where the image only added a view. `published` is None where nothing was sent: there is
    no map, or its epoch ended first.
    concerns: why the network may do badly with the job's camera.
    model: what the engine says about itself after the job; empty after a drop.
    fault: what went wrong once the map was out.
    """

    job: Job
    result: Any
    drop: Dropped | None
    started: float
    decode_ms: float
    published: Published | None = None
    concerns: tuple[str, ...] = ()
    model: dict[str, str] = field(default_factory=dict)
    fault: str = ""


# Sends the result of a job; None where its epoch has ended and nothing was sent.
Publish = Callable[[Job, Any], Published | None]


class InferenceThread:
    """Runs jobs one at a time; a camera's newer job replaces one that has not begun.

    Args:
        load: makes the engine, in the thread that will own it; may raise UserError.
        publish: called in that thread with every job that asked for a map, and its result.
        deliver: called in that thread with every Outcome; must only hand it over.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        publish: Publish,
        deliver: Callable[[Outcome], None],
    ) -> None:
        self._load = load
        self._publish = publish
        self._deliver = deliver
        self._mailbox: Mailbox[Job] = Mailbox()
        self._loaded = threading.Event()
        self._fault: UserError | None = None
        # Of the job in progress, and of whether anybody still waits for what comes of it.
        self._handing_over = threading.Lock()
        self._current: Job | None = None
        self._abandoned = False
        self.as_loaded: dict[str, str] = {}
        self.description = self.as_loaded
        # A daemon: a frame that cannot be interrupted must not keep the process alive.
        self._thread = threading.Thread(target=self._live, name="kdbts_inference", daemon=True)

    def start(self, meanwhile: Callable[[], object]) -> None:
        """Load the model and return when it is ready.

        Args:
            meanwhile: called again and again until then; its exceptions pass.

        Raises:
            UserError: the model cannot be loaded.
        """
        self._thread.start()
        while not self._loaded.wait(0.02):
            meanwhile()
        if self._fault:
            raise self._fault

    def submit(self, job: Job) -> Job | None:
        """Hand over a job; the one it replaces, if any, will not run."""
        return self._mailbox.put(job, job.frame.camera)

    def clear(self) -> list[Job]:
        """Take back the jobs that have not begun."""
        return self._mailbox.clear()

    def stop(self, timeout: float) -> bool:
        """End after the frame in progress; False if it takes longer than `timeout` seconds."""
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def abandon(self) -> list[Job]:
        """Want nothing more of a thread that does not end; the jobs that nothing will come of.

        Nothing is delivered from now on. Its epoch must have ended, so that nothing is published.
        """
        with self._handing_over:
            self._abandoned = True
            lost = [] if self._current is None else [self._current]
        self._mailbox.close()
        return lost + self._mailbox.clear()

    def _done(self, outcome: Outcome) -> None:
        with self._handing_over:
            self._current = None
            if not self._abandoned:
                self._deliver(outcome)

    def _live(self) -> None:
        self._run()
        # The model is gone with the call.
        memory.give_back()

    def _run(self) -> None:
        try:
            engine = self._load()
            self.description = self.as_loaded = engine.describe()
            memory.settle()
        except UserError as fault:
            self._fault = fault
            return
        except Exception as error:  # the caller waits to hear why
            self._fault = UserError(f"the model cannot be loaded: {with_place(error)}")
            return
        finally:
            self._loaded.set()
        epoch = 0
        while (job := self._mailbox.take()) is not None:
            self._current = job
            if job.epoch != epoch:
                # Views of a past epoch would be fused under poses of another.
                if (drop := _forgotten(engine)) is not None:
                    self._done(Outcome(job, None, drop, time.monotonic(), 0.0))
                    continue
                epoch = job.epoch
            outcome = run(engine, job, self._publish)
            self.description = outcome.model or self.description
            self._done(outcome)


def _forgotten(engine: Engine) -> Dropped | None:
    """Have the engine forget a past epoch; why the first job of the next one is lost, if it is."""
    try:
        engine.forget()
    except Exception as error:
        sentence = f"the past cannot be forgotten: {with_place(error)}"
        return Dropped(drops.INFERENCE_ERROR, sentence)
    return None


def run(engine: Engine, job: Job, publish: Publish) -> Outcome:
    """One frame through decoding, rectification, engine and publishing; failures become drops."""
    started = time.monotonic()
    decode_ms = 0.0
    needs, calibration = job.needs, job.needs.calibration
    try:
        message = job.frame.message
        compressed = job.frame.size is None
        image = (decode_compressed if compressed else decode)(message, job.frame.samples)
        calibration.check_size(image.shape[1], image.shape[0])
        view = engine.view(image, calibration.lens, needs.T_fixed_camera, needs.T_fixed_base)
        decode_ms = (time.monotonic() - started) * 1e3
        if engine.settings != job.settings:
            engine.update(job.settings)
        frame_stamp = FrameStamp(job.frame.camera, job.frame.stamp_ns, job.pose_faults)
        result, published = None, None
        if job.wanted is None:
            engine.remember(view, frame_stamp)
        else:
            result = engine.process(view, needs.T_fixed_base, job.wanted, frame_stamp)
            published = _send(publish, job, result)
    except Dropped as drop:
        return Outcome(job, None, drop, started, decode_ms)
    except BadMount as error:
        return Outcome(job, None, Dropped(drops.BAD_MOUNT, str(error)), started, decode_ms)
    except UserError as error:
        return Outcome(job, None, Dropped(drops.INFERENCE_ERROR, str(error)), started, decode_ms)
    except Exception as error:
        # The one place where a frame may fail for a reason nobody foresaw (memory, a driver): the
        # frame is lost, counted and reported, and the next one gets its chance.
        unforeseen = Dropped(drops.INFERENCE_ERROR, with_place(error))
        return Outcome(job, None, unforeseen, started, decode_ms)
    # Only now: nobody waits for what follows, but for the map.
    concerns, model, fault = _after_publishing(engine, job)
    return Outcome(job, result, None, started, decode_ms, published, concerns, model, fault)


def _after_publishing(engine: Engine, job: Job) -> tuple[tuple[str, ...], dict[str, str], str]:
    """Concerns, description, and the fault of asking for them; the map stays a map."""
    needs = job.needs
    concerns, model = tuple[str, ...](), dict[str, str]()
    try:
        model = engine.describe()
        T_base_camera = inverse(needs.T_fixed_base) @ needs.T_fixed_camera
        concerns = tuple(engine.concerns(needs.calibration.lens, T_base_camera))
    except Exception as error:
        return concerns, model, f"judging the camera failed: {with_place(error)}"
    return concerns, model, ""


def _send(publish: Publish, job: Job, result: Any) -> Published | None:
    try:
        return publish(job, result)
    except Exception as error:  # a middleware has reasons of its own
        sentence = f"publishing failed: {with_place(error)}"
        raise Dropped(drops.INFERENCE_ERROR, sentence) from error
