"""`kdbts play` in its own process, heard over DDS."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs.msg")

from nav_msgs.msg import OccupancyGrid
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from kdbts_ros.datasets.bags.files import open_bag
from kdbts_ros.datasets.bags.messages import TYPESTORE
from kdbts_ros.datasets.bags.writer import image_topic, write_bag
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.errors import UserError
from kdbts_ros.replay.player import Playback, Player, message_class, publisher_qos

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = 40 + os.getpid() % 50
# As `kdbts play` runs it, without the other commands' imports.
COMMAND = """
import typer
from kdbts_ros import ending
ending.begin()
from kdbts_ros.cli.play import play
ending.run()
typer.run(play)
"""
START, STEP, COUNT = 10**9, 50_000_000, 8
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.35 s of a robot with one small camera."""
    camera = Camera(32, 24, 20.0, 20.0, 16.0, 12.0)
    frames = []
    for i in range(COUNT):
        T = np.eye(4)
        T[0, 3] = i
        view = View(np.full((24, 32, 3), i, np.uint8), camera, T)
        frames.append(PosedFrame(START + i * STEP, {"left": view}, T))
    out = tmp_path_factory.mktemp("bags") / "bag"
    write_bag(frames, out)
    return out


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node of our own domain on this machine only."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    listener = rclpy.create_node("player_listener", context=context)
    yield listener
    listener.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def play() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts players; none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": str(DOMAIN),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        child = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate(timeout=30)


def spin(node: Node, done: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether `done` came true within the bound."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    return done()


def stamp(message: Image) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_everything_arrives_in_order(node: Node, bag: Path, play) -> None:
    images: list[Image] = []
    poses: list[TFMessage] = []
    static: list[TFMessage] = []
    clocks: list[int] = []
    node.create_subscription(Image, image_topic("left"), images.append, 10)
    node.create_subscription(TFMessage, "/tf", poses.append, 100)
    node.create_subscription(TFMessage, "/tf_static", static.append, LATCHED)
    node.create_subscription(
        Clock, "/clock", lambda m: clocks.append(m.clock.sec * 10**9 + m.clock.nanosec), 100
    )
    child = play(bag, "--clock", "--wait-for-subscribers", 60)
    assert spin(node, lambda: child.poll() is not None)
    assert spin(node, lambda: len(images) == COUNT and len(poses) == COUNT, 20)
    output, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    assert output == f"played: {3 * COUNT + 1} messages, 0.3 of 0.3 s\n"
    assert [stamp(image) for image in images] == [START + i * STEP for i in range(COUNT)]
    assert [image.data[0] for image in images] == list(range(COUNT))
    assert [t.transforms[0].transform.translation.x for t in poses] == list(range(COUNT))
    assert static[0].transforms[0].child_frame_id == "camera_left"
    assert clocks == sorted(clocks)
    assert START <= clocks[0] <= clocks[-1] <= START + (COUNT - 1) * STEP


def test_each_image_waits_for_the_map_of_the_one_before(node: Node, bag: Path, play) -> None:
    sent: list[int] = []
    answered: list[int] = []
    maps = node.create_publisher(OccupancyGrid, "/maps", 10)

    def answer(image: Image, info: dict) -> None:
        sent.append(info["source_timestamp"])
        time.sleep(0.15)  # three times as long as to the next image
        answered.append(time.time_ns())
        maps.publish(OccupancyGrid(header=image.header))

    node.create_subscription(Image, image_topic("left"), answer, 10)
    child = play(bag, "--after-map", "/maps", "--wait-for-subscribers", 60)
    assert spin(node, lambda: child.poll() is not None)
    assert spin(node, lambda: len(answered) == COUNT, 20)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    assert all(before < after for before, after in zip(answered, sent[1:], strict=False))


def test_maps_that_never_come_hold_nothing_up_for_long(
    node: Node, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdbts_ros.replay.answers.PATIENCE_SECONDS", 0.4)
    with open_bag(bag) as reader:
        player = Player(node, reader, Playback(after_map="/maps"))
        began = time.monotonic()
        player.play_once(lambda at: None)
        player.close()
    # 0.4 + 0.2 + 0.1 + … and the length of the recording.
    assert 0.7 < time.monotonic() - began < 30


def test_loop_restarts_stamps_and_ctrl_c_ends_politely(node: Node, bag: Path, play) -> None:
    stamps: list[int] = []
    latched: list[TFMessage] = []
    node.create_subscription(Image, image_topic("left"), lambda m: stamps.append(stamp(m)), 10)
    child = play(bag, "--loop", "--rate", 2)
    assert spin(node, lambda: any(b < a for a, b in pairwise(stamps)))
    # Whoever comes late still gets the static transforms.
    node.create_subscription(TFMessage, "/tf_static", latched.append, LATCHED)
    assert spin(node, lambda: bool(latched))
    child.send_signal(signal.SIGINT)
    said = child.stdout.readline()
    # launch passes on the Ctrl-C that the terminal has sent already.
    child.send_signal(signal.SIGINT)
    more, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert said.startswith("stopped: ")
    assert more == errors == ""


def test_topics_of_absent_packages_are_skipped(node: Node, tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        thing = writer.add_connection(
            "/thing",
            "nowhere_msgs/msg/Thing",
            msgdef="uint8 x\n",
            rihs01="RIHS01_" + 64 * "0",
        )
        time_of_day = writer.add_connection(
            "/time_of_day", "rosgraph_msgs/msg/Clock", typestore=TYPESTORE
        )
        writer.write(thing, 10**9, b"\x00\x01\x00\x00\x01")
        writer.write(time_of_day, 10**9, b"\x00\x01\x00\x00" + 8 * b"\x01")
    with open_bag(tmp_path / "bag") as reader:
        player = Player(node, reader, Playback())
        assert player.skipped == ["/thing skipped: type nowhere_msgs/msg/Thing is not installed"]
        played: list[int] = []
        player.play_once(played.append)
        assert played == [0]
        with pytest.raises(UserError, match="nothing to play: /thing skipped"):
            Player(node, reader, Playback(topics=("/thing",)))


def test_only_the_topics_asked_for(node: Node, bag: Path) -> None:
    with open_bag(bag) as reader:
        Player(node, reader, Playback(topics=("/tf",)))
        published = {
            topic for topic, _ in node.get_publisher_names_and_types_by_node(node.get_name(), "/")
        }
        assert "/tf" in published
        assert image_topic("left") not in published
        with pytest.raises(UserError, match="no topic /other; it holds /camera/left/camera_info"):
            Player(node, reader, Playback(topics=("/other",)))


def test_nobody_listens(node: Node, bag: Path) -> None:
    with open_bag(bag) as reader:
        player = Player(node, reader, Playback(wait_for_subscribers=0.1))
        assert not player.wait_for_subscribers()


def test_stored_qos_is_offered() -> None:
    unlimited = QosTime(9223372036, 854775807)
    stored = Qos(
        QosHistory.KEEP_LAST,
        7,
        QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL,
        unlimited,
        unlimited,
        QosLiveliness.AUTOMATIC,
        unlimited,
        False,
    )
    qos = publisher_qos("/map", [stored])
    assert (qos.depth, qos.reliability) == (7, ReliabilityPolicy.BEST_EFFORT)
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    # A bag that stores no QoS must still latch its static transforms.
    assert publisher_qos("/tf_static", []).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert publisher_qos("/tf", []).durability == DurabilityPolicy.VOLATILE


def test_message_class() -> None:
    assert message_class("sensor_msgs/msg/Image") is Image
    with pytest.raises(UserError, match="sensor_msgs/msg/Imago is not installed"):
        message_class("sensor_msgs/msg/Imago")


@pytest.mark.parametrize(
    "said", ["os/msg/System", ".x/msg/X", "a b/msg/X", "", "x", "os/path/join"]
)
def test_a_recording_names_no_other_module(said: str) -> None:
    """The type of a topic comes from a file: nothing but messages is imported for it."""
    with pytest.raises(UserError, match=r"is not installed|is none of a message"):
        message_class(said)


def test_a_topic_whose_name_is_none_is_skipped(node: Node, tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic in ("/time_of_day", "no name / at all"):
            one = writer.add_connection(topic, "rosgraph_msgs/msg/Clock", typestore=TYPESTORE)
            writer.write(one, 10**9, b"\x00\x01\x00\x00" + 8 * b"\x01")
    with open_bag(tmp_path / "bag") as reader:
        player = Player(node, reader, Playback())
        assert player.skipped == ["'no name / at all' skipped: it is no name of a topic"]


def test_unusable_bags_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mcap").write_text("no bag")
    (tmp_path / "text.txt").write_text("no bag")
    for name, words in (
        ("nowhere", "does not exist"),
        ("empty", "holds no rosbag2 recording"),
        ("text.mcap", "not a readable rosbag2 recording"),
        ("text.txt", "is no rosbag2 recording: those end with .mcap or .db3"),
    ):
        with pytest.raises(UserError, match=words), open_bag(tmp_path / name):
            pass


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": float("nan")}])
def test_wrong_rates_are_refused(wrong) -> None:
    with pytest.raises(UserError, match="--rate"):
        Playback(**wrong)
    with pytest.raises(UserError, match="--wait-for-subscribers"):
        Playback(wait_for_subscribers=-1)
