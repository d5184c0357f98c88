"""`ros2 launch kdbts_ros kdbts.launch.py`: the node on a robot, and RViz if asked for.

An argument left empty leaves the value to the parameter file.
"""

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("kdbts_ros"), "config"])

ARGUMENTS = {
    "params_file": (
        PathJoinSubstitution([CONFIG, "kdbts.yaml"]),
        "Parameter file of the node.",
    ),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "device": ("", "auto, cpu, cuda or cuda:N."),
    "image_topic": ("image", "Topic of the camera; its camera_info is expected beside it."),
    "camera_info_topic": ("camera_info", "Topic of the CameraInfo, where it is not beside it."),
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("false", "Follow /clock (a bag or a simulator)."),
    "autostart": ("true", "Activate at start; false leaves it to a lifecycle manager."),
    "rviz": ("false", "Start RViz with a view of the outputs."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
TRUE = ("true", "1", "yes", "on")


def _node(context: LaunchContext) -> list[LifecycleNode]:
    """The node, once the arguments have values."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters: dict[str, str | bool] = {
        "use_sim_time": value["use_sim_time"].lower() in TRUE,
        "autostart": value["autostart"].lower() in TRUE,
    }
    for name in ("checkpoint", "device"):
        if value[name]:
            parameters[name] = value[name]
    profile = PathJoinSubstitution([CONFIG, "fastdds_large_messages.xml"]).perform(context)
    # The first is read by Fast DDS 3 (Kilted on), the second by Fast DDS 2; a user's own wins.
    variables = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    chosen = any(os.environ.get(name) for name in variables)
    return [
        LifecycleNode(
            package="kdbts_ros",
            executable="kdbts_node",
            name="kdbts",
            namespace=value["namespace"],
            parameters=[value["params_file"], parameters],
            remappings=[
                ("image", value["image_topic"]),
                ("camera_info", value["camera_info_topic"]),
            ],
            ros_arguments=["--log-level", value["log_level"]],
            additional_env={} if chosen else dict.fromkeys(variables, profile),
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """All arguments, the node, and RViz on request."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in ARGUMENTS.items()
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([CONFIG, "kdbts.rviz"])],
        parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
        condition=IfCondition(LaunchConfiguration("rviz")),
        output="screen",
    )
    return LaunchDescription([*declared, OpaqueFunction(function=_node), rviz])
