"""Topics of a camera: asked for by name, or beside one another."""

from __future__ import annotations

from typing import Any

import pytest

from kdbts_ros.node.inputs.subscriptions import CameraTopics, camera_topics


class FakeNode:
    """Resolves names as rcl does with the rules among the arguments."""

    def __init__(self, arguments: list[str], namespace: str = "/") -> None:
        rules = [a.split(":=") for a in arguments if ":=" in a]
        self._rules = {m.removeprefix("kdbts:"): self._full(r, namespace) for m, r in rules}
        self._namespace = namespace

    @staticmethod
    def _full(name: str, namespace: str) -> str:
        return name if name.startswith("/") else f"{namespace.rstrip('/')}/{name}"

    def resolve_topic_name(self, name: str) -> str:
        full = self._full(name, self._namespace)
        return self._rules.get(name, self._rules.get(full, full))

    def get_namespace(self) -> str:
        return self._namespace

    def get_name(self) -> str:
        return "kdbts"


def topics(
    *rules: str, namespace: str = "/", camera: str = "", transport: str = "raw"
) -> CameraTopics:
    arguments = ["kdbts_node", "--ros-args", *(part for rule in rules for part in ("-r", rule))]
    node: Any = FakeNode(arguments, namespace)
    return camera_topics(node, camera, transport, arguments)


IMAGE = "image:=/camera/image_raw"


@pytest.mark.parametrize(
    ("rules", "namespace", "info"),
    [
        ((), "/", "/camera_info"),
        ((), "/robot", "/robot/camera_info"),
        ((IMAGE,), "/", "/camera/camera_info"),
        ((IMAGE,), "/robot", "/camera/camera_info"),
        ((IMAGE, "camera_info:=/info"), "/", "/info"),
        # The very name that the topic has without a rule, but asked for.
        ((IMAGE, "camera_info:=/camera_info"), "/", "/camera_info"),
        ((IMAGE, "/camera_info:=/camera_info"), "/", "/camera_info"),
        ((IMAGE, "kdbts:camera_info:=/camera_info"), "/", "/camera_info"),
        ((IMAGE, "camera_info:=/robot/camera_info"), "/robot", "/robot/camera_info"),
        ((IMAGE, "camera_info:=/camera_info"), "/robot", "/camera_info"),
        # Rules for others, and what a launch file passes for an argument left alone.
        ((IMAGE, "other:camera_info:=/camera_info"), "/", "/camera/camera_info"),
        ((IMAGE, "camera_info:=camera_info"), "/", "/camera/camera_info"),
        ((IMAGE, "camera_info:=camera_info"), "/robot", "/camera/camera_info"),
    ],
)
def test_camera_info_is_beside_the_images_unless_asked_for(
    rules: tuple[str, ...], namespace: str, info: str
) -> None:
    assert topics(*rules, namespace=namespace).info == info


def test_further_cameras_have_theirs() -> None:
    assert topics(camera="front").info == "/front/camera_info"
    asked = topics("front/image:=/a/image", "front/camera_info:=/front/camera_info", camera="front")
    assert asked == CameraTopics("/a/image", "/front/camera_info", False)
    assert topics("front/image:=/a/image", camera="front").info == "/a/camera_info"


def test_only_the_arguments_of_ros_are_rules() -> None:
    arguments = ["kdbts_node", "-r", "camera_info:=/camera_info", "--ros-args", "-r", IMAGE]
    arguments += ["--", "-r", "camera_info:=/camera_info"]
    node: Any = FakeNode(["--ros-args", "-r", IMAGE])
    assert camera_topics(node, "", "raw", arguments).info == "/camera/camera_info"


@pytest.mark.parametrize(
    ("image", "transport", "expected"),
    [
        ("/cam/image_raw", "raw", CameraTopics("/cam/image_raw", "/cam/camera_info", False)),
        (
            "/cam/image_raw",
            "compressed",
            CameraTopics("/cam/image_raw/compressed", "/cam/camera_info", True),
        ),
        (
            "/cam/image_raw/compressed",
            "compressed",
            CameraTopics("/cam/image_raw/compressed", "/cam/camera_info", True),
        ),
        (
            "/cam/image_raw/compressed",
            "raw",
            CameraTopics("/cam/image_raw/compressed", "/cam/camera_info", True),
        ),
        (
            "/cam/image_raw/theora",
            "raw",
            CameraTopics("/cam/image_raw/theora", "/cam/camera_info", False),
        ),
    ],
)
def test_a_compressed_topic_is_taken_as_it_is_asked_for(
    image: str, transport: str, expected: CameraTopics
) -> None:
    assert topics(f"image:={image}", transport=transport) == expected
