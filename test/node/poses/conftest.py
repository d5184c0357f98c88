"""Sources of poses, for the tests of their rules."""

from collections.abc import Iterator
from typing import Any

import pytest

from test.node.poses.transform_sources import LIVE, make


@pytest.fixture
def ros_node() -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("transform_contract", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


@pytest.fixture(params=[*LIVE, "recording"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return make(request.param, request, monkeypatch)


@pytest.fixture(params=LIVE)
def live(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return make(request.param, request, monkeypatch)
