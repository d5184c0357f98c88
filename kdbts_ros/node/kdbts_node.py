"""`kdbts_node`: a lifecycle node that turns images, calibration and poses into occupancy maps.

Two threads. The executor's takes messages, lets images wait for their pose, and keeps the counters.
It alone runs callbacks, one after the other. `configure` takes minutes where loops must be compiled
first: the inference thread does that, and until it is done `on_configure` turns the executor, so
that services are answered and diagnostics sent. rclpy allows that because all callbacks are in a
reentrant group; no other callback turns the executor.
The inference thread owns the model, and publishes a map as soon as it has one: handed over, it
would wait for the images that the executor takes meanwhile. Between them lie a mailbox and `Epochs`
(`inference.handover`), and a guard condition: the executor then counts what came of an image.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from functools import partial
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.errors import UserError
from kdbts_ros.node.fastdds import use_large_messages
from kdbts_ros.node.inference import loading
from kdbts_ros.node.inference.handover import Epochs
from kdbts_ros.node.inference.worker import InferenceThread, Job, Outcome, Published
from kdbts_ros.node.inputs.intake import Intake
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.outputs.publishers import Outputs, stages_ms
from kdbts_ros.node.parameters.declared import NodeParameters
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.process import run_node, turn
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.diagnostics import Diagnostics
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import Faults, reports_failure
from kdbts_ros.node.reporting.graph import clock_publishers
from kdbts_ros.node.reporting.health import Surroundings, assess, engine_status

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
HEALTH_PERIOD = 1.0
# Within the two seconds in which a launch file expects a node to be gone.
EXIT_PATIENCE = 1.0


class KdbtsNode(LifecycleNode):
    """Unconfigured: parameters only. Inactive: model loaded. Active: maps."""

    def __init__(self) -> None:
        self._reentrant = ReentrantCallbackGroup()
        super().__init__("kdbts")
        self._faults = Faults(lambda sentence: self.get_logger().error(sentence), time.monotonic)
        self._state, self._fault = "unconfigured", ""
        self._values = Parameters()
        # What the pipeline knows of them; made when they change, not for every image.
        self._settings: Any = None
        self._counters = Counters(time.monotonic())
        self._thread: InferenceThread | None = None
        self._outputs: Outputs | None = None
        self._intake: Intake | None = None
        self._epochs = Epochs()
        self._ended_by = drops.DEACTIVATED
        self._outcomes: deque[Outcome] = deque()
        self._wake = self.create_guard_condition(self._collect)
        self._declared = NodeParameters(self, lambda: self._thread is not None, self._reread)
        self._diagnostics = Diagnostics(self)
        # Wall time: simulated time may stand still, and then there is something to report.
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._health_timer = self.create_timer(HEALTH_PERIOD, self._assess, clock=self._wall)
        self._start_timer = self.create_timer(0.0, self._autostart, clock=self._wall)

    @property
    def default_callback_group(self) -> ReentrantCallbackGroup:
        """Of every callback: one of them, `on_configure`, lets others run before it is done."""
        return self._reentrant

    def set_parameters_atomically(self, parameter_list: list[Any]) -> SetParametersResult:
        """As rclpy's, but words are understood, and an unchanged value is no change."""
        return self._declared.set(parameter_list, super().set_parameters_atomically)

    def caught(self, where: str, error: Exception) -> None:
        """Say and count what ended a callback."""
        self._faults.caught(where, error)

    @reports_failure
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and load the model; meanwhile the executor turns."""
        try:
            parameters = self._declared.read()
        except UserError as fault:
            return self._failed("configure", fault)
        tell = self.get_logger().info
        engine = partial(loading.load, parameters, tell)
        thread = InferenceThread(engine, self._publish, self._deliver)
        # Known before it runs: stopped while it loads, the process must end it.
        self._thread = thread
        self._enter("configuring")
        try:
            thread.start(meanwhile=lambda: turn(self))
        except UserError as fault:
            if thread.stop(EXIT_PATIENCE):
                self._thread = None
            return self._failed("configure", fault)
        # Live ones may have changed meanwhile.
        self._values, self._fault = self._declared.read(), ""
        self._settings = loading.settings(self._values)
        self._counters = Counters(time.monotonic())
        self._outputs = Outputs(
            self, lambda: self._values, self._epochs, self._pose_of, self.caught
        )
        self._enter("inactive")
        tell("model ready: " + ", ".join(f"{k} {v}" for k, v in thread.description.items()))
        return SUCCESS

    @reports_failure
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, and publish from the next image on."""
        try:
            self._intake = Intake(
                self, lambda: self._values, self._counters, self._dispatch, self._begin_epoch
            )
        except UserError as fault:
            return self._failed("activate", fault)
        self._counters.since, self._fault = time.monotonic(), ""
        self._enter("active")
        poses = self._values.pose_source
        self.get_logger().info(f"active on {self._intake.topics}, poses from {poses}")
        result = super().on_activate(state)
        if self._outputs is not None:
            self._outputs.begin_epoch()
        return result

    @reports_failure
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; images under way are dropped, the last map stays latched."""
        self._release_inputs()
        self._enter("inactive")
        return super().on_deactivate(state)

    @reports_failure
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model back."""
        self._release()
        self._enter("unconfigured")
        return SUCCESS

    @reports_failure
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self._release()
        self._enter("finalized")
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed unforeseen: back to unconfigured, ready for another attempt."""
        self._fault = f"the transition out of '{state.label}' failed"
        self.get_logger().error(self._fault)
        self._release()
        self._enter("unconfigured")
        return SUCCESS

    def close(self) -> bool:
        """Stop the inference thread; False if it is too busy to stop soon."""
        return self._thread is None or self._thread.stop(EXIT_PATIENCE)

    def _enter(self, state: str) -> None:
        self._state = state
        self._assess()

    def _failed(self, transition: str, fault: UserError) -> TransitionCallbackReturn:
        self._fault = f"{transition} failed: {fault}"
        self._enter("unconfigured" if transition == "configure" else "inactive")
        return FAILURE

    def _autostart(self) -> None:
        self.destroy_timer(self._start_timer)
        wanted = self.get_parameter("autostart").value
        if wanted and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _reread(self) -> None:
        if self._thread is not None:
            self._values = self._declared.read()
        # None while the model loads: the thread that imports it must not be waited for.
        if self._settings is not None:
            self._settings = loading.settings(self._values)

    def _release_inputs(self) -> None:
        if self._intake is None or self._thread is None:
            return
        ended = Dropped(drops.DEACTIVATED, "the node was deactivated")
        self._intake.close(ended)
        self._drop_waiting(ended)
        self._intake = None
        self._ended_by = drops.DEACTIVATED
        self._epochs.end()

    def _release(self) -> None:
        self._release_inputs()
        # Publishers must not go while one is used, though the thread were too busy to stop.
        self._epochs.end()
        if self._thread is not None:
            self._thread.stop(timeout=30.0)
            # What has come of images so far must not count in the next configuration.
            self._collect()
            self._thread = self._settings = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None

    def _begin_epoch(self, stamp_ns: int) -> None:
        self._ended_by = drops.TIME_JUMP
        self._epochs.end()
        if self._outputs is not None:
            # Just before the first image: no two maps of an epoch share a stamp.
            self._outputs.begin_epoch(max(stamp_ns - 1, 0))
        self._drop_waiting(Dropped(drops.TIME_JUMP, "time jumped before inference began"))

    def _drop_waiting(self, why: Dropped) -> None:
        for job in self._thread.clear() if self._thread is not None else ():
            self._counters.drop(why, time.monotonic(), job.frame.camera)

    def _dispatch(self, frame: Frame, needs: Needs) -> None:
        if self._thread is None or self._outputs is None or self._intake is None:
            return
        wanted = self._outputs.wanted() if frame.camera == self._intake.reference else None
        epoch, pose_faults = self._epochs.now, self._counters.pose_faults
        job = Job(frame, needs, self._settings, wanted, epoch, pose_faults)
        if self._thread.submit(job) is not None:
            newer = Dropped(drops.SUPERSEDED, "a newer image came before inference was free")
            self._counters.drop(newer, time.monotonic(), frame.camera)

    def _pose_of(self, frame: str, stamp_ns: int) -> Matrix:
        """T_fixed_frame at a stamp, for who asks the node about places in that frame."""
        if self._intake is None:
            raise UserError("the node is not active: activate it")
        return self._intake.pose(frame, stamp_ns)

    def _publish(self, job: Job, result: Any) -> Published | None:
        """In the inference thread: send what listeners wait for."""
        outputs = self._outputs  # the executor may take it away at any time
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
            if outcome.published is not None:
                self._account(outcome, outcome.published)
            elif outcome.job.epoch != self._epochs.now:
                ended = Dropped(self._ended_by, "it ended during inference")
                self._counters.drop(ended, now, frame.camera)
            elif outcome.drop is not None:
                self._counters.drop(outcome.drop, now, frame.camera)
            else:
                self._counters.judged(frame.camera, frame.frame_id, outcome.concerns)
                self._counters.views_in += 1

    def _account(self, outcome: Outcome, published: Published) -> None:
        frame = outcome.job.frame
        self._counters.judged(frame.camera, frame.frame_id, outcome.concerns)
        stages = stages_ms(outcome, published)
        self._counters.map(published.ended, stages)
        if published.fault:
            self._faults.say(published.fault)
        if self._thread is not None and self._outputs is not None:
            self._outputs.publish_report(outcome, stages, self._thread.description, self._counters)

    def _assess(self) -> None:
        now, intake = time.monotonic(), self._intake
        around = Surroundings(
            active=self._state == "active" and intake is not None,
            state=self._state,
            fault=self._fault,
            streams=intake.surroundings(now) if intake else (),
            clock_publishers=clock_publishers(self),
            clock_runs=self.get_clock().now().nanoseconds > 0,
            model=self._thread.description if self._thread else {},
        )
        silence = self._values.silence_timeout
        statuses = assess(self._counters, around, now, silence)
        statuses.append(self._faults.status(now, silence))
        if self._thread is not None and self._thread.description:
            statuses.append(engine_status(self._thread.as_loaded, self._thread.description))
        self._diagnostics.publish(statuses, now)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit code."""
    use_large_messages()
    return run_node(KdbtsNode, args)


if __name__ == "__main__":
    sys.exit(main())
