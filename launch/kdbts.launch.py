"""`ros2 launch kdbts_ros kdbts.launch.py`: the node on a robot, and RViz if asked for.

An argument left empty leaves the value to the parameter file.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from kdbts_ros.node.fastdds import large_message_environment
from kdbts_ros.node.launching import check_file, preset_files, rviz, switch, transform_topics

CONFIG = Path(get_package_share_directory("kdbts_ros"), "config")

ARGUMENTS = {
    "params_file": (str(CONFIG / "kdbts.yaml"), "Parameter file of the node."),
    "preset": ("", "Sizes and heights for a kind of place, over params_file: indoor or yard."),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "device": ("", "auto, cpu, cuda or cuda:N."),
    "image_topic": ("image", "Topic of the camera; its camera_info is expected beside it."),
    "camera_info_topic": ("camera_info", "Topic of the CameraInfo, where it is not beside it."),
    "namespace": ("", "Namespace of the node."),
    "namespaced_tf": ("false", "Take tf and tf_static of the namespace, as Nav2 does for robots."),
    "use_sim_time": ("false", "Follow /clock (a bag or a simulator)."),
    "autostart": ("true", "Activate at start; false leaves it to a lifecycle manager."),
    "rviz": ("false", "Start RViz with a view of the outputs; auto: where it can be."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """RViz and the node, once the arguments have values; raises before anything has started."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_file("params_file", value["params_file"])
    sim_time = switch("use_sim_time", value["use_sim_time"])
    parameters: dict[str, str | bool] = {
        "use_sim_time": sim_time,
        "autostart": switch("autostart", value["autostart"]),
    }
    for name in ("checkpoint", "device"):
        if value[name]:
            parameters[name] = value[name]
    files = [value["params_file"], *preset_files(value["preset"], CONFIG)]
    view = rviz(value["rviz"])
    started: list[LaunchDescriptionEntity] = []
    if view.sentence:
        started.append(LogInfo(msg=view.sentence))
    if view.start:
        # Before the node: what can still fail here must not leave one behind.
        started.append(_rviz(sim_time, value["namespace"]))
    started.append(
        LifecycleNode(
            package="kdbts_ros",
            executable="kdbts_node",
            name="kdbts",
            namespace=value["namespace"],
            parameters=[*files, parameters],
            remappings=[
                ("image", value["image_topic"]),
                ("camera_info", value["camera_info_topic"]),
                *transform_topics(value["namespaced_tf"]),
            ],
            ros_arguments=["--log-level", value["log_level"]],
            additional_env=large_message_environment(),
            output="screen",
            emulate_tty=True,
        )
    )
    return started


def _rviz(sim_time: bool, namespace: str) -> Node:
    # The view names its topics without a leading slash: they are those of the node's namespace.
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(CONFIG / "kdbts.rviz")],
        parameters=[{"use_sim_time": sim_time}],
        output="screen",
    )


def generate_launch_description() -> LaunchDescription:
    """All arguments, the node, and RViz on request."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])
