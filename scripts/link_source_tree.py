"""Let the running virtual environment use this source tree: modules, messages, share folder.

Python files, configuration and launch files may be edited without installing again.
"""

from __future__ import annotations

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


def main() -> None:
    """Write the path file and the links."""
    # The source tree goes first: its `kdbts_ros/__init__.py` finds the generated messages, the
    # generated one would not find the source.
    paths = (ROOT, SHARE / "python")
    path_file = Path(sysconfig.get_path("purelib"), "kdbts_ros_source.pth")
    path_file.write_text("".join(f"{path}\n" for path in paths))
    for folder in ("config", "launch"):
        link(ROOT / folder, SHARE / folder)
    link(ROOT / "scripts/kdbts_node", Path(sys.prefix, "lib/kdbts_ros/kdbts_node"))


if __name__ == "__main__":
    main()
