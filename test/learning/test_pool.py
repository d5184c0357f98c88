"""The frame pool: frames come, are reused within bounds, and workers end."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config import PoolConfig
from kdbts_ros.learning.pool import FramePool


def number(seed: int) -> int:
    return seed


def failing(seed: int) -> int:
    raise UserError("the disk with the frames is gone")


def dying(seed: int) -> int:
    raise SystemExit(3)


def test_frames_are_fresh_and_reused_within_bounds() -> None:
    config = PoolConfig(capacity=20, minimum=4, reuse=2, seed=100)
    with FramePool(number, config, np.random.default_rng(0), first=5) as pool:
        drawn = [frame for _ in range(15) for frame in pool.draw(4)]
        assert pool.received - 5 >= len(drawn) / config.reuse
        assert len(pool) <= 20
    assert min(drawn) >= 105
    assert max(drawn) > 120
    assert not multiprocessing.active_children()


def test_a_failing_source_is_one_sentence() -> None:
    config = PoolConfig(capacity=4, minimum=2)
    with (
        FramePool(failing, config, np.random.default_rng(0)) as pool,
        pytest.raises(UserError, match="disk with the frames is gone"),
    ):
        pool.draw(1)


def test_a_dead_worker_is_noticed() -> None:
    config = PoolConfig(capacity=4, minimum=2)
    with FramePool(dying, config, np.random.default_rng(0)) as pool:
        multiprocessing.active_children()[0].join(60)
        with pytest.raises(UserError, match="died"):
            pool.fill(0.2)
