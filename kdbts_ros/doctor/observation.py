"""What was heard of a robot's graph while the doctor listened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.node.reporting.graph import IMAGE, Publisher


@dataclass(frozen=True)
class Asked:
    """What is looked for: full names, and frames where the node cannot be asked for its own."""

    node: str = "/kdbts"
    image: str = "/image"
    camera_info: str = "/camera_info"
    world: str = "odom"
    base: str = "base_link"
    camera_frame: str = ""


@dataclass(frozen=True)
class Heard:
    """One topic. publishers as the graph has them; stamps_ns of the newest messages, in order.

    frame_id: of the newest message. count: of messages while it was listened to.
    """

    topic: str
    kind: str = IMAGE
    publishers: tuple[Publisher, ...] = ()
    count: int = 0
    stamps_ns: tuple[int, ...] = ()
    frame_id: str = ""


@dataclass(frozen=True, eq=False)
class Observation:
    """A look at the graph of `seconds`.

    Attributes:
        nodes: full names of everybody else's nodes.
        state: lifecycle state of the node; None where it does not run, "" where it does not answer.
        parameters: of the node, those that it told.
        complaints: level and sentence of its own lines in /diagnostics, by line.
        images, infos: the camera's topics. info: the newest camera_info.
        other_images, other_infos: where such messages are published.
        tree: the transforms that were heard, `moving` and `static` of them.
        clocks: nodes that publish /clock. clock_ns: what it said last, None where it was silent.
        now_ns: time of this computer.
        maps: ~/occupancy.
    """

    asked: Asked
    seconds: float
    nodes: tuple[str, ...] = ()
    state: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    complaints: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    images: Heard = field(default_factory=lambda: Heard("/image"))
    infos: Heard = field(default_factory=lambda: Heard("/camera_info"))
    info: Any = None
    other_images: tuple[str, ...] = ()
    other_infos: tuple[str, ...] = ()
    tree: TransformTree = field(default_factory=TransformTree)
    moving: int = 0
    static: int = 0
    clocks: tuple[str, ...] = ()
    clock_ns: int | None = None
    now_ns: int = 0
    maps: Heard = field(default_factory=lambda: Heard("/kdbts/occupancy"))

    def parameter(self, name: str, otherwise: Any) -> Any:
        """A parameter of the node, or what was asked for where it did not tell."""
        value = self.parameters.get(name)
        return otherwise if value in (None, "") else value
