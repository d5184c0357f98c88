"""The frame pool: planned frames come in any order and are given in theirs; workers end."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.frames import PoolConfig
from kdbts_ros.learning.frames.pool import FramePlan, FramePool

PLAN = FramePlan(PoolConfig(capacity=24, minimum=8, reuse=2), 4, 0)
SEED = 100


def number(seed: int) -> int:
    return seed


def uneven(seed: int) -> int:
    time.sleep(0.02 * (seed % 3))
    return seed


def failing(seed: int) -> int:
    raise UserError("the disk with the frames is gone")


def dying(seed: int) -> int:
    raise SystemExit(3)


def given(pool: FramePool[int], steps: range) -> list[list[int]]:
    taken = []
    for step in steps:
        assert pool.gather(step, 60)
        taken.append(pool.take(step))
        assert len(pool) <= 24 + 32
    return taken


def planned(steps: range, places: range) -> list[list[int]]:
    return [[SEED + int(PLAN.numbers(s)[p]) for p in places] for s in steps]


def test_each_step_is_given_what_was_planned_whatever_comes_first() -> None:
    """Also where a run starts later and takes only some places: a resumed one of several."""
    with FramePool(uneven, PLAN, range(1, 3), SEED, workers=2, step=7) as pool:
        assert given(pool, range(7, 32)) == planned(range(7, 32), range(1, 3))
    assert not multiprocessing.active_children()


def test_a_failing_source_is_one_sentence() -> None:
    with (
        FramePool(failing, PLAN, range(4)) as pool,
        pytest.raises(UserError, match="disk with the frames is gone"),
    ):
        pool.gather(0, 60)


def test_a_dead_worker_is_noticed() -> None:
    with FramePool(dying, PLAN, range(4)) as pool:
        pool._look_ahead(0)
        multiprocessing.active_children()[0].join(60)
        with pytest.raises(UserError, match="died"):
            pool.gather(0, 0.2)
