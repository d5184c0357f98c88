"""Whoever answers for poses, asked in one way: our buffer, tf2_ros or a fake of it, a recording."""

import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kdbts_ros.datasets.bags.pose_graph import PoseGraph
from kdbts_ros.datasets.ros.pose_rules import NoPose
from kdbts_ros.errors import UserError
from kdbts_ros.node.poses.transforms import Transforms, TransformUnavailable

SECOND = 1_000_000_000
UNIT = (0.0, 0.0, 0.0, 1.0)
FAKE = Path(__file__).parent / "fake_tf2" / "tf2_ros.py"
STORE = "kdbts_ros.node.poses.tf2_store"


def about_z(angle: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, float(np.sin(angle / 2)), float(np.cos(angle / 2)))


class Live:
    """What the node asks, whoever stores."""

    def __init__(self, transforms: Transforms) -> None:
        self.transforms = transforms
        self.notices: list[str] = []

    def insert(
        self, parent: str, child: str, at: float, t: Any = (0, 0, 0), q: Any = UNIT, static=False
    ) -> None:
        try:
            notice = self.transforms.insert(parent, child, round(at * SECOND), t, q, static=static)
        except UserError as refused:
            notice = str(refused)
        if notice:
            self.notices.append(notice)

    def pose(self, target: str, source: str, at: float) -> Any:
        return self.transforms.lookup(target, source, round(at * SECOND))

    def reason(self, target: str, source: str, at: float, words: str = "") -> str:
        """Why there is no pose; the sentence contains `words`."""
        with pytest.raises(TransformUnavailable) as caught:
            self.pose(target, source, at)
        assert caught.value.detail and words in caught.value.detail
        return str(caught.value.reason)


class Recorded:
    """A recording, known as a whole."""

    def __init__(self) -> None:
        self.graph = PoseGraph()

    def insert(
        self, parent: str, child: str, at: float, t: Any = (0, 0, 0), q: Any = UNIT, static=False
    ) -> None:
        self.graph.add(parent, child, round(at * SECOND), t, q, static=static)

    def pose(self, target: str, source: str, at: float) -> Any:
        return self.graph.pose(target, source, round(at * SECOND))

    def reason(self, target: str, source: str, at: float, words: str = "") -> str:
        with pytest.raises(NoPose) as caught:
            self.pose(target, source, at)
        assert caught.value.detail and words in caught.value.detail
        return str(caught.value.reason)


def over_tf2(node: Any, monkeypatch: pytest.MonkeyPatch, *, fake: bool) -> Any:
    """What makes `Transforms` of a node, stored by the genuine tf2_ros or by the fake."""
    if fake:
        spec = spec_from_file_location("tf2_ros", FAKE)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "tf2_ros", module)
    # Set first: of an item that is absent, delitem alone would leave in what is imported now.
    monkeypatch.setitem(sys.modules, STORE, ModuleType(STORE))
    monkeypatch.delitem(sys.modules, STORE)
    from kdbts_ros.node.poses.tf2_store import Tf2Store

    return lambda node: Transforms(store=Tf2Store(node))


LIVE = ["ours", "fake tf2_ros", "genuine tf2_ros"]


def make(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if kind == "recording":
        return Recorded()
    if kind == "ours":
        return Live(Transforms())
    if kind == "genuine tf2_ros" and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    node = request.getfixturevalue("ros_node")
    transforms = over_tf2(node, monkeypatch, fake=kind.startswith("fake"))
    return Live(transforms(node))


def drive(source: Any, *stamps: float, x: Callable[[float], float] = lambda at: at) -> None:
    """odom -> base_link at those stamps."""
    for at in stamps:
        source.insert("odom", "base_link", at, (x(at), 0, 0))


def mount(source: Any) -> Any:
    """A camera 1.5 m up on the robot."""
    source.insert("base_link", "camera", 0.0, (0, 0, 1.5), static=True)
    return source


def about_to_turn(source: Any) -> Any:
    """odom -> base_link drives along x and turns by a quarter within a second; a fixed camera."""
    source.insert("odom", "base_link", 10.0, (0, 0, 0), UNIT)
    source.insert("odom", "base_link", 11.0, (2, 0, 0), about_z(np.pi / 2))
    return mount(source)
