"""Which Fast DDS profile the process ends up with."""

import os
from pathlib import Path

import pytest

pytest.importorskip("ament_index_python")

from kdbts_ros.node import fastdds

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "profile.xml"
    monkeypatch.setattr(fastdds, "profile_file", lambda: path)
    return path


def test_profile_is_named_to_both_generations(profile: Path) -> None:
    fastdds.use_large_messages()
    assert {os.environ[name] for name in VARIABLES} == {str(profile)}


def test_a_profile_of_the_user_stays(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[1], "/own.xml")
    fastdds.use_large_messages()
    assert VARIABLES[0] not in os.environ
    assert os.environ[VARIABLES[1]] == "/own.xml"
