"""The replay's launch file where launch is installed."""

import importlib.util
from pathlib import Path

import pytest

launch = pytest.importorskip("launch", reason="needs ROS 2's launch")
pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")

FILE = Path(__file__).resolve().parents[1] / "launch" / "kitti_replay.launch.py"


@pytest.mark.parametrize(
    ("player", "words"),
    [("ros2bag", ["ros2", "bag", "play", "drive"]), ("kdbts", ["play", "drive", "--clock"])],
)
def test_player_command(player: str, words: list[str]) -> None:
    spec = importlib.util.spec_from_file_location("kitti_replay", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = launch.LaunchContext()
    values = {"bag": "drive", "player": player, "rate": "2.0", "loop": "true", "delay": "0"}
    context.launch_configurations.update(values)
    (timer,) = module._player(context)
    (process,) = timer.actions
    command = [launch.utilities.perform_substitutions(context, part) for part in process.cmd]
    assert all(word in command for word in words)
    assert command[-3:] == ["--rate", "2.0", "--loop"]


def test_every_argument_is_declared() -> None:
    spec = importlib.util.spec_from_file_location("kitti_replay", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    declared = {argument.name for argument in description.get_launch_arguments()}
    assert {"bag", *module.NODE_ARGUMENTS, *module.PLAYER_ARGUMENTS} <= declared
