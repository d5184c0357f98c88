"""A hundred lives of one node with the shipped weights: nothing is left of any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition

from kdbts_ros.cli.soak import usage_of
from test.ros.robot import SECOND, NodeProcess, Robot

CYCLES, FIRST = 100, 20
# Arenas of the allocator breathe by some megabytes; a leaked pipeline has two hundred.
MOST_GROWTH_MB, MOST_NEW_FILES = 40.0, 2
LIFE = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DEATH = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_a_hundred_lives_leave_nothing(
    start: Callable[..., NodeProcess], robot: Robot, tmp_path: Path
) -> None:
    node = start(autostart="false", checkpoint="mvbts", device="cpu", resolution=0.5)
    memory, files = [], []
    for life in range(CYCLES):
        for transition in LIFE:
            assert robot.change_state(transition), node.text()[-2000:]
        robot.wait_until_connected()
        for image in (1, 2):
            robot.step((1000 + 10 * life + image) * SECOND)
        for transition in DEATH:
            assert robot.change_state(transition), node.text()[-2000:]
        usage = usage_of(node.process.pid)
        assert usage is not None
        memory.append(usage.resident_mb)
        files.append(usage.files)
        with (tmp_path / "usage.txt").open("a") as log:
            log.write(f"{life} {usage.resident_mb:.1f} MB {usage.files} files\n")
    assert "Traceback" not in node.text()
    tenth = CYCLES // 10
    early = np.median(memory[FIRST : FIRST + tenth])
    assert np.median(memory[-tenth:]) - early < MOST_GROWTH_MB, memory
    assert np.median(files[-tenth:]) - np.median(files[FIRST : FIRST + tenth]) <= MOST_NEW_FILES
    assert node.stop() == 0
