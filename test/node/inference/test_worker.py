"""The inference thread: how it begins and ends, and which jobs it takes."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from typing import Any

import pytest

from kdbts_ros import memory
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.errors import UserError
from kdbts_ros.node.inference.worker import InferenceThread, Outcome
from test.node.inference.obedient_engine import HANGS, Engine, job, sent, side_job, started


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
    outcome = outcomes.get(timeout=HANGS)
    assert outcome.drop is None
    assert outcome.result.image.shape == (2, 4, 3)
    assert outcome.concerns == ("narrow",)
    assert made[0].settings == "second"
    assert thread.stop(HANGS)
    assert len(made[0].threads) == 1
    assert threading.get_ident() not in made[0].threads


def test_what_was_loaded_is_not_searched_for_garbage(outcomes: queue.Queue[Outcome]) -> None:
    before = gc.get_freeze_count()
    engine = Engine()
    thread = started(engine, outcomes)
    assert gc.get_freeze_count() > before
    assert all(found is not engine for found in gc.get_objects())
    assert thread.stop(HANGS)


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
    outcomes.get(timeout=HANGS)
    assert thread.stop(HANGS)
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
        release.wait(HANGS)
        return Engine()

    def interrupted() -> None:
        raise KeyboardInterrupt

    thread = InferenceThread(slow, sent, outcomes.put)
    with pytest.raises(KeyboardInterrupt):
        thread.start(meanwhile=interrupted)
    release.set()
    assert thread.stop(HANGS)


def test_nothing_comes_of_a_thread_that_was_parted_with(outcomes: queue.Queue[Outcome]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hang(view: View) -> Any:
        begun.set()
        assert go_on.wait(HANGS)
        return "late"

    thread = started(Engine(hang), outcomes)
    thread.submit(job(1))
    assert begun.wait(HANGS)
    thread.submit(job(2))
    assert not thread.stop(0.05)
    assert [lost.frame.stamp_ns for lost in thread.abandon()] == [1, 2], "begun, and waiting"
    assert thread.alive
    go_on.set()
    assert thread.stop(HANGS) and not thread.alive
    assert outcomes.empty()


def test_a_thread_that_is_done_owes_nothing(outcomes: queue.Queue[Outcome]) -> None:
    thread = started(Engine(), outcomes)
    thread.submit(job(1))
    assert outcomes.get(timeout=HANGS).drop is None
    assert thread.abandon() == []
    assert thread.stop(HANGS)


def test_a_past_that_cannot_be_forgotten_costs_a_frame_and_is_tried_again(
    outcomes: queue.Queue[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    forget = engine.forget
    monkeypatch.setattr(engine, "forget", lambda: 1 / 0)
    thread.submit(side_job(7, epoch=1))
    drop = outcomes.get(timeout=HANGS).drop
    assert drop is not None
    assert drop.detail.startswith("the past cannot be forgotten: ZeroDivisionError")
    assert engine.kept == []
    monkeypatch.setattr(engine, "forget", forget)
    thread.submit(side_job(8, epoch=1))
    assert outcomes.get(timeout=HANGS).drop is None
    assert engine.kept == [("left", 8)]
    assert thread.stop(HANGS)


def test_a_new_life_forgets_what_was_kept(outcomes: queue.Queue[Outcome]) -> None:
    engine = Engine()
    thread = started(engine, outcomes)
    for stamp, epoch in ((7, 0), (8, 0), (3, 1)):
        thread.submit(side_job(stamp, epoch))
        outcomes.get(timeout=HANGS)
    assert engine.kept == [("left", 3)]
    thread.stop(HANGS)


def test_the_newest_job_replaces_one_that_has_not_begun(outcomes: queue.Queue[Outcome]) -> None:
    begun, release = threading.Event(), threading.Event()

    def process(view: View) -> None:
        begun.set()
        release.wait(HANGS)

    thread = started(Engine(process), outcomes)
    thread.submit(job(1))
    begun.wait(HANGS)
    assert thread.submit(job(2)) is None
    replaced = thread.submit(job(3))
    assert replaced is not None
    assert replaced.frame.stamp_ns == 2
    assert not thread.stop(0.01), "a frame in progress cannot be interrupted"
    release.set()
    assert thread.stop(HANGS)
