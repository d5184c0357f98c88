"""What the doctor finds on the machine itself, with and without ROS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kdbts_ros.cli.main import run
from kdbts_ros.doctor.machine import (
    _SHARED,
    _SOCKET,
    IMAGES_BYTES,
    _room_for_images,
    has_ros,
    look_at_machine,
)


def steps(checkpoint: str = "kdbts", missing: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    def find(module: str) -> object:
        if module.split(".")[0] in missing:
            raise ModuleNotFoundError(module)
        return None if module in missing else module

    return {f.step: (f.level, f.sentence) for f in look_at_machine(checkpoint, find)}


def test_what_is_there_is_told_in_order() -> None:
    found = look_at_machine("kdbts", lambda module: module)
    # Not every system tells what it keeps for images.
    room = ["room for images"] * (_SOCKET.exists() and _SHARED.exists())
    names = ["machine", "ROS 2", "messages", *room, "weights", "GPU", "compiled loops"]
    assert [finding.step for finding in found] == names
    assert has_ros(found)
    assert steps()["weights"][0] == "good"


def test_without_ros_the_graph_is_left_alone() -> None:
    def find(module: str) -> object:
        return None

    found = look_at_machine("kdbts", find)
    assert not has_ros(found)
    (ros,) = [finding for finding in found if finding.step == "ROS 2"]
    assert ros.level == "bad" and "source a ROS 2 installation" in ros.sentence
    assert all(finding.step != "messages" for finding in found)


def test_messages_that_are_not_built_are_named() -> None:
    level, sentence = steps(missing=("tf2_msgs",))["messages"]
    assert level == "bad" and sentence.startswith("tf2_msgs cannot be imported: build")


def test_weights_that_are_not_there_are_named_with_a_guess() -> None:
    level, sentence = steps("mvbts_fin")["weights"]
    assert level == "bad" and "did you mean 'mvbts_fine'?" in sentence


def test_the_command_says_it_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    out = tmp_path / "found.json"
    words = ["kdbts", "doctor", "--machine-only", "-c", "nothing", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 1
    assert "what keeps a map from coming, weights" in capfd.readouterr().out
    found = json.loads(out.read_text())
    assert found["map_can_come"] is False
    assert {"step", "level", "sentence"} == set(found["findings"][0])


@pytest.mark.parametrize(
    ("free", "kept", "level", "told", "cure"),
    [
        (2**30, IMAGES_BYTES, "good", "in shared memory", False),
        (2**30, 212_992, "note", "other machines: a socket keeps 213 kB", True),
        (65_536, 212_992, "note", "has 66 kB left", True),
        (65_536, IMAGES_BYTES, "note", "has 66 kB left", False),
    ],
)
def test_where_images_are_lost_is_told_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    free: int, kept: int, level: str, told: str, cure: bool,
) -> None:  # fmt: skip
    class Room:
        f_bavail, f_frsize = free // 4096, 4096

    monkeypatch.setattr("os.statvfs", lambda path: Room)
    socket = tmp_path / "rmem_max"
    socket.write_text(f"{kept}\n")
    (found,) = _room_for_images(tmp_path, socket)
    assert found.level == level and told in found.sentence
    assert (f"net.core.rmem_max={IMAGES_BYTES}" in found.sentence) == cure


def test_a_system_that_does_not_tell_of_room_is_not_guessed_at(tmp_path: Path) -> None:
    assert _room_for_images(tmp_path, tmp_path / "none") == []
