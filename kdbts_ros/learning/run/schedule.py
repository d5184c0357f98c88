"""How the learning rate goes over a stage."""

from __future__ import annotations

import math

from kdbts_ros.learning.config.stages import OptimiserConfig, Stage


def stage_share(stage: Stage, step: int, seconds: float) -> float:
    """How much of a stage is over, 0..1, by whichever limit is nearer."""
    by_steps = step / stage.steps if stage.steps else 0.0
    by_time = seconds / (60 * stage.minutes) if stage.minutes else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate(optimiser: OptimiserConfig, step: int, share: float) -> float:
    """Linear over the first steps, then down a half cosine or in steps.

    The cosine ends at the final rate when `share` is 1. Steps multiply the rate by `decay_factor`
    every `decay_steps` steps, whatever the length of the stage (the schedule of BTS: 0.1 every
    120,000), and never go below the final rate.
    """
    if optimiser.decay == "step":
        drops = step // optimiser.decay_steps
        rate = max(optimiser.final_rate, optimiser.rate * optimiser.decay_factor**drops)
    else:
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        rate = optimiser.final_rate + (optimiser.rate - optimiser.final_rate) * cosine
    if step < optimiser.warm_up_steps:
        rate *= (step + 1) / (optimiser.warm_up_steps + 1)
    return rate
