"""Every command that writes: what cannot be written is one sentence, before the work begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from kdbts_ros.cli import main
from kdbts_ros.cli.main import app, run
from kdbts_ros.errors import UserError
from kdbts_ros.files import check_writable_file, check_writable_folder, writing

# Of every command: its words, which need not name anything that is there, and what it writes.
WRITES = {
    "predict": (["x.png"], {"--out": "folder", "--json": "file"}),
    "evaluate depth": ([], {"--json": "file", "--report": "folder"}),
    "evaluate occupancy": ([], {"--json": "file", "--report": "folder"}),
    "evaluate cameras": ([], {"--json": "file", "--report": "folder"}),
    "evaluate drive": ([], {"--json": "file", "--report": "folder"}),
    "evaluate slopes": ([], {"--json": "file", "--report": "folder"}),
    "figures density": (["worlds"], {"--out": "folder"}),
    "figures depth": (["worlds"], {"--out": "folder"}),
    "calibrate": (["bts"], {"--out": "file", "--json": "file"}),
    "train-map": (["bts"], {"--out": "file", "--json": "file", "--work": "folder"}),
    "quantise": (["bts"], {"--out": "file"}),
    "train": (["x.yaml"], {"--out": "file", "--json": "file"}),
    "distill": (["x.yaml"], {"--out": "file", "--json": "file"}),
    "adapt": (["bag"], {"--out": "file", "--json": "file"}),
    "bag": (["kitti-raw", "x"], {"OUT": "folder", "--json": "file"}),
    "convert": (["x.pt"], {"OUT": "file", "--json": "file"}),
    "info": (["bts"], {"--json": "file"}),
    "doctor": ([], {"--json": "file"}),
    "view": (["bag"], {"--out": "file"}),
    "warm-up": ([], {"--json": "file"}),
    "checkpoint merge": (["bts", "mvbts"], {"--out": "file"}),
    "checkpoint fuse": (["bts"], {"--out": "file"}),
    "benchmark": ([], {"--json": "file", "--markdown": "file"}),
    "demo": ([], {"--out": "folder"}),
    "soak": ([], {"--out": "folder"}),
}
# What takes a path to read it.
READS = {
    *("source", "sources", "root", "bags", "bag", "folder", "file", "config", "original"),
    *("kitti", "orbslam", "images", "client"),
}


@pytest.fixture(autouse=True)
def registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are attached again with every run would pile up."""
    # A run of one command attaches that one alone.
    if "warm-up" not in {command.name for command in app.registered_commands}:
        main.register()
    monkeypatch.setattr(main, "register", lambda word: None)


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    groups = [("", app), *((f"{g.name} ", g.typer_instance) for g in app.registered_groups)]
    for prefix, group in groups:
        assert group is not None
        for info in group.registered_commands:
            assert info.callback is not None
            yield prefix + (info.name or info.callback.__name__.replace("_", "-")), info.callback


def test_the_table_names_every_command_that_writes() -> None:
    """A path that a command takes is read, or stands in the table."""
    for name, command in commands():
        written = {key.lstrip("-").lower() for key in WRITES.get(name, ([], {}))[1]}
        hints = get_type_hints(command)
        paths = {parameter for parameter, hint in hints.items() if "Path" in str(hint)}
        assert paths - written <= READS, name
        assert written <= paths, name
    assert WRITES.keys() <= {name for name, _ in commands()}


@pytest.mark.parametrize("in_the_way", ["beneath a file", "another kind"])
@pytest.mark.parametrize(
    ("name", "option"), [(name, o) for name, (_, outputs) in WRITES.items() for o in outputs]
)
def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    option: str,
    in_the_way: str,
) -> None:
    words, outputs = WRITES[name]
    (tmp_path / "there").write_text("mine")
    place = tmp_path / "there" / "out.safetensors"
    if in_the_way == "another kind":
        place = tmp_path / "there"
        if outputs[option] == "file":
            place = tmp_path / "folder.safetensors"
            place.mkdir()
    others = {o: str(tmp_path / f"fine_{o}.safetensors") for o in outputs if o != option}
    required = {o: v for o, v in others.items() if o == "--out"}
    words = [*words, *(v for o, v in others.items() if o.isupper())]
    arguments = [*words, *([str(place)] if option.isupper() else [option, str(place)])]
    arguments += [part for pair in required.items() for part in pair]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kdbts", *name.split(), *arguments])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith(f"kdbts: cannot write {place}: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("1")
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        check_writable_folder(tmp_path / "new" / "folder")
    with pytest.raises(UserError, match="Permission denied"):
        check_writable_file(tmp_path / "new.json")


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    check_writable_file(tmp_path / "old.json")
    check_writable_file(tmp_path / "a" / "b" / "new.json")
    check_writable_folder(tmp_path / "a" / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    words = r"cannot write .*out: No space left on device"
    with pytest.raises(UserError, match=words), writing(tmp_path / "out"):
        refuse()
