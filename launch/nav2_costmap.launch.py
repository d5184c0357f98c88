"""`ros2 launch kdbts_ros nav2_costmap.launch.py`: the node, a Nav2 costmap of it, one manager.

For a first look at a costmap, without the rest of Nav2. On a robot that runs Nav2, merge
`config/nav2_static_layer.yaml` into its parameters instead and start `kdbts.launch.py`.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kdbts_ros.node.launching import (
    check_nav2,
    costmap_parameters,
    switch,
    transform_topics,
)

SHARE = Path(get_package_share_directory("kdbts_ros"))

# Passed on to kdbts.launch.py under the same names.
NODE_ARGUMENTS = {
    "params_file": (str(SHARE / "config" / "kdbts.yaml"), "Parameter file of the node."),
    "preset": ("", "Sizes and heights for a kind of place, over params_file: indoor or yard."),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "device": ("", "auto, cpu, cuda or cuda:N."),
    "image_topic": ("image", "Topic of the camera; its camera_info is expected beside it."),
    "camera_info_topic": ("camera_info", "Topic of the CameraInfo, where it is not beside it."),
    "namespace": ("", "Namespace of the node, the costmap and the manager."),
    "namespaced_tf": ("false", "Take tf and tf_static of the namespace, as Nav2 does for robots."),
    "use_sim_time": ("false", "Follow /clock (a bag or a simulator)."),
    "rviz": ("false", "Start RViz with a view of the outputs; auto: where it can be."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
COSTMAP_ARGUMENTS = {
    "costmap_params_file": (
        str(SHARE / "config" / "nav2_static_layer.yaml"),
        "Nav2 parameter file; its local_costmap is started.",
    ),
    "autostart": ("true", "The manager brings both up; false waits for its service."),
}


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Node, costmap and manager; raises before anything has started."""
    names = (*NODE_ARGUMENTS, *COSTMAP_ARGUMENTS)
    value = {name: LaunchConfiguration(name).perform(context) for name in names}
    check_nav2()
    namespace = value["namespace"].strip("/")
    parameters = costmap_parameters(value["costmap_params_file"], namespace)
    sim_time = {"use_sim_time": switch("use_sim_time", value["use_sim_time"])}
    manager = {
        "node_names": ["kdbts", "local_costmap/local_costmap"],
        "autostart": switch("autostart", value["autostart"]),
        # The node has no bond; with a timeout the manager would wait for one and give up.
        "bond_timeout": 0.0,
        # From Kilted on: how long the node may take until it answers; loading begins after that.
        "service_timeout": 30.0,
    }
    passed_on = {name: LaunchConfiguration(name) for name in NODE_ARGUMENTS}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "kdbts.launch.py")),
        launch_arguments={**passed_on, "autostart": "false"}.items(),
    )
    # The node first: what is wrong with its arguments must not leave the others behind.
    return [
        node,
        Node(
            package="nav2_costmap_2d",
            executable="nav2_costmap_2d",
            name="local_costmap",
            namespace=f"{namespace}/local_costmap",
            parameters=[parameters, sim_time],
            remappings=transform_topics(value["namespaced_tf"], f"/{namespace}"),
            ros_arguments=["--log-level", value["log_level"]],
            output="screen",
        ),
        Node(
            package="nav2_lifecycle_manager",
            executable="lifecycle_manager",
            name="lifecycle_manager_kdbts",
            namespace=namespace,
            parameters=[manager, sim_time],
            output="screen",
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """All arguments, the node, the costmap and the manager."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in {**NODE_ARGUMENTS, **COSTMAP_ARGUMENTS}.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])
