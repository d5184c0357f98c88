"""An adaptation goes on only with what it began with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kdbts_ros.adaptation import run
from kdbts_ros.adaptation.origin import fingerprint, origin_of
from kdbts_ros.adaptation.run import Request, _saved
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.errors import UserError
from kdbts_ros.learning.record.state_file import StateFile
from kdbts_ros.learning.run.resuming import Identity, written
from test.adaptation.conftest import record
from test.density.networks import thin_spec

INFO = CheckpointInfo("kdbts", thin_spec(), "a" * 64)


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(tmp_path / "mine.safetensors", "kdbts", AdaptSettings(), resume=True)


def resumed(request: Request, began: Identity, goes_on: Identity) -> list[str]:
    """What is said on resuming a state that `began` so."""
    state = StateFile(request.folder / "state.pt")
    state.save({"made_from": written(began)})
    said: list[str] = []
    _saved(state, goes_on, request, said.append)
    return said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": 2e-4}, r"rate was 0\.0003 and is 0\.0002"),
        ({"held_out": 0.2, "seed": 3}, r"held_out was 0\.15 and is 0\.2; seed was 0 and is 3"),
        ({"worlds": 0}, "worlds was 2 and is 0"),
    ],
)
def test_other_settings_are_named(request_: Request, change: dict[str, float], words: str) -> None:
    began = origin_of(request_.settings, INFO, [])
    goes_on = origin_of(replace(request_.settings, **change), INFO, [])
    with pytest.raises(UserError, match=words) as refused:
        resumed(request_, began, goes_on)
    assert "to start anew, remove" in str(refused.value)


def test_more_minutes_are_no_other_adaptation(request_: Request) -> None:
    longer = replace(request_.settings, minutes=90.0, look_seconds=7.0)
    assert not resumed(
        request_, origin_of(request_.settings, INFO, []), origin_of(longer, INFO, [])
    )


def test_other_weights_under_the_same_name_are_another_adaptation(request_: Request) -> None:
    began = origin_of(request_.settings, INFO, [])
    other = origin_of(request_.settings, replace(INFO, sha256="b" * 64), [])
    with pytest.raises(UserError, match=r"checkpoint was the head bts of sha256 aaaa.* is .* bbbb"):
        resumed(request_, began, other)


def test_recordings_are_told_by_what_they_hold(
    tmp_path: Path, request_: Request, room_bag: Path
) -> None:
    """A moved one is the same; another, more, or the same by other cameras are not."""
    began = origin_of(request_.settings, INFO, [BagDrive(room_bag)])
    moved = shutil.copytree(room_bag, tmp_path / "elsewhere" / "room")
    assert fingerprint(moved) == fingerprint(room_bag)
    assert not resumed(request_, began, origin_of(request_.settings, INFO, [BagDrive(moved)]))
    other = record(tmp_path / "other" / "room", frames=8, cameras=2)
    two, one = BagDrive(other), BagDrive(other, cameras=["left"])
    with pytest.raises(UserError, match=rf"recording 1 was files .* \({room_bag}\) and is files"):
        resumed(request_, began, origin_of(request_.settings, INFO, [two]))
    with pytest.raises(UserError, match="recording 2 was not there and is files"):
        resumed(request_, began, origin_of(request_.settings, INFO, [BagDrive(room_bag), one]))
    with pytest.raises(UserError, match="cameras of recording 1 was left, right and is left"):
        resumed(
            request_,
            origin_of(request_.settings, INFO, [two]),
            origin_of(request_.settings, INFO, [one]),
        )


def test_a_state_that_does_not_say_is_taken_on_trust_and_said_to_be(request_: Request) -> None:
    state = StateFile(request_.folder / "state.pt")
    state.save({"settings": "{}"})
    said: list[str] = []
    run._saved(state, origin_of(request_.settings, INFO, []), request_, said.append)
    assert len(said) == 1 and "taken on trust" in said[0]
