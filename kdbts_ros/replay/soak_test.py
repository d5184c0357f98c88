"""A robot with up to four cameras that drives for hours, and what its node makes of that."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.outputs import messages
from kdbts_ros.node.outputs.reports import tells_of_a_map
from kdbts_ros.replay.account import Account
from kdbts_ros.replay.load_test import NODE, SPEED, Quaternion, edge

CAMERAS = {"front": 0.0, "left": 90.0, "right": -90.0, "rear": 180.0}
# For images that are still under way when the last was sent; the node reports every second.
SETTLING_SECONDS = 30.0
# Of a longer test as many are kept as can be drawn.
MOST_SAMPLES = 2000
_BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_RELIABLE = QoSProfile(depth=100)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Usage:
    """Of the node's process: resident memory and that of its GPU in MB, and open files.

    gpu_mb: None where there is no GPU, or nobody tells.
    """

    resident_mb: float
    gpu_mb: float | None
    files: int


@dataclass(frozen=True)
class Sample:
    """The state after so many seconds.

    sent: images published so far. ages_ms: of the maps since the sample before, image stamp to the
    end of publishing. The other counts are the node's own, so far.
    """

    seconds: float
    usage: Usage
    sent: int
    frames_in: int
    maps_out: int
    views_in: int
    drops: Counter[str]
    ages_ms: tuple[float, ...]


@dataclass(frozen=True)
class SoakResult:
    """What came of it. open: images of which the node tells no fate, after patience."""

    rate_hz: float
    cameras: int
    samples: tuple[Sample, ...] = ()
    open: int = 0
    faults: tuple[str, ...] = ()

    @property
    def end(self) -> Sample:
        """The last sample."""
        return self.samples[-1]


@dataclass
class _Heard:
    account: Account = field(default_factory=Account)
    ages_ms: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def diagnostics(self, message: Any) -> None:
        self.account.read(message)
        # Counted by their first words: sentences have numbers in them.
        self.faults.update({" ".join(fault.split()[:8]) for fault in self.account.faults})

    def report(self, report: Any) -> None:
        if tells_of_a_map(report):
            self.ages_ms.append(float(report.age_ms))

    def take_ages(self) -> tuple[float, ...]:
        taken, self.ages_ms = tuple(self.ages_ms), []
        return taken


class SoakTest:
    """Publishes images of some cameras with poses and calibrations, and hears the node.

    Args:
        image: (H,W,3) uint8 RGB, sent by each camera again and again.
        camera: that took it, 1.65 m above the ground and level.
        count: of cameras, 1 to 4; one is on image and camera_info, several on topics by name.
    """

    def __init__(self, image: Any, camera: Camera, count: int) -> None:
        # Ctrl-C is the command's to handle: it has a child to end.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("kdbts_soak")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._heard = _Heard()
        self._sent = 0
        create, names = self._node.create_publisher, list(CAMERAS)[:count]
        self._tf = create(TFMessage, "/tf", _RELIABLE)
        self._tf_static = create(TFMessage, "/tf_static", _LATCHED)
        self._tf_static.publish(TFMessage(transforms=[_mount(name) for name in names]))
        self._streams = []
        for name in names:
            topic = f"{name}/" if count > 1 else ""
            head = messages.header(0, name)
            pixels, info = messages.rgb_image(head, image), messages.camera_info(head, camera)
            publishers = [create(k, topic + t, _BEST_EFFORT) for k, t in _TOPICS]
            self._streams.append((*publishers, pixels, info))
        listen = self._node.create_subscription
        listen(InferenceReport, f"{NODE}/report", self._heard.report, _RELIABLE)
        listen(DiagnosticArray, "/diagnostics", self._heard.diagnostics, _RELIABLE)

    def node_listens(self) -> bool:
        """Whether the node has subscribed to everything."""
        inputs = [self._tf, self._tf_static, *(p for s in self._streams for p in s[:2])]
        return all(publisher.get_subscription_count() for publisher in inputs)

    def spin(self, seconds: float) -> None:
        """Take what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def run(
        self, rate_hz: float, seconds: float, usage: Callable[[], Usage | None],
        progress: Callable[[float], None],
    ) -> SoakResult:  # fmt: skip
        """Send images for so many seconds, and wait until the node has told what became of each.

        Args:
            usage: of the node's process; None when it has ended, which ends the test.
            progress: is called with the seconds that have passed.
        """
        result = SoakResult(rate_hz, len(self._streams))
        samples: list[Sample] = []
        every = max(1.0, seconds / MOST_SAMPLES)
        began, due = time.monotonic(), 0.0
        for tick in range(max(2, round(rate_hz * seconds))):
            self.spin(began + tick / rate_hz - time.monotonic())
            self._send(time.time_ns())
            passed = time.monotonic() - began
            if passed >= due:
                if (used := usage()) is None:
                    break
                samples.append(self._sample(passed, used))
                progress(passed)
                due = passed + every
            if passed > seconds:
                # A machine that cannot send at this rate is not asked to make up for it.
                break
        self._settle()
        if (used := usage()) is not None:
            samples.append(self._sample(time.monotonic() - began, used))
        return replace(
            result,
            samples=tuple(samples),
            open=self._heard.account.open,
            faults=tuple(fault for fault, _ in self._heard.faults.most_common(5)),
        )

    def warm_up(self, patience: float) -> bool:
        """Send an image a second until a map came of one; False if none did in time.

        These images count.
        """
        until = time.monotonic() + patience
        while not self._heard.ages_ms:
            if time.monotonic() > until:
                return False
            self._send(time.time_ns())
            self.spin(1.0)
        self._heard.take_ages()
        self._heard.faults.clear()
        return True

    def _send(self, stamp_ns: int) -> None:
        """The robot's place at that instant, and what its cameras see."""
        stamp = messages.to_time(stamp_ns)
        x = SPEED * (stamp_ns % 3_600_000_000_000) / 1e9
        self._tf.publish(TFMessage(transforms=[edge("odom", "base_link", stamp_ns, x=x)]))
        for images, infos, pixels, info in self._streams:
            pixels.header.stamp = info.header.stamp = stamp
            infos.publish(info)
            images.publish(pixels)
            self._sent += 1

    def _settle(self) -> None:
        """Wait until two accounts in a row agree, and leave no image open."""
        until, account = time.monotonic() + SETTLING_SECONDS, self._heard.account
        known, before = account.reports, -1
        while time.monotonic() < until:
            self.spin(0.5)
            if account.reports > known:
                if account.settled and account.frames_in == before:
                    return
                known, before = account.reports, account.frames_in

    def _sample(self, seconds: float, usage: Usage) -> Sample:
        account = self._heard.account
        counts = account.frames_in, account.maps_out, account.views_in
        ages = self._heard.take_ages()
        return Sample(seconds, usage, self._sent, *counts, Counter(account.drops), ages)

    def __enter__(self) -> SoakTest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()


_TOPICS = ((Image, "image"), (CameraInfo, "camera_info"))


def camera_names(count: int) -> Sequence[str]:
    """For the node's parameter `cameras`: none for one camera."""
    return list(CAMERAS)[:count] if count > 1 else []


def _mount(name: str) -> Any:
    """base_link to the optical frame of a camera."""
    half = math.radians(CAMERAS[name]) / 2
    return edge("base_link", name, 0, z=1.65, rotation=_turned(math.cos(half), math.sin(half)))


def _turned(c: float, s: float) -> Quaternion:
    """(x, y, z, w) of an optical frame that looks along x, turned about z by (0, 0, s, c)."""
    x, y, z, w = -0.5, 0.5, -0.5, 0.5
    turned = np.array([c * x - s * y, c * y + s * x, c * z + s * w, c * w - s * z])
    return tuple(float(v) for v in turned)  # type: ignore[return-value]
