"""`ros2 launch kdbts_ros kitti_replay.launch.py bag:=DIR`: a recorded drive, the node and RViz.

Made for what `kdbts bag` writes; `image_topic` fits any other recording. The recording starts when
the node is active, and the launch ends where it cannot be.
"""

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Event, LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

from kdbts_ros.node.fastdds import large_message_environment
from kdbts_ros.node.launching import check_replay, number, switch

SHARE = Path(get_package_share_directory("kdbts_ros"))

# Passed on to kdbts.launch.py under the same names.
NODE_ARGUMENTS = {
    "params_file": (
        str(SHARE / "config" / "kdbts.yaml"),
        "Parameter file of the node; image_transport there for a compressed recording.",
    ),
    "preset": ("", "Sizes and heights for a kind of place, over params_file: indoor or yard."),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "device": ("", "auto, cpu, cuda or cuda:N."),
    "image_topic": ("/camera/left/image_rect_color", "Recorded images the node takes."),
    "camera_info_topic": ("camera_info", "Topic of the CameraInfo, where it is not beside it."),
    "namespace": ("", "Namespace of the node."),
    "namespaced_tf": ("false", "Take tf and tf_static of the namespace, as Nav2 does for robots."),
    "use_sim_time": ("true", "Follow the /clock that the player publishes."),
    "rviz": ("auto", "Start RViz with a view of the outputs; auto: where it can be."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
PLAYER_ARGUMENTS = {
    "player": ("ros2bag", "ros2bag: `ros2 bag play`; kdbts: the package's own player."),
    "rate": ("1.0", "Recorded seconds per second."),
    "loop": ("false", "Start again at the end."),
    "patience": ("300", "Seconds to wait at most for the node to be active."),
}


def _player(context: LaunchContext) -> ExecuteProcess:
    """The player; raises where it cannot play."""
    value = {name: LaunchConfiguration(name).perform(context) for name in PLAYER_ARGUMENTS}
    bag = LaunchConfiguration("bag").perform(context)
    check_replay(bag, value["player"])
    if value["player"] == "ros2bag":
        # The node needs a moment to find the topics: what is sent before is lost.
        command = ["ros2", "bag", "play", bag, "--clock", "100", "--delay", "1"]
    else:
        kdbts = ExecutableInPackage("kdbts", "kdbts_ros").perform(context)
        command = [kdbts, "play", bag, "--clock"]
        command += ["--wait-for-subscribers", "60"]
    command += ["--rate", str(number("rate", value["rate"]))]
    if switch("loop", value["loop"]):
        command.append("--loop")
    return ExecuteProcess(cmd=command, additional_env=large_message_environment(), output="screen")


def _waiter(context: LaunchContext) -> ExecuteProcess:
    """A process that ends when the node is active, or says why it will not be."""
    patience = number("patience", LaunchConfiguration("patience").perform(context))
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    node = f"/{namespace}/kdbts" if namespace else "/kdbts"
    command = [sys.executable, "-m", "kdbts_ros.replay.wait", node, "--seconds", str(patience)]
    return ExecuteProcess(cmd=command, name="wait_until_active", output="screen")


def _replay(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Node, waiter and player; raises before anything has started."""
    player, waiter = _player(context), _waiter(context)
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "kdbts.launch.py")),
        launch_arguments={name: LaunchConfiguration(name) for name in NODE_ARGUMENTS}.items(),
    )

    def go_on(event: Event, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.action is waiter:
            return _end("the node did not become active") if event.returncode else [player]
        if getattr(event.action, "node_executable", None) == "kdbts_node":
            return _end("the node has ended")
        return []

    # The waiter last: what is wrong with the node's arguments must not leave it behind.
    return [RegisterEventHandler(OnProcessExit(on_exit=go_on)), node, waiter]


def _end(why: str) -> list[LaunchDescriptionEntity]:
    sentence = f"{why}: nothing more is played"
    return [LogInfo(msg=sentence), Shutdown(reason=sentence)]


def generate_launch_description() -> LaunchDescription:
    """All arguments, the node with RViz on recorded time, and the player in waiting."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in {**NODE_ARGUMENTS, **PLAYER_ARGUMENTS}.items()
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Recording made by `kdbts bag`."),
            *declared,
            OpaqueFunction(function=_replay),
        ]
    )
