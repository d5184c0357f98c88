"""`ros2 launch kdbts_ros kitti_replay.launch.py bag:=DIR`: a recorded drive, the node and RViz.

Made for what `kdbts bag` writes; `image_topic` fits any other recording.
"""

import sys

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    TimerAction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from kdbts_ros.node.fastdds import large_message_environment

SHARE = FindPackageShare("kdbts_ros")
CONFIG = PathJoinSubstitution([SHARE, "config"])

# Passed on to kdbts.launch.py under the same names.
NODE_ARGUMENTS = {
    "params_file": (
        PathJoinSubstitution([CONFIG, "kdbts.yaml"]),
        "Parameter file of the node; image_transport there for a compressed recording.",
    ),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "device": ("", "auto, cpu, cuda or cuda:N."),
    "image_topic": ("/camera/left/image_rect_color", "Recorded images the node takes."),
    "camera_info_topic": ("camera_info", "Topic of the CameraInfo, where it is not beside it."),
    "namespace": ("", "Namespace of the node."),
    "rviz": ("true", "Start RViz with a view of the outputs."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
PLAYER_ARGUMENTS = {
    "player": ("ros2bag", "ros2bag: `ros2 bag play`; kdbts: the package's own player."),
    "rate": ("1.0", "Recorded seconds per second."),
    "loop": ("false", "Start again at the end."),
    "delay": ("5.0", "Seconds before the recording starts, for the node to load its weights."),
}
TRUE = ("true", "1", "yes", "on")


def _player(context: LaunchContext) -> list[TimerAction]:
    """The player, once the arguments have values."""
    value = {name: LaunchConfiguration(name).perform(context) for name in PLAYER_ARGUMENTS}
    bag = LaunchConfiguration("bag").perform(context)
    if value["player"] == "ros2bag":
        command = ["ros2", "bag", "play", bag, "--clock", "100"]
    elif value["player"] == "kdbts":
        command = [sys.executable, "-m", "kdbts_ros.cli.main", "play", bag, "--clock"]
        command += ["--wait-for-subscribers", "60"]
    else:
        raise ValueError(f"player:={value['player']} is unknown; use ros2bag or kdbts")
    command += ["--rate", value["rate"]]
    if value["loop"].lower() in TRUE:
        command.append("--loop")
    process = ExecuteProcess(
        cmd=command,
        additional_env=large_message_environment(),
        output="screen",
    )
    return [TimerAction(period=float(value["delay"]), actions=[process])]


def generate_launch_description() -> LaunchDescription:
    """All arguments, the node with RViz on recorded time, and the player."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in {**NODE_ARGUMENTS, **PLAYER_ARGUMENTS}.items()
    ]
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, "launch", "kdbts.launch.py"])),
        launch_arguments={
            **{name: LaunchConfiguration(name) for name in NODE_ARGUMENTS},
            "use_sim_time": "true",
        }.items(),
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Recording made by `kdbts bag`."),
            *declared,
            node,
            OpaqueFunction(function=_player),
        ]
    )
