"""The launch files where launch is installed; what they decide is tested without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

launch = pytest.importorskip("launch", reason="needs ROS 2's launch")
launch_ros = pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")

from kdbts_ros.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "launch"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sourced installation that holds this package, and no screen."""
    packages = tmp_path / "share/ament_index/resource_index/packages"
    packages.mkdir(parents=True)
    (packages / "kdbts_ros").touch()
    (tmp_path / "share/kdbts_ros").mkdir(parents=True)
    (tmp_path / "share/kdbts_ros/config").symlink_to(FOLDER.parent / "config")
    (tmp_path / "share/kdbts_ros/launch").symlink_to(FOLDER)
    program(tmp_path, "kdbts_ros", "kdbts")
    program(tmp_path, "kdbts_ros", "kdbts_node")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def program(prefix: Path, package: str, name: str) -> None:
    (prefix / "share/ament_index/resource_index/packages" / package).touch()
    path = prefix / "lib" / package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch_file", FOLDER / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context_of(module: ModuleType, **values: str) -> Any:
    """A launch whose arguments have these values and else their defaults."""
    context = launch.LaunchContext()
    for table in ("ARGUMENTS", "NODE_ARGUMENTS", "PLAYER_ARGUMENTS", "COSTMAP_ARGUMENTS"):
        for name, (default, _) in getattr(module, table, {}).items():
            context.launch_configurations[name] = default
    context.launch_configurations.update(values)
    return context


def words(context: Any, process: Any) -> list[str]:
    return [launch.utilities.perform_substitutions(context, part) for part in process.cmd]


def exited(process: Any, code: int) -> Any:
    return launch.events.process.ProcessExited(
        action=process, name="it", cmd=["it"], cwd=None, env=None, pid=1, returncode=code
    )


@pytest.mark.parametrize(
    "name", ["kdbts.launch.py", "kitti_replay.launch.py", "nav2_costmap.launch.py"]
)
def test_every_argument_has_a_default_that_can_be_read(prefix: Path, name: str) -> None:
    context = launch.LaunchContext()
    module = load(name)
    described = module.generate_launch_description().get_launch_arguments()
    tables = [getattr(module, table) for table in dir(module) if table.endswith("ARGUMENTS")]
    assert {argument.name for argument in described} >= {n for table in tables for n in table}
    assert {"params_file", "rviz", "use_sim_time"} <= {argument.name for argument in described}
    for argument in described:
        # `ros2 launch -s` prints each part of a default that is not plain text as its repr.
        parts = argument.default_value or []
        assert all(isinstance(p, launch.substitutions.TextSubstitution) for p in parts)
    (params,) = [a for a in described if a.name == "params_file"]
    file = launch.utilities.perform_substitutions(context, params.default_value)
    assert Path(file).is_file()


def test_the_replay_declares_what_the_node_takes(prefix: Path) -> None:
    node, replay = load("kdbts.launch.py"), load("kitti_replay.launch.py")
    assert set(replay.NODE_ARGUMENTS) == set(node.ARGUMENTS) - {"autostart"}


@pytest.mark.parametrize(
    ("player", "expected"),
    [("ros2bag", ["ros2", "bag", "play"]), ("kdbts", ["play", "--clock"])],
)
def test_player_command(prefix: Path, player: str, expected: list[str]) -> None:
    program(prefix, "ros2bag", "any")
    module = load("kitti_replay.launch.py")
    context = context_of(module, bag=str(prefix), player=player, rate="2.0", loop="yes")
    command = words(context, module._player(context))
    assert all(word in command for word in [*expected, str(prefix)])
    assert command[-3:] == ["--rate", "2.0", "--loop"]


def test_only_an_active_node_is_played_to(prefix: Path) -> None:
    module = load("kitti_replay.launch.py")
    context = context_of(module, bag=str(prefix), player="kdbts", namespace="/front/")
    handler, node, waiter = module._replay(context)
    assert isinstance(node, launch.actions.IncludeLaunchDescription)
    command = words(context, waiter)
    assert "/front/kdbts" in command and "kdbts_ros.replay.wait" in command
    on_exit = handler.event_handler.handle
    (player,) = on_exit(exited(waiter, 0), context)
    assert "play" in words(context, player)
    assert isinstance(on_exit(exited(waiter, 1), context)[-1], launch.actions.Shutdown)


def test_a_replay_without_its_node_is_over(prefix: Path) -> None:
    module = load("kitti_replay.launch.py")
    context = context_of(module, bag=str(prefix), player="kdbts")
    handler, _, _ = module._replay(context)
    inner = load("kdbts.launch.py")
    (node,) = inner._start(context_of(inner))
    on_exit = handler.event_handler.handle
    assert isinstance(on_exit(exited(node, 0), context)[-1], launch.actions.Shutdown)
    other = launch.actions.ExecuteProcess(cmd=["true"])
    assert on_exit(exited(other, 1), context) == []


def test_without_rviz_the_node_starts_alone(prefix: Path) -> None:
    module = load("kdbts.launch.py")
    said, node = module._start(context_of(module, rviz="true"))
    assert isinstance(said, launch.actions.LogInfo)
    assert isinstance(node, launch_ros.actions.LifecycleNode)
    (node,) = module._start(context_of(module, rviz="auto"))
    assert isinstance(node, launch_ros.actions.LifecycleNode)
    program(prefix, "rviz2", "rviz2")
    context = context_of(module, rviz="true", namespace="robot1")
    first, _ = module._start(context)
    assert first.node_package == "rviz2", "what can fail comes before the node"
    assert first.expanded_node_namespace == first.UNSPECIFIED_NODE_NAMESPACE
    first._perform_substitutions(context)
    assert first.expanded_node_namespace == "/robot1", "the view's topics are relative"


@pytest.mark.parametrize(
    "wrong",
    [{"rviz": "perhaps"}, {"use_sim_time": "treu"}, {"autostart": "2"}, {"params_file": "/gone"}],
)
def test_a_wrong_argument_ends_the_launch_before_the_node(
    prefix: Path, wrong: dict[str, str]
) -> None:
    module = load("kdbts.launch.py")
    with pytest.raises(UserError, match=next(iter(wrong))):
        module._start(context_of(module, **wrong))


@pytest.mark.parametrize(
    "wrong", [{"player": "vlc"}, {"rate": "0"}, {"loop": "2"}, {"patience": "x"}, {"bag": "/gone"}]
)
def test_a_wrong_argument_ends_the_replay_before_anything(
    prefix: Path, wrong: dict[str, str]
) -> None:
    module = load("kitti_replay.launch.py")
    values = {"bag": str(prefix), "player": "kdbts"} | wrong
    with pytest.raises(UserError, match=next(iter(wrong))):
        module._replay(context_of(module, **values))


def test_one_profile_is_named_to_fast_dds(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    module = load("kdbts.launch.py")
    context = context_of(module)
    (node,) = module._start(context)
    named = [
        launch.utilities.perform_substitutions(context, name)
        for name, _ in node.process_description.additional_env
    ]
    assert len(named) == 1 and named[0].endswith("_DEFAULT_PROFILES_FILE")


def nav2(prefix: Path) -> None:
    program(prefix, "nav2_costmap_2d", "nav2_costmap_2d")
    program(prefix, "nav2_lifecycle_manager", "lifecycle_manager")


@pytest.mark.parametrize(
    ("namespace", "costmap"),
    [("", "/local_costmap/local_costmap"), ("/robot1/", "/robot1/local_costmap/local_costmap")],
)
def test_one_manager_brings_up_the_node_and_its_costmap(
    prefix: Path, namespace: str, costmap: str
) -> None:
    nav2(prefix)
    module = load("nav2_costmap.launch.py")
    context = context_of(module, namespace=namespace)
    node, layers, manager = module._start(context)
    assert isinstance(node, launch.actions.IncludeLaunchDescription)
    passed = dict(node.launch_arguments)
    assert set(passed) == set(load("kdbts.launch.py").ARGUMENTS)
    assert passed["autostart"] == "false", "the manager does it"
    for action in (layers, manager):
        action._perform_substitutions(context)
    assert layers.node_name == costmap
    assert manager.node_name == costmap.removesuffix("local_costmap/local_costmap") + (
        "lifecycle_manager_kdbts"
    )


def test_without_nav2_nothing_starts(prefix: Path) -> None:
    module = load("nav2_costmap.launch.py")
    with pytest.raises(UserError, match="navigation2"):
        module._start(context_of(module))


@pytest.mark.parametrize(
    "wrong", [{"use_sim_time": "treu"}, {"autostart": "2"}, {"costmap_params_file": "/gone"}]
)
def test_a_wrong_argument_ends_the_costmap_before_anything(
    prefix: Path, wrong: dict[str, str]
) -> None:
    nav2(prefix)
    module = load("nav2_costmap.launch.py")
    with pytest.raises(UserError, match=next(iter(wrong))):
        module._start(context_of(module, **wrong))
