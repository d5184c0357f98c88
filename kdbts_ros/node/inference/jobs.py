"""What the executor has given the inference thread to do, and the account of what came of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from kdbts_ros.density.settings import Wanted
from kdbts_ros.node.inference.handover import Epochs
from kdbts_ros.node.inference.worker import InferenceThread, Job, Outcome, Published
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.outputs.publishers import Outputs
from kdbts_ros.node.outputs.reports import stages_ms
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters, Debts
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import Faults

Load = Callable[[], Any]


class Jobs:
    """One inference thread at a time, and every image that it was given, counted once.

    Used by the executor's thread alone, but for what it gives the inference thread to call.

    Args:
        outputs: the publishers of now; the executor may take them away at any time.

    Attributes:
        thread: the inference thread; None where there is no model.
        counters: of this configuration.
        epochs: jobs of an epoch that has ended are dropped, and nothing is sent of them.
    """

    def __init__(self, node: Node, faults: Faults, outputs: Callable[[], Outputs | None]) -> None:
        self._faults, self._outputs = faults, outputs
        self.thread: InferenceThread | None = None
        self.counters = Counters(time.monotonic())
        self.epochs = Epochs()
        self._ended_by = drops.DEACTIVATED
        self._outcomes: deque[Outcome] = deque()
        self._wake = node.create_guard_condition(self._collect)
        self._abandoned: list[InferenceThread] = []

    def new_thread(self, load: Load) -> InferenceThread:
        """A thread that loads a model, known before it runs: the process may have to end it."""
        self.thread = InferenceThread(load, self._publish, self._deliver)
        return self.thread

    def submit(self, frame: Frame, needs: Needs, settings: Any, wanted: Wanted | None) -> None:
        """Give a frame to the inference thread, instead of one of its camera that waits there."""
        if self.thread is None:
            return
        epoch, pose_faults = self.epochs.now, self.counters.pose_faults
        job = Job(frame, needs, settings, wanted, epoch, pose_faults)
        replaced = self.thread.submit(job) is not None
        now, for_a_map = time.monotonic(), wanted is not None
        self.counters.debts.asked(now, for_a_map=for_a_map, instead=replaced)
        if replaced:
            newer = Dropped(drops.SUPERSEDED, "a newer image came before inference was free")
            self.counters.drop(newer, now, frame.camera)

    def end_epoch(self, why: Dropped) -> None:
        """Nothing that was begun so far is sent any more; what has not begun is dropped."""
        self._ended_by = why.reason
        self.epochs.end()
        self.drop_waiting(why)

    def drop_waiting(self, why: Dropped) -> None:
        """Take the jobs back that have not begun."""
        jobs = self.thread.clear() if self.thread is not None else []
        self.counters.debts.taken_back(len(jobs))
        for job in jobs:
            self.counters.drop(why, time.monotonic(), job.frame.camera)

    def stop(self, timeout: float) -> None:
        """End the thread, within so many seconds or by parting with it."""
        # Publishers must not go while one is used, though the thread were too busy to stop.
        self.epochs.end()
        if self.thread is not None and not self.thread.stop(timeout):
            self.abandon(f"an inference did not end within {timeout:g} s")
        # What has come of images so far must not count in the next configuration.
        self._collect()
        self.thread = None

    def abandon(self, why: str) -> None:
        """Part with a thread that does not end: nothing comes of its jobs any more."""
        if self.thread is None:
            return
        self.epochs.end()
        lost = Dropped(drops.INFERENCE_ERROR, why)
        for job in self.thread.abandon():
            self.counters.drop(lost, time.monotonic(), job.frame.camera)
        self._abandoned.append(self.thread)
        self.thread = None
        self._collect()
        self.counters.debts = Debts()

    def close(self, timeout: float) -> bool:
        """Before the process ends: whether every thread has ended, within so many seconds."""
        ended = self.thread is None or self.thread.stop(timeout)
        return ended and not any(thread.alive for thread in self._abandoned)

    def _publish(self, job: Job, result: Any) -> Published | None:
        """In the inference thread: send what listeners wait for."""
        outputs = self._outputs()
        return None if outputs is None else outputs.publish(job, result)

    def _deliver(self, outcome: Outcome) -> None:
        """In the inference thread: leave the outcome for the executor to count."""
        self._outcomes.append(outcome)
        self._wake.trigger()

    def _collect(self) -> None:
        while self._outcomes:
            outcome = self._outcomes.popleft()
            if outcome.fault:
                self._faults.say(outcome.fault)
            now, frame = time.monotonic(), outcome.job.frame
            self.counters.debts.answered(now, with_a_map=outcome.published is not None)
            if outcome.published is not None:
                self._account(outcome, outcome.published)
            elif outcome.job.epoch != self.epochs.now:
                ended = Dropped(self._ended_by, "it ended during inference")
                self.counters.drop(ended, now, frame.camera)
            elif outcome.drop is not None:
                self.counters.refused(outcome.drop, now, frame.camera)
            else:
                self.counters.judged(frame.camera, frame.frame_id, outcome.concerns)
                self.counters.views_in += 1

    def _account(self, outcome: Outcome, published: Published) -> None:
        frame = outcome.job.frame
        self.counters.judged(frame.camera, frame.frame_id, outcome.concerns)
        stages = stages_ms(outcome, published)
        self.counters.map(published.ended, stages)
        if published.fault:
            self._faults.say(published.fault)
        outputs = self._outputs()
        if self.thread is not None and outputs is not None:
            outputs.publish_report(outcome, stages, self.thread.description, self.counters)
