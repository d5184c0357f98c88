"""The inference thread, with an engine that does as it is told."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kdbts_ros import memory
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import BadMount
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.errors import UserError
from kdbts_ros.node.inference.worker import InferenceThread, Job, Outcome, Published
from kdbts_ros.node.inputs.camera_messages import Calibration
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.reporting import drops

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


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """The thread freezes what was loaded; other tests' objects are not for good."""
    yield
    gc.unfreeze()


@pytest.fixture
def outcomes() -> queue.Queue[Outcome]:
    return queue.Queue()


def sent(job: Job, result: Any) -> Published:
    return Published(1.0, 2.0, 3.0)


def started(engine: Any, outcomes: queue.Queue[Outcome], publish: Any = sent) -> InferenceThread:
    load = engine if callable(engine) else lambda: engine
    thread = InferenceThread(load, publish, outcomes.put)
    thread.start(meanwhile=lambda: None)
    return thread


def test_a_job_becomes_an_outcome_in_the_thread_that_loaded(
    outcomes: queue.Queue[Outcome],
) -> None:
    made: list[Engine] = []

    def load() -> Engine:
        made.append(Engine())
        return made[0]

    thread = started(load, outcomes)
    assert thread.description == {"head": "bts"}
    thread.submit(job(settings="second"))
    outcome = outcomes.get(timeout=10)
    assert outcome.drop is None
    assert outcome.result.image.shape == (2, 4, 3)
    assert outcome.concerns == ("narrow",)
    assert made[0].settings == "second"
    assert thread.stop(10)
    assert len(made[0].threads) == 1
    assert threading.get_ident() not in made[0].threads


def test_what_was_loaded_is_not_searched_for_garbage(outcomes: queue.Queue[Outcome]) -> None:
    before = gc.get_freeze_count()
    engine = Engine()
    thread = started(engine, outcomes)
    assert gc.get_freeze_count() > before
    assert all(found is not engine for found in gc.get_objects())
    assert thread.stop(10)


def test_memory_is_given_back_with_the_model(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[weakref.ref[Engine]] = []
    gone: list[bool] = []

    def load() -> Engine:
        engine = Engine()
        known.append(weakref.ref(engine))
        return engine

    thread = started(load, outcomes)
    give_back = memory.give_back
    monkeypatch.setattr(memory, "give_back", lambda: (gone.append(known[0]() is None), give_back()))
    thread.submit(job())
    outcomes.get(timeout=10)
    assert thread.stop(10)
    assert gone == [True] and gc.get_freeze_count() == 0


def test_a_model_that_cannot_be_loaded_says_why(outcomes: queue.Queue[Outcome]) -> None:
    def missing() -> Engine:
        raise UserError("checkpoint 'x' is not there")

    with pytest.raises(UserError, match="'x' is not there"):
        started(missing, outcomes)

    def broken() -> Engine:
        raise MemoryError("no room")

    with pytest.raises(UserError, match="cannot be loaded: MemoryError: no room"):
        started(broken, outcomes)


def test_loading_can_be_given_up(outcomes: queue.Queue[Outcome]) -> None:
    release = threading.Event()

    def slow() -> Engine:
        release.wait(10)
        return Engine()

    def interrupted() -> None:
        raise KeyboardInterrupt

    thread = InferenceThread(slow, sent, outcomes.put)
    with pytest.raises(KeyboardInterrupt):
        thread.start(meanwhile=interrupted)
    release.set()
    assert thread.stop(10)


def test_nothing_comes_of_a_thread_that_was_parted_with(outcomes: queue.Queue[Outcome]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hang(view: View) -> Any:
        begun.set()
        assert go_on.wait(10)
        return "late"

    thread = started(Engine(hang), outcomes)
    thread.submit(job(1))
    assert begun.wait(10)
    thread.submit(job(2))
    assert not thread.stop(0.05)
    assert [lost.frame.stamp_ns for lost in thread.abandon()] == [1, 2], "begun, and waiting"
    assert thread.alive
    go_on.set()
    assert thread.stop(10) and not thread.alive
    assert outcomes.empty()


def test_a_thread_that_is_done_owes_nothing(outcomes: queue.Queue[Outcome]) -> None:
    thread = started(Engine(), outcomes)
    thread.submit(job(1))
    assert outcomes.get(timeout=10).drop is None
    assert thread.abandon() == []
    assert thread.stop(10)


def test_an_exception_costs_one_frame_and_no_more(outcomes: queue.Queue[Outcome]) -> None:
    def process(view: View) -> Any:
        if process.calls == 0:  # type: ignore[attr-defined]
            process.calls = 1  # type: ignore[attr-defined]
            raise RuntimeError("out of\n memory")
        return "map"

    process.calls = 0  # type: ignore[attr-defined]
    thread = started(Engine(process), outcomes)
    thread.submit(job(1))
    drop = outcomes.get(timeout=10).drop
    assert drop is not None
    assert drop.reason == drops.INFERENCE_ERROR
    assert drop.detail.startswith("RuntimeError: out of memory (process")
    thread.submit(job(2))
    assert outcomes.get(timeout=10).result == "map"
    thread.stop(10)


def test_a_map_is_published_by_the_thread_before_anything_else_is_done(
    outcomes: queue.Queue[Outcome],
) -> None:
    engine = Engine()
    thread = started(engine, outcomes, engine.publish)
    thread.submit(job())
    published = outcomes.get(timeout=10).published
    assert published == Published(0.0, 0.0, 0.0)
    assert engine.said == ["published", "concerns"]
    assert thread.stop(10)
    # The test's thread made the engine.
    assert len(engine.threads - {threading.get_ident()}) == 1


def test_a_failure_to_publish_costs_one_map_and_says_so(outcomes: queue.Queue[Outcome]) -> None:
    def publish(job: Job, result: Any) -> Published:
        if job.frame.stamp_ns == 1:
            raise RuntimeError("no\n room in the middleware")
        return sent(job, result)

    thread = started(Engine(), outcomes, publish)
    thread.submit(job(1))
    lost = outcomes.get(timeout=10)
    assert lost.published is None
    assert lost.drop is not None
    assert lost.drop.reason == drops.INFERENCE_ERROR
    words = "publishing failed: RuntimeError: no room in the middleware (publish"
    assert lost.drop.detail.startswith(words)
    thread.submit(job(2))
    assert outcomes.get(timeout=10).published == sent(job(2), None)
    thread.stop(10)


def test_a_map_whose_life_has_ended_is_not_published(outcomes: queue.Queue[Outcome]) -> None:
    thread = started(Engine(), outcomes, lambda job, result: None)
    thread.submit(job())
    outcome = outcomes.get(timeout=10)
    assert outcome.drop is None and outcome.published is None
    thread.stop(10)


@pytest.mark.parametrize("question", ["concerns", "describe"])
def test_nothing_after_publishing_turns_a_map_into_a_drop(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    engine = Engine()
    thread = started(engine, outcomes, engine.publish)
    monkeypatch.setattr(engine, question, lambda *of: 1 / 0)
    for stamp in (1, 2):
        thread.submit(job(stamp))
        outcome = outcomes.get(timeout=10)
        assert outcome.drop is None
        assert outcome.published == Published(0.0, 0.0, 0.0)
        assert outcome.fault.startswith("judging the camera failed: ZeroDivisionError: division")
    assert thread.stop(10)


def test_the_description_is_that_of_now(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    monkeypatch.setattr(engine, "describe", lambda: {"engine": "the GPU's maps were refused"})
    thread.submit(job())
    assert outcomes.get(timeout=10).model == thread.description
    assert thread.description == {"engine": "the GPU's maps were refused"}
    # A frame that failed knows nothing new.
    monkeypatch.setattr(engine, "process", lambda *of: 1 / 0)
    thread.submit(job(2))
    assert outcomes.get(timeout=10).model == {}
    assert thread.description == {"engine": "the GPU's maps were refused"}
    assert thread.stop(10)


def test_a_camera_that_cannot_be_is_named(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def view(*of: Any) -> View:
        raise BadMount("the camera lies in the ground")

    engine = Engine(lambda view: pytest.fail("inference ran"))
    monkeypatch.setattr(engine, "view", view)
    thread = started(engine, outcomes)
    thread.submit(job())
    drop = outcomes.get(timeout=10).drop
    assert drop is not None
    assert (drop.reason, drop.detail) == (drops.BAD_MOUNT, "the camera lies in the ground")
    assert thread.stop(10)


def test_a_past_that_cannot_be_forgotten_costs_a_frame_and_is_tried_again(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    forget = engine.forget
    monkeypatch.setattr(engine, "forget", lambda: 1 / 0)
    thread.submit(side_job(7, epoch=1))
    drop = outcomes.get(timeout=10).drop
    assert drop is not None
    assert drop.detail.startswith("the past cannot be forgotten: ZeroDivisionError")
    assert engine.kept == []
    monkeypatch.setattr(engine, "forget", forget)
    thread.submit(side_job(8, epoch=1))
    assert outcomes.get(timeout=10).drop is None
    assert engine.kept == [("left", 8)]
    assert thread.stop(10)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"encoding": "rgb8", "data": array("B", bytes(23))}, drops.BAD_IMAGE),
        ({"width": 2, "step": 12}, drops.CAMERA_INFO_MISMATCH),
    ],
)
def test_bad_images_are_drops(
    outcomes: queue.Queue[Outcome], message: dict[str, Any], reason: str
) -> None:
    thread = started(Engine(), outcomes)
    thread.submit(job(**message))
    drop = outcomes.get(timeout=10).drop
    assert drop is not None
    assert drop.reason == reason
    thread.stop(10)


def side_job(stamp: int, epoch: int = 0, camera: str = "left") -> Job:
    """A job of another camera, which only adds a view."""
    made = job(stamp)
    return replace(made, frame=replace(made.frame, camera=camera), wanted=None, epoch=epoch)


def test_a_job_without_a_map_adds_a_view(outcomes: queue.Queue[Outcome]) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    thread.submit(side_job(7))
    outcome = outcomes.get(timeout=10)
    assert outcome.result is None and outcome.drop is None and outcome.published is None
    assert engine.kept == [("left", 7)]
    thread.stop(10)


def test_a_new_life_forgets_what_was_kept(outcomes: queue.Queue[Outcome]) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    for stamp, epoch in ((7, 0), (8, 0), (3, 1)):
        thread.submit(side_job(stamp, epoch))
        outcomes.get(timeout=10)
    assert engine.kept == [("left", 3)]
    thread.stop(10)


def test_the_newest_job_replaces_one_that_has_not_begun(outcomes: queue.Queue[Outcome]) -> None:
    begun, release = threading.Event(), threading.Event()

    def process(view: View) -> None:
        begun.set()
        release.wait(10)

    thread = started(Engine(process), outcomes)
    thread.submit(job(1))
    begun.wait(10)
    assert thread.submit(job(2)) is None
    replaced = thread.submit(job(3))
    assert replaced is not None
    assert replaced.frame.stamp_ns == 2
    assert not thread.stop(0.01), "a frame in progress cannot be interrupted"
    release.set()
    assert thread.stop(10)
