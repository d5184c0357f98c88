"""What the node listens to for poses, and where no map may lie."""

from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kdbts_ros.errors import UserError
from test.node.poses.transform_sources import SECOND


def test_transforms_and_odometry_wake_the_images_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geometry_msgs.msg import TransformStamped
    from nav_msgs.msg import Odometry

    from kdbts_ros.node.outputs.messages import header
    from kdbts_ros.node.parameters.values import Parameters
    from kdbts_ros.node.poses.transforms import PoseSource

    pytest.importorskip("tf2_msgs", reason="needs tf2_msgs")
    absent = "kdbts_ros.node.poses.transforms.find_spec"
    monkeypatch.setattr(absent, lambda name: None if name == "tf2_ros" else find_spec(name))
    listeners: dict[str, Callable[[Any], None]] = {}
    node = SimpleNamespace(
        create_subscription=lambda kind, topic, callback, qos: listeners.update({topic: callback}),
        destroy_subscription=lambda subscription: None,
    )
    faults: list[str] = []
    woken: list[int] = []
    for pose_source, topic in (("tf", "/tf"), ("odometry", "odom")):
        listeners.clear(), woken.clear(), faults.clear()
        parameters = Parameters(pose_source=pose_source, fixed_frame="/odom", tf_gap=2.0)
        source = PoseSource(node, lambda p=parameters: p, faults.append, lambda: woken.append(1))
        source.start()
        assert sorted(listeners) == sorted([topic, "/tf_static"])
        for at in (10, 11.5):
            stamp_ns = round(at * SECOND)
            if topic == "odom":
                # Neither frame is named: those of the node's parameters are meant.
                message: Any = Odometry(header=header(stamp_ns, ""))
                pose = message.pose.pose
                pose.position.x, pose.orientation.w = float(at), 1.0
            else:
                stamped = TransformStamped(
                    header=header(stamp_ns, "odom"), child_frame_id="/base_link"
                )
                stamped.transform.translation.x, stamped.transform.rotation.w = float(at), 1.0
                message = SimpleNamespace(transforms=[stamped])
            listeners[topic](message)
        assert len(woken) == 2 and not faults
        assert source.transforms.lookup("odom", "base_link", 11 * SECOND)[0, 3] == 11
        bad = SimpleNamespace(transforms=[TransformStamped(child_frame_id="camera")])
        listeners["/tf_static"](bad)
        assert faults == ["transform  -> camera needs two different frame names"]
        assert len(woken) == 3


class Queue:
    """A subscription as rclpy has it, with messages that wait; the middleware may keep sending."""

    def __init__(self, topic: str, messages: list[Any], endless: bool = False) -> None:
        self.topic_name, self.msg_type, self.raw = topic, object, False
        self.handle, self._messages, self._endless = self, messages, endless
        self.taken = 0

    def __enter__(self) -> None:
        """Nothing: rclpy's handle gives nothing either."""

    def __exit__(self, *of: object) -> None:
        """The handle is not used any more."""

    def take_message(self, kind: type, raw: bool) -> tuple[Any, dict[str, Any]] | None:
        if not self._messages:
            return None
        self.taken += 1
        return (self._messages[0] if self._endless else self._messages.pop(0)), {}


def test_an_image_looks_among_all_transforms_that_have_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geometry_msgs.msg import TransformStamped

    from kdbts_ros.node.outputs.messages import header
    from kdbts_ros.node.parameters.values import Parameters
    from kdbts_ros.node.poses.transforms import CATCH_UP, PoseSource

    pytest.importorskip("tf2_msgs", reason="needs tf2_msgs")
    absent = "kdbts_ros.node.poses.transforms.find_spec"
    monkeypatch.setattr(absent, lambda name: None if name == "tf2_ros" else find_spec(name))

    def moved(at: int) -> Any:
        stamped = TransformStamped(header=header(at * SECOND, "odom"), child_frame_id="base_link")
        stamped.transform.rotation.w = 1.0
        return SimpleNamespace(transforms=[stamped])

    queues = {
        "/tf": Queue("/tf", [moved(at) for at in range(10, 20)] + ["no transforms", moved(20)]),
        "/tf_static": Queue("/tf_static", [moved(1)], endless=True),
    }
    node = SimpleNamespace(create_subscription=lambda kind, topic, callback, qos: queues[topic])
    faults: list[str] = []
    woken: list[int] = []
    source = PoseSource(node, Parameters, faults.append, lambda: woken.append(1))
    source.start()
    source.catch_up()
    assert queues["/tf_static"].taken == CATCH_UP, "an endless queue is no endless loop"
    assert not woken, "whoever looks is awake"
    assert source.transforms.lookup("odom", "base_link", 20 * SECOND) is not None
    assert len(faults) == 1 and "a message on /tf failed: AttributeError" in faults[0]


@pytest.mark.parametrize(
    ("x0", "y0", "ground"),
    [(np.nan, 0, 0), (0, np.inf, 0), (0, 0, -np.inf), (1e9, 0, 0), (0, -1e300, 0), (0, 0, np.nan)],
)
def test_no_grid_has_an_origin_where_no_robot_is(x0: float, y0: float, ground: float) -> None:
    from kdbts_ros.node.outputs.messages import header, occupancy_grid

    window = SimpleNamespace(x0=float(x0), y0=float(y0), width=2, height=1, resolution=0.5)
    cells = np.zeros((1, 2), np.int8)
    with pytest.raises(UserError, match="no map has its origin at"):
        occupancy_grid(header(1, "odom"), window, cells, float(ground))
    here = SimpleNamespace(x0=-5e6, y0=1.0, width=2, height=1, resolution=0.5)
    assert occupancy_grid(header(1, "odom"), here, cells, 3.0).info.origin.position.x == -5e6
