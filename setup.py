"""Installing with pip; `colcon build` goes through CMakeLists.txt instead.

Where a ROS 2 can be found, the messages are generated and installed along with the Python modules;
without one, the modules alone are installed, and everything but the node works.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

NAME = "kdbts_ros"
ROOT = Path(__file__).resolve().parent
NO_ROS = 3  # exit code of cmake/install_interfaces.py

PACKAGE_XML = (ROOT / "package.xml").read_text()


def from_package_xml(tag: str) -> str:
    """The text of a tag of package.xml, which is where name and version are kept."""
    found = re.search(rf"<{tag}[^>]*>(.*?)</{tag}>", PACKAGE_XML, re.DOTALL)
    if found is None:
        raise SystemExit(f"package.xml has no <{tag}>")
    return " ".join(found[1].split())


def requirements(file: str) -> list[str]:
    """A file of requirements/ without its comments."""
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def files(folder: str, pattern: str = "*") -> list[str]:
    """The files of a folder, relative to this one, as data_files wants them."""
    return [str(p.relative_to(ROOT)) for p in sorted((ROOT / folder).glob(pattern)) if p.is_file()]


DATA_FILES = [
    ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
    (f"share/{NAME}", ["package.xml"]),
    (f"share/{NAME}/launch", files("launch", "*.launch.py")),
    (f"share/{NAME}/config", files("config")),
    (f"share/{NAME}/config/security", files("config/security")),
    (f"share/{NAME}/config/training", files("config/training")),
    (f"lib/{NAME}", ["scripts/kdbts", "scripts/kdbts_node"]),
]


class BuildWithMessages(build_py):
    """The modules, and the messages as CMake generates them."""

    def run(self) -> None:
        super().run()
        # An editable install (`make venv`) brings its messages itself.
        if not self.editable_mode:
            self.add_messages()

    def add_messages(self) -> None:
        """Install the messages to a staging folder and take them into the wheel."""
        work = ROOT / "build" / "wheel"
        stage = work / "stage"
        shutil.rmtree(work, ignore_errors=True)
        command = [sys.executable, ROOT / "cmake/install_interfaces.py", "--source", ROOT]
        command += ["--build", work / "cmake", "--prefix", stage, "--python-dir", "python"]
        status = subprocess.run(command, env=dict(os.environ), check=False).returncode
        if status == NO_ROS:
            return
        if status:
            raise SystemExit(f"generating the messages of {NAME} failed, see above")
        generated = stage / "python" / NAME
        for file in generated.rglob("*"):
            part = file.relative_to(generated)
            if file.is_file() and part != Path("__init__.py") and "__pycache__" not in part.parts:
                target = Path(self.build_lib, NAME, part)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
        given = {str(Path(folder, Path(f).name)) for folder, fs in DATA_FILES for f in fs}
        for file in sorted(stage.rglob("*")):
            part = file.relative_to(stage)
            if file.is_file() and part.parts[0] != "python" and str(part) not in given:
                self.distribution.data_files.append(
                    (str(part.parent), [str(file.relative_to(ROOT))])
                )


class WithMessages(Distribution):
    """A wheel for one platform: generated messages are compiled."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    name=NAME,
    version=from_package_xml("version"),
    description=from_package_xml("description"),
    maintainer=from_package_xml("maintainer"),
    maintainer_email="kdbts-ros@example.com",
    license=from_package_xml("license"),
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["weights/*", "py.typed", "**/*.j2"]},
    data_files=DATA_FILES,
    install_requires=requirements("base.txt"),
    extras_require={
        extra: requirements(f"{extra}.txt") for extra in ("openvino", "train", "viewer")
    },
    entry_points={
        "console_scripts": [
            f"kdbts = {NAME}.cli.start:main",
            f"kdbts_node = {NAME}.node.start:main",
        ]
    },
    cmdclass={"build_py": BuildWithMessages},
    distclass=WithMessages,
    zip_safe=False,
)
