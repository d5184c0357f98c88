"""The parameter table as rclpy declares it, checks it and changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.rules import Value, same
from kdbts_ros.node.parameters.table import DEFAULTS, LIVE, RULES, check
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.suggestions import did_you_mean

# Set by rclpy itself, or by the QoS overrides of a publisher.
FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")


class NodeParameters:
    """Declares every parameter and guards every change.

    A bad value given at start must not end the process with a traceback: the default is declared
    in its place and `read`, that is `configure`, refuses until a good one is set.

    Args:
        configured: whether only live parameters may change now.
        changed: called after live parameters have changed.
    """

    def __init__(
        self, node: Node, configured: Callable[[], bool], changed: Callable[[], None]
    ) -> None:
        self._node = node
        self._configured = configured
        self._faults: dict[str, str] = {}
        # rclpy has no public way to the values given at start before they are declared.
        given: dict[str, Any] = dict(node._parameter_overrides)
        for name, default in DEFAULTS.items():
            value = default
            if name in given:
                try:
                    value = check(name, given[name].value)
                except UserError as error:
                    self._faults[name] = str(error)
            node.declare_parameter(name, _as_ros(value), _descriptor(name), ignore_override=True)
        unknown = [n for n in given if n not in DEFAULTS and not n.startswith(FOREIGN)]
        self._unknown = min(unknown, default="")
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(lambda _: changed())

    def read(self) -> Parameters:
        """The values of now; UserError where one of them is bad or unknown."""
        if self._unknown:
            raise UserError(
                f"unknown parameter '{self._unknown}': kdbts_node has {', '.join(DEFAULTS)}"
                f"{did_you_mean(self._unknown, DEFAULTS)}"
            )
        for fault in self._faults.values():
            raise UserError(fault)
        return Parameters(**{name: self._node.get_parameter(name).value for name in DEFAULTS})

    def set(
        self,
        given: list[Any],
        set_changed: Callable[[list[Any]], SetParametersResult],
    ) -> SetParametersResult:
        """Set rclpy parameters together, as services ask for it.

        A value is taken for what it means (`check`), which rclpy would refuse for its type.
        One that changes nothing is left out, even of a parameter that is read only: the node takes
        back what it has written down (`ros2 param load`).
        """
        try:
            changed = [p for p in map(self._meant, given) if not self._unchanged(p)]
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return set_changed(changed) if changed else SetParametersResult(successful=True)

    def _meant(self, given: Any) -> Any:
        if given.name not in DEFAULTS:
            return given
        value = check(given.name, given.value)
        return Parameter(given.name, value=_as_ros(value))

    def _unchanged(self, given: Any) -> bool:
        # A good value repairs a bad one given at start, though its default was declared for it.
        if given.name in self._faults or not self._node.has_parameter(given.name):
            return False
        now = self._node.get_parameter(given.name).value
        if given.name in DEFAULTS:
            return same(check(given.name, now), check(given.name, given.value))
        return type(now) is type(given.value) and bool(now == given.value)

    def _check(self, given: list[Any]) -> SetParametersResult:
        ours = {p.name: p for p in given if p.name in DEFAULTS}
        try:
            values = {p.name: self._meant(p).value for p in ours.values()}
            changed = [name for name, p in ours.items() if not self._unchanged(p)]
            fixed = [name for name in changed if name not in LIVE]
            if self._configured() and fixed:
                raise UserError(
                    f"parameter '{fixed[0]}' is read by configure: deactivate and clean up first "
                    f"(live: {', '.join(sorted(LIVE))})"
                )
            if self._configured() and changed:
                now = {name: self._node.get_parameter(name).value for name in DEFAULTS}
                Parameters(**(now | values))
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in ours:
            self._faults.pop(name, None)
        return SetParametersResult(successful=True)


def _as_ros(value: Value) -> Any:
    """The value as rclpy takes it; an empty list would have no type."""
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _descriptor(name: str) -> ParameterDescriptor:
    rule = RULES[name]
    descriptor = ParameterDescriptor(name=name, description=rule.meaning)
    constraints = [] if rule.live else ["read by configure"]
    if rule.choices:
        constraints.append("one of " + ", ".join(rule.choices))
    descriptor.additional_constraints = "; ".join(constraints)
    if rule.low is not None and rule.high is not None:
        if isinstance(rule.default, float):
            limits = FloatingPointRange(from_value=rule.low, to_value=rule.high)
            descriptor.floating_point_range = [limits]
        else:
            whole = IntegerRange(from_value=int(rule.low), to_value=int(rule.high), step=1)
            descriptor.integer_range = [whole]
    return descriptor
