"""Health on /diagnostics and, when it changes, in the log."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSProfile

from kdbts_ros.node.reporting.status import ERROR, OK, WARN, Status

# A trouble that stays is said again after this long.
REPEAT_SECONDS = 10.0
LEVELS = {OK: DiagnosticStatus.OK, WARN: DiagnosticStatus.WARN, ERROR: DiagnosticStatus.ERROR}


class Diagnostics:
    """Publishes statuses and logs each trouble once per `REPEAT_SECONDS`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10)
        )
        self._logged: dict[str, tuple[int, float]] = {}

    def publish(self, statuses: list[Status], now: float) -> None:
        """Send the statuses of `now`, seconds of a clock that never jumps."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        owner = self._node.get_fully_qualified_name().lstrip("/")
        for status in statuses:
            message.status.append(
                DiagnosticStatus(
                    level=LEVELS[status.level],
                    name=f"{owner}: {status.name}",
                    message=status.message,
                    hardware_id=owner,
                    values=[KeyValue(key=k, value=v) for k, v in status.values.items()],
                )
            )
            if not status.said:
                self._log(status, now)
        self._publisher.publish(message)

    def _log(self, status: Status, now: float) -> None:
        level, at = self._logged.get(status.name, (OK, 0.0))
        if status.level == OK:
            if level != OK:
                self._node.get_logger().info(f"{status.name}: {status.message} again")
            self._logged.pop(status.name, None)
        elif status.level != level or (now - at >= REPEAT_SECONDS and not status.lasting):
            log = self._node.get_logger()
            sentence = f"{status.name}: {status.message}"
            # Two call sites: rclpy refuses another severity from the same line.
            if status.level == ERROR:
                log.error(sentence)
            else:
                log.warning(sentence)
            self._logged[status.name] = (status.level, now)
