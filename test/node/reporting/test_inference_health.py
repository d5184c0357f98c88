"""What the node says about its inference: late, failing, slower than it was."""

from __future__ import annotations

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.health import engine_status
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN
from test.node.reporting.surroundings import (
    SILENCE,
    healthy,
    status,
    two_cameras,
)


def busy(counters: Counters, first: float, now: float) -> None:
    """Posed images every tenth of a second, each replacing the one that inference never began."""
    at = first
    counters.debts.asked(at, for_a_map=True, instead=False)
    while at <= now:
        counters.image(at)
        counters.posed(at)
        counters.debts.asked(at, for_a_map=True, instead=True)
        counters.drop(Dropped(drops.SUPERSEDED, "a newer image came"), at)
        at += 0.1


def test_a_camera_that_fails_is_named_though_another_gives_maps() -> None:
    counters = healthy(camera="left")
    for _ in range(3):
        counters.drop(Dropped(drops.INFERENCE_ERROR, "out of memory"), 100.0, "rear")
        counters.judged("left", "left", ())
        counters.map(100.0, {})
    told = status("inference", counters, two_cameras())
    assert told.level == ERROR
    assert told.message == "rear: 3 image(s) in a row failed: out of memory"


def test_an_inference_that_hangs_is_reported_however_many_images_come() -> None:
    counters = healthy(now=99.0)
    busy(counters, 100.0, 100.0 + SILENCE)
    assert status("inference", counters, now=99.0 + SILENCE).level == OK
    busy(counters, 105.0, 120.0)
    told = status("inference", counters, now=120.0)
    assert told.level == ERROR
    assert told.message.startswith("an inference has not ended for 20.0 s: given up after")
    assert "inference_timeout, 60 s" in told.message


def test_a_first_inference_that_hangs_is_reported() -> None:
    counters = Counters(since=0.0)
    busy(counters, 100.0, 110.0)
    assert status("inference", counters, now=104.0).level == STALE, "active for long, no map yet"
    assert status("inference", counters, now=106.0).level == ERROR


def test_images_that_never_become_a_map_are_reported_with_the_newest_reason() -> None:
    counters = healthy(now=90.0)
    for second in range(91, 101):
        now = float(second)
        counters.image(now)
        counters.posed(now)
        counters.debts.asked(now, for_a_map=True, instead=False)
        counters.debts.answered(now, with_a_map=False)
        counters.refused(Dropped(drops.BAD_MOUNT, f"tilted {second}"), now)
        counters.drop(Dropped(drops.SUPERSEDED, "a newer image came"), now)
    told = status("inference", counters)
    assert told.level == ERROR
    assert told.message == "no map for 10.0 s; the newest reason is bad_mount: tilted 100"


def test_inference_errors_are_told_until_a_map_comes() -> None:
    counters = healthy()
    for _ in range(3):
        counters.drop(Dropped(drops.INFERENCE_ERROR, "RuntimeError: out of memory"), 100.0)
    told = status("inference", counters)
    assert told.level == ERROR
    assert "out of memory" in told.message
    counters.judged("", "camera", ())
    assert status("inference", counters).level == OK


def test_an_engine_that_slowed_down_is_told() -> None:
    fast = {"head": "bts", "engine": "fast"}
    assert engine_status(fast, fast).level == OK
    slow = engine_status(fast, fast | {"engine": "the GPU's maps were refused"})
    assert slow.level == WARN
    assert slow.message == "slower since it was loaded: the GPU's maps were refused"
    # A machine that never was fast has been told so when the model was loaded.
    assert engine_status({"engine": "no kernels"}, {"engine": "no kernels"}).level == OK
    # Loaded a moment ago, and not yet the node's: nothing has slowed down.
    assert engine_status({}, fast).level == OK
