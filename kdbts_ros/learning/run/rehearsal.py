"""A few steps of every stage that leave nothing behind: does it run, and how fast?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.record.progress import StepReport
from kdbts_ros.learning.run.loop import Trainer
from kdbts_ros.learning.run.parallel import Ranks


@dataclass(frozen=True)
class Rehearsed:
    """One stage: its losses at the first step, and how fast it went after that step.

    Attributes:
        samples_per_s, waited: of all processes together; the share of the time that went by
            without frames.
    """

    kind: str
    losses: dict[str, float]
    samples_per_s: float
    waited: float


def rehearse(config: TrainingConfig, steps: int, ranks: Ranks) -> Iterator[Rehearsed]:
    """Take a few steps of each stage; nothing is written and nothing is watched.

    The network learns from one stage to the next as it would in the run.
    """
    stages = tuple(s.model_copy(update={"steps": steps, "minutes": None}) for s in config.stages)
    trainer = Trainer(config.model_copy(update={"stages": stages}), False, ranks, writes=False)
    reports: list[StepReport] = []
    trainer.listeners.append(reports.append)
    trainer.run()
    for index, stage in enumerate(stages):
        of_stage = [report for report in reports if report.stage == index]
        if not of_stage:
            return
        # The first step waits for workers to start and warms caches up.
        timed = of_stage[1:] or of_stage
        seconds = sum(report.seconds for report in timed)
        yield Rehearsed(
            stage.kind,
            of_stage[0].values,
            stage.batch * len(timed) / max(seconds, 1e-9),
            sum(report.waited for report in timed) / max(seconds, 1e-9),
        )
