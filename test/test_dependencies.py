"""Whatever the package imports is installed by rosdep or by the pip step of docs/install.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
INSTALL = (ROOT / "docs/install.md").read_text()
# rosdep keys whose name is not that of the module, with `python3-` before it or without.
KEYS = {
    "cv2": "python3-opencv",
    "tf2_ros": "tf2_ros_py",
    "yaml": "python3-yaml",
}
# Modules that come with another one of the pip step.
COME_WITH = {"llvmlite": "numba", "triton": "torch"}
# Modules of pip's extras, imported only where they are found.
OPTIONAL = {"openvino"}


def names(text: str) -> set[str]:
    """Top-level modules that Python code imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def imported(*folders: str) -> set[str]:
    """What the Python files of folders import, but for Python's own modules and ours."""
    found = set()
    for file in (f for folder in folders for f in (ROOT / folder).rglob("*") if f.is_file()):
        if file.suffix == ".py" or (file.parent.name == "scripts" and not file.suffix):
            # A script of the tests finds what lies beside it.
            script = folders == ("test",) and not (file.parent / "__init__.py").exists()
            beside = {f.stem for f in file.parent.glob("*.py")} if script else set()
            found |= names(file.read_text()) - beside
    return found - set(sys.stdlib_module_names) - {"kdbts_ros", "test"}


def declared(*tags: str) -> set[str]:
    return {str(element.text) for element in MANIFEST if element.tag in tags}


def pip_step() -> set[str]:
    lines = (ROOT / "requirements/robot.txt").read_text().splitlines()
    names = [re.split(r"[<>=!~; ]", line)[0] for line in lines if not line.startswith("#")]
    return {name for name in names if name}


def lacking(modules: set[str], keys: set[str]) -> set[str]:
    """Modules that neither rosdep nor pip brings."""
    brought = pip_step()
    return {
        module
        for module in modules
        if not {module, f"python3-{module}", KEYS.get(module, "")} & keys
        and COME_WITH.get(module, module) not in brought
    }


def test_what_the_package_imports_is_declared_or_installed_by_pip() -> None:
    modules = imported("kdbts_ros", "launch", "scripts")
    assert {"rclpy", "torch", "numpy", "launch_ros", "cv_bridge"} <= modules
    assert lacking(modules - {"setuptools"} - OPTIONAL, declared("depend", "exec_depend")) == set()


def test_what_the_tests_import_is_declared_too() -> None:
    every = declared("depend", "exec_depend", "test_depend")
    assert lacking(imported("test"), every) == set()


def test_a_module_that_nothing_brings_is_seen() -> None:
    assert lacking({"no_such_module", "numpy"}, {"python3-numpy"}) == {"no_such_module"}


def test_nothing_is_declared_in_vain() -> None:
    modules = imported("kdbts_ros", "launch", "scripts", "test")
    used = {name for m in modules for name in (m, f"python3-{m}", KEYS.get(m, ""))}
    # No module of these is imported: generators, and programs that launch files or tests start.
    used |= {"rosidl_default_runtime", "ros2launch", "ros2bag", "rosbag2_storage_mcap", "rviz2"}
    used |= {"ament_cmake_pytest", "python3-pytest-timeout"}
    assert declared("depend", "exec_depend", "test_depend") - used == set()


@pytest.mark.parametrize("program", ["rviz2", "ros2bag", "ros2launch", "rosbag2_storage_mcap"])
def test_what_the_launch_files_start_is_declared(program: str) -> None:
    assert program in declared("exec_depend")


def test_the_pip_step_is_one_step() -> None:
    commands = re.findall(r"^.*pip install.*$", INSTALL, re.MULTILINE)
    steps = [line for line in commands if "robot.txt" in line]
    assert len(steps) == 1
    assert "requirements/robot.txt" in steps[0]
    assert "--system-site-packages" in INSTALL and "COLCON_IGNORE" in INSTALL


def test_what_ros2_launch_imports_needs_no_pip() -> None:
    # `ros2 launch` runs in the system's Python, where the virtual environment is not active.
    pytest.importorskip("ament_index_python", reason="needs ROS 2: run `make venv`")
    used = "import sys, kdbts_ros.node.launching, kdbts_ros.node.fastdds, kdbts_ros.tether; "
    listed = subprocess.run(
        [sys.executable, "-c", used + "print(*{name.split('.')[0] for name in sys.modules})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "kdbts_ros" in listed
    assert set(listed) & (pip_step() | {"cv2", "numpy", "scipy"}) == set()


def test_both_ways_of_installing_ask_for_the_same_versions() -> None:
    def wanted(file: str) -> dict[str, str]:
        lines = (ROOT / "requirements" / file).read_text().splitlines()
        plain = [line.split("#")[0].split(";")[0].strip() for line in lines]
        return {re.split(r"[<>=!~]", line)[0]: line for line in plain if line}

    base, robot = wanted("base.txt"), wanted("robot.txt")
    assert {name: base[name] for name in robot if name != "numpy"} == {
        name: line for name, line in robot.items() if name != "numpy"
    }
