"""Shipped weights are held to the SHA-256 that was shipped with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kdbts_ros.density.checkpoints import checkpoint
from kdbts_ros.density.checkpoints.checkpoint import WEIGHTS_FOLDER, load_network, sha256
from kdbts_ros.density.checkpoints.weight_files import MANIFEST
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from test.density.networks import thin_spec


def listed() -> dict[str, str]:
    lines = (WEIGHTS_FOLDER / MANIFEST).read_text().splitlines()
    return {name: known for known, name in (line.split("  ") for line in lines)}


def test_the_list_is_that_of_the_files() -> None:
    assert listed() == {p.name: sha256(p) for p in WEIGHTS_FOLDER.glob("*.safetensors")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with one shipped file."""
    network = DensityNetwork(thin_spec())
    file = checkpoint.save_network(tmp_path / "small.safetensors", network, {})
    (tmp_path / MANIFEST).write_text(f"{sha256(file)}  small.safetensors\n")
    monkeypatch.setattr(checkpoint, "WEIGHTS_FOLDER", tmp_path)
    return tmp_path


def test_what_was_shipped_is_loaded(folder: Path) -> None:
    assert load_network("small")[1].sha256 == sha256(folder / "small.safetensors")


def test_another_file_in_its_place_is_refused(folder: Path) -> None:
    checkpoint.save_network(folder / "small.safetensors", DensityNetwork(thin_spec()), {"a": "b"})
    for name in ("small", folder / "small.safetensors"):
        with pytest.raises(UserError, match="is not the file that was shipped: its SHA-256 is"):
            load_network(name)


def test_without_the_list_nothing_of_the_folder_is_loaded(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(UserError, match=f"{MANIFEST} cannot be read"):
        load_network("small")


def test_files_of_elsewhere_are_not_listed(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere.safetensors"
    shutil.copy(folder / "small.safetensors", elsewhere)
    (folder / MANIFEST).write_text("")
    assert load_network(elsewhere)[1].notes == {}
    elsewhere.unlink()
