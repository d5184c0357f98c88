"""A node where much is missing that a desktop has: it gives maps all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kdbts_ros.density.checkpoints.checkpoint import save_network
from test.density.networks import tiny_network
from test.ros.robot import ROOT

NOBODY = 65534
# With root's group one may read what others may not.
NO_RIGHTS: dict[str, object] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
# What containers and services leave of an environment; ASCII is all that is printed then.
KEPT = ("PATH", "AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS")
RECEIVE_MOST = Path("/proc/sys/net/core/rmem_max")
TINY_SHM = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'


def soaked(folder: Path, before: list[str], seconds: int, **options: object) -> dict[str, object]:
    """Figures of a node and a robot that were started by the words `before`."""
    weights = save_network(folder / "tiny.safetensors", tiny_network(), {})
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), environment.get("PYTHONPATH")])
    )
    words = ["soak", "--minutes", "0.1", "--rate", "5", "--cameras", "1", "-c", weights]
    out = folder / "out"
    folder.chmod(0o777)
    done = subprocess.run(
        [*before, sys.executable, "-m", "kdbts_ros.cli.start", *words, "--out", out],
        cwd=folder,
        env=environment | {"LANG": "C", "LC_ALL": "C", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Traceback" not in said, said
    log = (out / "node.log").read_text()
    assert "Traceback" not in log, log
    return dict(json.loads((out / "soak.json").read_text()))


def tiny_shm() -> list[str]:
    """Words that start a program with a /dev/shm of 64 kB, that holds no image."""
    unshare = shutil.which("unshare")
    words = [str(unshare), "--mount", "sh", "-c", TINY_SHM, "sh"]
    if unshare is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    return words


def test_no_home_no_locale_and_a_tiny_shared_memory(tmp_path: Path) -> None:
    """Images of .4 MB go over UDP then, in parts that a socket has to keep."""
    words = tiny_shm()
    if int(RECEIVE_MOST.read_text()) < 2_000_000:
        pytest.skip(f"this kernel keeps too little of an image for a socket ({RECEIVE_MOST})")
    figures = soaked(tmp_path, words, 280)
    assert figures["maps_out"] and figures["open"] == 0
    assert figures["lost_before_the_node"] == 0


@pytest.mark.nightly
def test_a_user_who_can_write_nowhere(tmp_path: Path) -> None:
    """Loops are compiled anew: what another user has kept is not trusted."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    for folder in tmp_path.parents:
        if not folder.stat().st_mode & 0o005 and len(folder.parts) > 1:
            folder.chmod(folder.stat().st_mode | 0o055)
    reads = [sys.executable, "-c", "import kdbts_ros, rclpy"]
    try:
        subprocess.run(reads, cwd=ROOT, check=True, **NO_RIGHTS)  # type: ignore[call-overload]
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("this user cannot read the installation")
    figures = soaked(tmp_path, [], 1500, **NO_RIGHTS)
    assert figures["maps_out"] and figures["open"] == 0
