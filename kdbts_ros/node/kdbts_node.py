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
from kdbts_ros.node.inference.jobs import Jobs
from kdbts_ros.node.inputs.intake import Intake
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.outputs.publishers import Outputs
from kdbts_ros.node.parameters.declared import NodeParameters
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.process import run_node, turn
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import Faults, reports_failure
from kdbts_ros.node.reporting.supervision import Supervision

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR
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
        self._outputs: Outputs | None = None
        self._intake: Intake | None = None
        self._jobs = Jobs(self, self._faults, lambda: self._outputs)
        # Why the node parts with its model, until it has done so.
        self._given_up = ""
        self._declared = NodeParameters(self, lambda: self._jobs.thread is not None, self._reread)
        self._supervision = Supervision(self, self._faults)
        # Wall time: simulated time may stand still, and then there is something to report.
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._health_timer = self.create_timer(HEALTH_PERIOD, self._watch, clock=self._wall)
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
        thread = self._jobs.new_thread(partial(loading.load, parameters, tell))
        self._enter("configuring")
        try:
            thread.start(meanwhile=lambda: turn(self))
        except UserError as fault:
            if thread.stop(EXIT_PATIENCE):
                self._jobs.thread = None
            return self._failed("configure", fault)
        # Live ones may have changed meanwhile.
        self._values, self._fault = self._declared.read(), ""
        self._settings = loading.settings(self._values)
        self._jobs.counters = Counters(time.monotonic())
        self._outputs = Outputs(
            self, lambda: self._values, self._jobs.epochs, self._pose_of, self.caught
        )
        self._enter("inactive")
        tell("model ready: " + ", ".join(f"{k} {v}" for k, v in thread.description.items()))
        return SUCCESS

    @reports_failure
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, and publish from the next image on."""
        try:
            self._intake = Intake(
                self, lambda: self._values, self._jobs.counters, self._dispatch, self._begin_epoch
            )
        except UserError as fault:
            return self._failed("activate", fault)
        self._jobs.counters.since, self._fault = time.monotonic(), ""
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
        if self._given_up:
            return ERROR
        self._release_inputs()
        self._enter("inactive")
        return super().on_deactivate(state)

    @reports_failure
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model back."""
        if self._given_up:
            return ERROR
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
        """The model was given up, or a transition failed unforeseen: ready for another attempt."""
        self._fault = self._given_up or f"the transition out of '{state.label}' failed"
        self._given_up = ""
        self.get_logger().error(self._fault)
        self._release()
        self._enter("unconfigured")
        return SUCCESS

    def close(self) -> bool:
        """Stop the inference thread; False if it is too busy to stop soon."""
        return self._jobs.close(EXIT_PATIENCE)

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
        if self._jobs.thread is not None:
            self._values = self._declared.read()
        # None while the model loads: the thread that imports it must not be waited for.
        if self._settings is not None:
            self._settings = loading.settings(self._values)

    def _release_inputs(self) -> None:
        if self._intake is None:
            return
        ended = Dropped(drops.DEACTIVATED, "the node was deactivated")
        self._intake.close(ended)
        self._intake = None
        self._jobs.end_epoch(ended)

    def _release(self) -> None:
        self._release_inputs()
        self._jobs.stop(timeout=30.0)
        self._settings = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None

    def _begin_epoch(self, stamp_ns: int) -> None:
        self._jobs.end_epoch(Dropped(drops.TIME_JUMP, "time jumped before inference began"))
        if self._outputs is not None:
            # Just before the first image: no two maps of an epoch share a stamp.
            self._outputs.begin_epoch(max(stamp_ns - 1, 0))

    def _dispatch(self, frame: Frame, needs: Needs) -> None:
        if self._outputs is None or self._intake is None:
            return
        wanted = self._outputs.wanted() if frame.camera == self._intake.reference else None
        self._jobs.submit(frame, needs, self._settings, wanted)

    def _pose_of(self, frame: str, stamp_ns: int) -> Matrix:
        """T_fixed_frame at a stamp, for who asks the node about places in that frame."""
        if self._intake is None:
            raise UserError("the node is not active: activate it")
        return self._intake.pose(frame, stamp_ns)

    def _watch(self) -> None:
        """Look after everything; by a timer, since a transition cannot begin within another."""
        overdue = self._jobs.counters.debts.answer_overdue(time.monotonic())
        # While a model loads the debts are those of the one before.
        if self._state in ("active", "inactive") and overdue > self._values.inference_timeout:
            self._give_up(overdue)
        else:
            self._assess()

    def _assess(self) -> None:
        self._supervision.tell(
            self._state,
            self._fault,
            self._values,
            self._jobs.counters,
            self._jobs.thread,
            self._intake,
            self._outputs,
        )

    def _give_up(self, overdue: float) -> None:
        """An inference does not end: nothing comes of it any more, and the node needs a new one."""
        self._given_up = (
            f"an inference did not end within inference_timeout, {overdue:.1f} s, and was given up "
            "with its model: configure and activate the node again, or restart it"
        )
        active = self._state == "active"
        self._release_inputs()
        self._jobs.abandon(self._given_up)
        if self._outputs is not None and active:
            if self._values.clear_on_stale:
                self._outputs.clear()
            self._outputs.publish_silence(self._given_up, {}, self._jobs.counters, at_once=True)
        (self.trigger_deactivate if active else self.trigger_cleanup)()


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit code."""
    use_large_messages()
    return run_node(KdbtsNode, args)


if __name__ == "__main__":
    sys.exit(main())
