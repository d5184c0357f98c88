"""The topics of a camera: what was asked for by name, else what conventions say."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rclpy.node import Node

from kdbts_ros.datasets.ros.topic_names import info_topics

# Of these transports messages are CompressedImage; others have types of their own.
_COMPRESSED = ("compressed", "compressedDepth")


@dataclass(frozen=True)
class CameraTopics:
    """Resolved topics of images and camera_info, and whether images come compressed."""

    image: str
    info: str
    compressed: bool


def camera_topics(
    node: Node, camera: str, transport: str, arguments: Sequence[str] | None = None
) -> CameraTopics:
    """Where a camera's images and camera_info come from.

    camera_info is the neighbour of the image topic, as everywhere in ROS, unless it is asked for by
    name. An image topic that ends as compressed ones do is taken as it is, whatever the transport.

    Args:
        camera: its name; empty for the only one.
        transport: raw or compressed.
        arguments: of the process; None: its own.
    """
    prefix = f"{camera}/" if camera else ""
    image = node.resolve_topic_name(f"{prefix}image")
    name = f"{prefix}camera_info"
    info = node.resolve_topic_name(name)
    if info == _by_default(node, name) and not _is_asked_for(node, name, arguments):
        info = info_topics(image)[0]
    compressed = image.rpartition("/")[2] in _COMPRESSED
    if transport == "compressed" and not compressed:
        return CameraTopics(f"{image}/compressed", info, True)
    return CameraTopics(image, info, compressed)


def _by_default(node: Node, name: str) -> str:
    return f"{node.get_namespace().rstrip('/')}/{name}"


def _is_asked_for(node: Node, name: str, arguments: Sequence[str] | None) -> bool:
    """Whether a rule gives this topic the very name that it has without one.

    `camera_info:=/camera_info` asks for that topic; `camera_info:=camera_info`, which launch files
    pass for an argument left alone, asks for nothing.
    """
    default = _by_default(node, name)
    for match, replacement in _rules(sys.argv if arguments is None else arguments):
        scope, _, topic = match.removeprefix("rostopic://").rpartition(":")
        if scope in ("", node.get_name()) and topic in (name, default):
            return replacement == default
    return False


def _rules(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The remapping rules among the arguments of a process, as rcl finds them.

    rcl resolves names, but does not tell of a rule that changes nothing.
    """
    ours, previous = False, ""
    for argument in arguments:
        if argument in ("--ros-args", "--"):
            ours = argument == "--ros-args"
        elif ours and previous in ("-r", "--remap") and ":=" in argument:
            match, _, replacement = argument.partition(":=")
            yield match, replacement
        previous = argument
