"""`ros2 launch kdbts_ros several_robots.launch.py robots:=robot1,robot2`: a node for each robot.

An example of composing with the package's own launch file: copy what you need into yours. Each
robot has its namespace, its camera in it, and its transforms on tf and tf_static of it, as in
Nav2; one lifecycle manager brings all nodes up where Nav2 is installed.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kdbts_ros.node.launching import installed, split_robots, switch

SHARE = Path(get_package_share_directory("kdbts_ros"))

ARGUMENTS = {
    "robots": ("robot1,robot2", "Namespaces of the robots."),
    "image_topic": ("camera/image_raw", "Topic of each camera, within its robot's namespace."),
    "preset": ("", "Sizes and heights for a kind of place: indoor or yard."),
    "checkpoint": ("", "Weights: a shipped name or a file."),
    "use_sim_time": ("false", "Follow /clock (a bag or a simulator)."),
}


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """A node for each robot, and the manager; raises before anything has started."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    robots = split_robots(value["robots"])
    managed = installed("nav2_lifecycle_manager", "lifecycle_manager")
    shared = {name: value[name] for name in ("preset", "checkpoint", "use_sim_time")}
    started: list[LaunchDescriptionEntity] = [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / "launch" / "kdbts.launch.py")),
            launch_arguments={
                **shared,
                "namespace": robot,
                "image_topic": value["image_topic"],
                "namespaced_tf": "true",
                "autostart": "false" if managed else "true",
            }.items(),
        )
        for robot in robots
    ]
    if managed:
        parameters = {
            "node_names": [f"/{robot}/kdbts" for robot in robots],
            "autostart": True,
            # The nodes have no bond; with a timeout the manager would wait for one and give up.
            "bond_timeout": 0.0,
            # From Kilted on: how long a node may take until it answers; loading begins after that.
            "service_timeout": 30.0,
            "use_sim_time": switch("use_sim_time", value["use_sim_time"]),
        }
        started.append(
            Node(
                package="nav2_lifecycle_manager",
                executable="lifecycle_manager",
                name="lifecycle_manager_kdbts",
                parameters=[parameters],
                output="screen",
            )
        )
    return started


def generate_launch_description() -> LaunchDescription:
    """All arguments, a node for each robot, and the manager."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, (default, meaning) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])
