"""What is written down twice about the package has to agree."""

from __future__ import annotations

import configparser
import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
CONSTRAINT = re.compile(r"^([A-Za-z0-9._-]+)==[^;\s]+(; python_version (<|>=) \"3\.11\")?$")


def significant(file: str) -> list[str]:
    """The lines of a requirements file without comments."""
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def normal(name: str) -> str:
    """A distribution's name the way package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_changelog_starts_with_the_version_of_the_manifest() -> None:
    versions = re.findall(
        r"^(\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE
    )
    assert versions[0] == MANIFEST.findtext("version")


def test_an_installed_package_has_the_version_of_the_manifest() -> None:
    try:
        installed = distribution("kdbts_ros")
    except PackageNotFoundError:
        pytest.skip("kdbts_ros is not installed; run `make venv`")
    assert installed.version == MANIFEST.findtext("version")


def test_every_console_script_leads_to_a_function() -> None:
    scripts = re.findall(r"(\w+) = \{NAME\}\.([\w.]+):(\w+)", (ROOT / "setup.py").read_text())
    assert {name for name, _, _ in scripts} == {"kdbts", "kdbts_node"}
    for name, module, function in scripts:
        if name == "kdbts_node":
            pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`")
        assert callable(getattr(importlib.import_module(f"kdbts_ros.{module}"), function))


@pytest.mark.parametrize("script", ["kdbts", "kdbts_node"])
def test_colcon_installs_the_same_scripts(script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111, f"{path} is not executable"
    module, function = re.findall(r"from (\S+) import (\w+)", path.read_text())[0]
    assert (
        f"{module}:{function}".replace("kdbts_ros", "{NAME}", 1) in (ROOT / "setup.py").read_text()
    )
    assert f'"scripts/{script}"' in (ROOT / "setup.py").read_text()
    cmake = (ROOT / "CMakeLists.txt").read_text()
    programs = re.search(r"foreach\(program ([^)]*)\)", cmake)
    assert programs is not None and script in programs[1].split()
    # CMake replaces this line by the Python it has found.
    assert path.read_text().startswith("#!/usr/bin/env python3\n")
    assert '"#!/usr/bin/env python3\\n"' in cmake


def test_installations_keep_programs_where_ros_looks_for_them() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["develop"]["script_dir"] == "$base/lib/kdbts_ros"
    assert config["install"]["install_scripts"] == "$base/lib/kdbts_ros"
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert "install(PROGRAMS ${built} DESTINATION lib/${PROJECT_NAME})" in cmake


def test_linked_launch_files_are_found_as_ros2_launch_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real folders whose files are links, and no link to a file that is gone."""
    stale = tmp_path / "share/kdbts_ros/launch"
    stale.mkdir(parents=True)
    (stale / "gone.launch.py").symlink_to(tmp_path / "gone")
    (tmp_path / "share/kdbts_ros/config").symlink_to(ROOT / "config")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    runpy.run_path(str(ROOT / "scripts/link_source_tree.py"), run_name="__main__")
    share = tmp_path / "share/kdbts_ros"
    found = {
        Path(folder, file).relative_to(share)
        for folder, _, files in os.walk(share)
        for file in files
    }
    for kind in ("launch", "config"):
        expected = {
            f.relative_to(ROOT)
            for f in (ROOT / kind).rglob("*")
            if f.is_file() and "__pycache__" not in f.parts
        }
        assert expected and {f for f in found if f.parts[0] == kind} == expected
    assert {f.name for f in (tmp_path / "lib/kdbts_ros").iterdir()} == {"kdbts", "kdbts_node"}
    assert (ROOT / "config").is_dir() and not (ROOT / "config").is_symlink()


def test_every_message_is_generated() -> None:
    listed = set(re.findall(r'"((?:msg|srv)/\w+\.\w+)"', (ROOT / "CMakeLists.txt").read_text()))
    found = [*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")]
    assert listed == {f"{path.parent.name}/{path.name}" for path in found}
    # `make venv` generates them again when any of them changes.
    assert "$(wildcard msg/*.msg srv/*.srv)" in (ROOT / "Makefile").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("given", "option"), [("KITTI", "--kitti"), ("BAG", "--bag")])
def test_make_demo_finds_the_home_folder_where_the_shell_does_not(given: str, option: str) -> None:
    words = ["make", "-n", "demo", f"{given}=~/my data", "HOME=/home/me"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f'{option} "/home/me/my data"' in told


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "config").rglob("*.yaml")) + sorted((ROOT / "config").rglob("*.rviz")),
    ids=lambda path: path.name,
)
def test_configuration_files_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_every_requirement_is_pinned_to_one_version() -> None:
    pinned = set()
    for line in significant("constraints.txt"):
        match = CONSTRAINT.match(line)
        assert match, f"constraints.txt: {line!r} does not pin a version"
        pinned.add(normal(match[1]))
    for file in (
        "base.txt",
        "ros.txt",
        "dev.txt",
        "docs.txt",
        "robot.txt",
        "train.txt",
        "openvino.txt",
        "viewer.txt",
    ):
        for line in significant(file):
            name = re.split(r"[<>=!~ ]", line)[0]
            assert normal(name) in pinned, f"{file}: {name} has no version in constraints.txt"


def test_every_message_package_of_the_node_is_a_dependency() -> None:
    declared = {element.text for element in MANIFEST if element.tag.endswith("depend")}
    used = {
        top
        for path in (ROOT / "kdbts_ros").rglob("*.py")
        for top in re.findall(
            r"^\s*from (\w+_(?:msgs|interfaces))\.(?:msg|srv) import", path.read_text(), re.M
        )
    }
    assert used <= declared
