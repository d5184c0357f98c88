"""What becomes of a job: a map that was sent, or one reason why there is none."""

from __future__ import annotations

import queue
import threading
from array import array
from typing import Any

import pytest

from kdbts_ros.density.cameras.training_camera import BadMount
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.node.inference.worker import Job, Outcome, Published
from kdbts_ros.node.reporting import drops
from test.node.inference.obedient_engine import HANGS, Engine, job, sent, side_job, started


def test_an_exception_costs_one_frame_and_no_more(outcomes: queue.Queue[Outcome]) -> None:
    def process(view: View) -> Any:
        if process.calls == 0:  # type: ignore[attr-defined]
            process.calls = 1  # type: ignore[attr-defined]
            raise RuntimeError("out of\n memory")
        return "map"

    process.calls = 0  # type: ignore[attr-defined]
    thread = started(Engine(process), outcomes)
    thread.submit(job(1))
    drop = outcomes.get(timeout=HANGS).drop
    assert drop is not None
    assert drop.reason == drops.INFERENCE_ERROR
    assert drop.detail.startswith("RuntimeError: out of memory (process")
    thread.submit(job(2))
    assert outcomes.get(timeout=HANGS).result == "map"
    thread.stop(HANGS)


def test_a_map_is_published_by_the_thread_before_anything_else_is_done(
    outcomes: queue.Queue[Outcome],
) -> None:
    engine = Engine()
    thread = started(engine, outcomes, engine.publish)
    thread.submit(job())
    published = outcomes.get(timeout=HANGS).published
    assert published == Published(0.0, 0.0, 0.0)
    assert engine.said == ["published", "concerns"]
    assert thread.stop(HANGS)
    # The test's thread made the engine.
    assert len(engine.threads - {threading.get_ident()}) == 1


def test_a_failure_to_publish_costs_one_map_and_says_so(outcomes: queue.Queue[Outcome]) -> None:
    def publish(job: Job, result: Any) -> Published:
        if job.frame.stamp_ns == 1:
            raise RuntimeError("no\n room in the middleware")
        return sent(job, result)

    thread = started(Engine(), outcomes, publish)
    thread.submit(job(1))
    lost = outcomes.get(timeout=HANGS)
    assert lost.published is None
    assert lost.drop is not None
    assert lost.drop.reason == drops.INFERENCE_ERROR
    words = "publishing failed: RuntimeError: no room in the middleware (publish"
    assert lost.drop.detail.startswith(words)
    thread.submit(job(2))
    assert outcomes.get(timeout=HANGS).published == sent(job(2), None)
    thread.stop(HANGS)


def test_a_map_whose_life_has_ended_is_not_published(outcomes: queue.Queue[Outcome]) -> None:
    thread = started(Engine(), outcomes, lambda job, result: None)
    thread.submit(job())
    outcome = outcomes.get(timeout=HANGS)
    assert outcome.drop is None and outcome.published is None
    thread.stop(HANGS)


@pytest.mark.parametrize("question", ["concerns", "describe"])
def test_nothing_after_publishing_turns_a_map_into_a_drop(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    engine = Engine()
    thread = started(engine, outcomes, engine.publish)
    monkeypatch.setattr(engine, question, lambda *of: 1 / 0)
    for stamp in (1, 2):
        thread.submit(job(stamp))
        outcome = outcomes.get(timeout=HANGS)
        assert outcome.drop is None
        assert outcome.published == Published(0.0, 0.0, 0.0)
        assert outcome.fault.startswith("judging the camera failed: ZeroDivisionError: division")
    assert thread.stop(HANGS)


def test_the_description_is_that_of_now(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    monkeypatch.setattr(engine, "describe", lambda: {"engine": "the GPU's maps were refused"})
    thread.submit(job())
    assert outcomes.get(timeout=HANGS).model == thread.description
    assert thread.description == {"engine": "the GPU's maps were refused"}
    # A frame that failed knows nothing new.
    monkeypatch.setattr(engine, "process", lambda *of: 1 / 0)
    thread.submit(job(2))
    assert outcomes.get(timeout=HANGS).model == {}
    assert thread.description == {"engine": "the GPU's maps were refused"}
    assert thread.stop(HANGS)


def test_a_camera_that_cannot_be_is_named(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def view(*of: Any) -> View:
        raise BadMount("the camera lies in the ground")

    engine = Engine(lambda view: pytest.fail("inference ran"))
    monkeypatch.setattr(engine, "view", view)
    thread = started(engine, outcomes)
    thread.submit(job())
    drop = outcomes.get(timeout=HANGS).drop
    assert drop is not None
    assert (drop.reason, drop.detail) == (drops.BAD_MOUNT, "the camera lies in the ground")
    assert thread.stop(HANGS)


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
    drop = outcomes.get(timeout=HANGS).drop
    assert drop is not None
    assert drop.reason == reason
    thread.stop(HANGS)


def test_a_job_without_a_map_adds_a_view(outcomes: queue.Queue[Outcome]) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    thread.submit(side_job(7))
    outcome = outcomes.get(timeout=HANGS)
    assert outcome.result is None and outcome.drop is None and outcome.published is None
    assert engine.kept == [("left", 7)]
    thread.stop(HANGS)
