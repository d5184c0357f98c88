"""Health on /diagnostics and, when it changes, in the log."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSProfile

from kdbts_ros.node.reporting.retelling import Retelling
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN, Status

LEVELS = {
    OK: DiagnosticStatus.OK,
    WARN: DiagnosticStatus.WARN,
    ERROR: DiagnosticStatus.ERROR,
    STALE: DiagnosticStatus.STALE,
}


class Diagnostics:
    """Publishes statuses, and logs what is news of them: `Retelling`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10)
        )
        self._retelling = Retelling()

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
            if not status.said and self._retelling.is_news(status, now):
                self._log(status)
        self._publisher.publish(message)

    def _log(self, status: Status) -> None:
        log, sentence = self._node.get_logger(), f"{status.name}: {status.message}"
        # A call site for each: rclpy refuses another severity from the same line.
        if status.level == OK:
            log.info(f"{sentence} again")
        elif status.level == WARN:
            log.warning(sentence)
        else:
            log.error(sentence)
