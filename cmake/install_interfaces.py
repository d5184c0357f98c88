"""Generate the messages of one CMake package and install them: no colcon, and no ROS workspace.

    python cmake/install_interfaces.py --source . --build build/interfaces --prefix .venv

A ROS to generate with is looked for in this Python's environment (the ROS 2 wheels) and then along
AMENT_PREFIX_PATH (a sourced installation). Exit code 3 says that there is none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def ros_prefix() -> Path | None:
    """The first prefix whose ROS can generate messages."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in (sys.prefix, *filter(None, sourced)):
        if Path(prefix, "share/rosidl_default_generators/cmake").is_dir():
            return Path(prefix)
    return None


def environment(prefix: Path) -> dict[str, str]:
    """What CMake and the generators it starts need to see of this process."""
    env = dict(os.environ)
    if prefix == Path(sys.prefix):
        # pip's build isolation and a sourced ROS both point PYTHONPATH away from these wheels.
        env.pop("PYTHONPATH", None)
        env["AMENT_PREFIX_PATH"] = str(prefix)
    return env


def install(source: Path, build: Path, prefix: Path, python_dir: str | None) -> None:
    """Configure, build and install `source`; a build folder that exists is continued."""
    ros = ros_prefix()
    if ros is None:
        print(f"no ROS 2 found to generate the messages of {source} with", file=sys.stderr)
        raise SystemExit(3)
    project = source.resolve().name if source.resolve() != HERE.parent else "kdbts_ros"
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_PREFIX_PATH": f"{ros};{prefix}",
        "CMAKE_INSTALL_PREFIX": prefix,
        "CMAKE_INSTALL_MESSAGE": "NEVER",
        "BUILD_TESTING": "OFF",
        "KDBTS_INTERFACES_ONLY": "ON",
        "Python3_EXECUTABLE": sys.executable,
        f"CMAKE_PROJECT_{project}_INCLUDE": HERE / "prune_missing_includes.cmake",
    }
    if python_dir:
        options["PYTHON_INSTALL_DIR"] = python_dir
    defines = [f"-D{name}={value}" for name, value in options.items()]
    env = environment(ros)
    quiet = ["--log-level=WARNING", "--no-warn-unused-cli", "-Wno-dev"]
    commands = (
        ["cmake", *quiet, "-S", str(source), "-B", str(build), *defines],
        ["cmake", "--build", str(build), "--parallel", str(min(os.cpu_count() or 1, 8))],
        ["cmake", "--install", str(build)],
    )
    for command in commands:
        finished = subprocess.run(command, env=env, check=False)
        if finished.returncode:
            print(f"the messages of {project} did not build", file=sys.stderr)
            raise SystemExit(finished.returncode)


def main() -> None:
    """Read the command line and install."""
    parser = argparse.ArgumentParser(description="Generate and install the messages of a package.")
    parser.add_argument("--source", type=Path, required=True, help="folder of the CMakeLists.txt")
    parser.add_argument("--build", type=Path, required=True, help="folder to build in")
    parser.add_argument("--prefix", type=Path, required=True, help="where to install")
    parser.add_argument("--python-dir", help="Python modules go here, relative to the prefix")
    options = parser.parse_args()
    install(
        options.source.resolve(),
        options.build.resolve(),
        options.prefix.resolve(),
        options.python_dir,
    )


if __name__ == "__main__":
    main()
