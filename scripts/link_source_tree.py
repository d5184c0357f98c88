"""Let the running virtual environment use this source tree: modules, messages, share folder.

Python files, configuration and launch files may be edited without installing again.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARE = Path(sys.prefix, "share", "kdbts_ros")


def link(target: Path, at: Path) -> None:
    """Make `at` a symbolic link to `target`."""
    at.parent.mkdir(parents=True, exist_ok=True)
    if at.is_symlink() or at.exists():
        at.unlink()
    at.symlink_to(target)


def link_files(folder: Path, at: Path) -> None:
    """Make `at` a folder whose files are links to those of `folder`, and hold nothing else.

    A link to the folder would not do: `ros2 launch` looks for files without following such links.
    """
    if at.is_symlink():
        at.unlink()
    elif at.is_dir():
        shutil.rmtree(at)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            link(file, at / file.relative_to(folder))


def main() -> None:
    """Write the path file and the links."""
    # The source tree goes first: its `kdbts_ros/__init__.py` finds the generated messages, the
    # generated one would not find the source.
    paths = (ROOT, SHARE / "python")
    path_file = Path(sysconfig.get_path("purelib"), "kdbts_ros_source.pth")
    path_file.write_text("".join(f"{path}\n" for path in paths))
    for folder in ("config", "launch"):
        link_files(ROOT / folder, SHARE / folder)
    for program in ("kdbts", "kdbts_node"):
        link(ROOT / "scripts" / program, Path(sys.prefix, "lib/kdbts_ros", program))


if __name__ == "__main__":
    main()
