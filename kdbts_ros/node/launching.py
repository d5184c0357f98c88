"""What the launch files decide before they start anything; free of `launch` itself.

launch ends with the first error it meets, and leaves running what it has started: whatever can be
wrong with an argument or an installation is found here, first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kdbts_ros.errors import UserError
from kdbts_ros.suggestions import did_you_mean

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
PLAYERS = ("ros2bag", "kdbts")
_NAMESPACE = re.compile(r"[A-Za-z]\w*(/[A-Za-z]\w*)*")
PRESETS = ("indoor", "yard")
NAV2_PROGRAMS = {
    "nav2_costmap_2d": "nav2_costmap_2d",
    "nav2_lifecycle_manager": "lifecycle_manager",
}


@dataclass(frozen=True)
class Decision:
    """Whether to start something, and a sentence for the user, or ""."""

    start: bool
    sentence: str = ""


def switch(name: str, text: str) -> bool:
    """The value of an argument that is on or off.

    Raises:
        UserError: it is neither.
    """
    word = text.strip().lower()
    if word not in TRUE + FALSE:
        raise UserError(f"{name}:={text} is neither on nor off; use true or false")
    return word in TRUE


def number(name: str, text: str) -> float:
    """The value of an argument that is a positive number.

    Raises:
        UserError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise UserError(f"{name}:={text} is no positive number")
    return value


def check_file(name: str, path: str) -> None:
    """Find out whether an argument names a file.

    Raises:
        UserError: it does not.
    """
    if not Path(path).is_file():
        raise UserError(f"{name}:={path}: there is no such file")


def transform_topics(namespaced: str, namespace: str = "") -> list[tuple[str, str]]:
    """Remappings for transforms; none where every robot's are on /tf.

    Args:
        namespaced: argument namespaced_tf.
        namespace: of the robot, for a node that lives below it; "" for one right in it.

    Raises:
        UserError: neither on nor off.
    """
    if not switch("namespaced_tf", namespaced):
        return []
    above = f"{namespace.rstrip('/')}/" if namespace else ""
    return [(f"/{name}", f"{above}{name}") for name in ("tf", "tf_static")]


def split_robots(text: str) -> list[str]:
    """The namespaces of an argument robots:=robot1,robot2.

    Raises:
        UserError: none, a name that no namespace may have, or one twice.
    """
    names = [name.strip().strip("/") for name in text.split(",")]
    bad = next((name for name in names if not _NAMESPACE.fullmatch(name)), None)
    if bad is not None:
        raise UserError(
            f"robots:={text} has the namespace '{bad}': names have letters, digits and _, and "
            "begin with a letter, for example robots:=robot1,robot2"
        )
    if len(set(names)) < len(names):
        raise UserError(f"robots:={text} names a robot twice")
    return names


def preset_files(preset: str, config: Path) -> list[str]:
    """The parameter file of a preset, to follow params_file; none where no preset is named.

    Args:
        config: folder of the package's parameter files.

    Raises:
        UserError: there is no preset of that name.
    """
    name = preset.strip()
    if not name:
        return []
    if name not in PRESETS:
        raise UserError(
            f"preset:={preset} is unknown; use {' or '.join(PRESETS)}{did_you_mean(name, PRESETS)}"
        )
    return [str(config / f"{name}.yaml")]


def installed(package: str, program: str = "") -> bool:
    """Whether a ROS package, and a program of it, is in one of the sourced installations."""
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        known = Path(prefix, "share/ament_index/resource_index/packages", package).is_file()
        if known and (not program or Path(prefix, "lib", package, program).is_file()):
            return True
    return False


def rviz(choice: str) -> Decision:
    """Whether RViz starts: true or false, or auto for where it is installed and has a screen.

    Raises:
        UserError: the choice is something else.
    """
    there = installed("rviz2", "rviz2")
    if choice.strip().lower() == "auto":
        screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
        return Decision(there and screen)
    try:
        wanted = switch("rviz", choice)
    except UserError:
        raise UserError(f"rviz:={choice} is unknown; use true, false or auto") from None
    if wanted and not there:
        return Decision(False, f"rviz2 is not installed, going on without it: {_cure('rviz2')}")
    return Decision(wanted)


def check_replay(bag: str, player: str) -> None:
    """Find what would keep a recording from being played.

    Raises:
        UserError: no such recording or player, or the player is not installed.
    """
    if player not in PLAYERS:
        raise UserError(f"player:={player} is unknown; use {' or '.join(PLAYERS)}")
    if not Path(bag).exists():
        raise UserError(f"bag:={bag}: there is no such file or folder")
    if player == "ros2bag" and not installed("ros2bag"):
        raise UserError(
            f"ros2 bag is not installed: {_cure('ros2bag')}, or use the package's own player with "
            "player:=kdbts"
        )


def check_nav2() -> None:
    """Find out whether a costmap of its own and a lifecycle manager can be started.

    Raises:
        UserError: one of the two is not installed.
    """
    for package, program in NAV2_PROGRAMS.items():
        if not installed(package, program):
            raise UserError(
                f"Nav2's {package} is not installed: {_cure('navigation2')}, or start "
                "the node alone with kdbts.launch.py"
            )


def costmap_parameters(path: str, namespace: str) -> dict[str, Any]:
    """The parameters of `local_costmap` in a Nav2 parameter file.

    Absolute topics of the node, `/kdbts/...`, become those of a node in `namespace`.

    Raises:
        UserError: no such file, no YAML, or no local costmap in it.
    """
    check_file("costmap_params_file", path)
    try:
        # Not by kdbts_ros.yaml_files, which needs what `ros2 launch` has not: pip's packages.
        level = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"costmap_params_file:={path} cannot be read: {reason}") from error
    for name in ("local_costmap", "local_costmap", "ros__parameters"):
        level = level.get(name) if isinstance(level, dict) else None
    if not isinstance(level, dict):
        raise UserError(
            f"costmap_params_file:={path} has no local_costmap: local_costmap: ros__parameters:"
        )
    inside = namespace.strip("/")
    return {name: _in_namespace(value, inside) for name, value in level.items()}


def _in_namespace(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {name: _in_namespace(below, namespace) for name, below in value.items()}
    if namespace and isinstance(value, str) and value.startswith("/kdbts/"):
        return f"/{namespace}{value}"
    return value


def _cure(package: str) -> str:
    distribution = os.environ.get("ROS_DISTRO", "<distribution>")
    return f"sudo apt-get install ros-{distribution}-{package}"
