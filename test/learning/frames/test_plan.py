"""What a step is given depends on the step alone, and wears frames out evenly."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.learning.config.frames import PoolConfig
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.pool import FramePlan

configs = st.builds(
    PoolConfig,
    capacity=st.integers(4, 200),
    minimum=st.integers(2, 100),
    reuse=st.floats(1, 20),
)


@settings(max_examples=50, deadline=None)
@given(config=configs, batch=st.integers(1, 9), step=st.integers(0, 300), seed=st.integers(0, 9))
def test_frames_stay_in_their_lanes_and_in_the_window(
    config: PoolConfig, batch: int, step: int, seed: int
) -> None:
    plan = FramePlan(config, batch, seed)
    numbers = plan.numbers(step)
    assert (numbers % batch == np.arange(batch)).all()
    assert (numbers >= plan.oldest(step)).all()
    assert plan.oldest(step) <= plan.oldest(step + 1)
    first, end = plan.lane(step)
    assert 0 < end - first <= max(1, config.capacity // batch)
    assert (numbers == FramePlan(config, batch, seed).numbers(step)).all()


def test_frames_are_used_as_often_as_said() -> None:
    plan = FramePlan(PoolConfig(capacity=60, minimum=12, reuse=3), 4, 0)
    uses = Counter(int(n) for step in range(900) for n in plan.numbers(step))
    settled = [uses[n] for n in range(100, 1000)]
    assert abs(np.mean(settled) - 3) < 0.15
    assert max(uses) < 900 / 3 * 4 + 4


def test_processes_draw_their_part_of_what_one_would_draw() -> None:
    whole = Draws(1, 0, 5, range(4))
    parts = [Draws(1, 0, 5, range(2)), Draws(1, 0, 5, range(2, 4))]
    drawn = whole.uniform(4, 3)
    for part, half in zip(parts, drawn.split(2), strict=True):
        assert (part.uniform(2, 3) == half).all()
        assert part.rngs[1].random() == whole.rngs[part._places[1]].random()
    assert whole.coin() == parts[0].coin() == parts[1].coin()
    assert len({float(x) for x in drawn.flatten()}) == 12
    assert not (Draws(1, 0, 6, range(4)).uniform(4, 3) == drawn).any()
    assert not (Draws(1, 1, 5, range(4)).uniform(4, 3) == drawn).any()
