"""Questions asked by a program that is not ours, and the one in C++ that is shown as an example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdbts_ros.cli import main
from kdbts_ros.errors import UserError

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")

from kdbts_ros.replay import query_load
from kdbts_ros.replay.query_load import ASKING, Asking, QueryFigures

main.register()

ROOT = Path(__file__).resolve().parents[2]
FIGURES = QueryFigures(10_000, 12, 11, 1, 3.0, 4.5, 1.5, 2.25, "because")


def program(folder: Path, *lines: str) -> str:
    path = folder / "client"
    path.write_text("\n".join([f"#!{sys.executable}", "import sys", *lines]))
    path.chmod(0o755)
    return str(path)


def test_a_program_of_another_language_may_ask(tmp_path: Path) -> None:
    said = json.dumps(asdict(FIGURES))
    client = program(
        tmp_path,
        f"open({str(tmp_path / 'told')!r}, 'w').write(' '.join(sys.argv[1:]))",
        f"print({ASKING!r}, flush=True)",
        f"print({said!r})",
    )
    with Asking("/kdbts", 2.5, client) as asking:
        assert asking.figures() == FIGURES
    assert (tmp_path / "told").read_text() == "/kdbts 2.5"


def test_a_program_that_says_nothing_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_load, "PATIENCE_SECONDS", 0.5)
    for words in ((), (f"print({ASKING!r}, flush=True)",), ("sys.stdout.write('a')",)):
        client = program(tmp_path, *words, "sys.stdout.flush()", "import time; time.sleep(60)")
        with Asking("/kdbts", 0.1, client) as asking, pytest.raises(UserError, match="no figures"):
            asking.figures()


@pytest.mark.parametrize(
    "lines", [(), (f"print({ASKING!r})",), (f"print({ASKING!r})", "print('[1]')"), ("print(1)",)]
)
def test_a_program_that_says_something_else_is_named(
    lines: tuple[str, ...], tmp_path: Path
) -> None:
    client = program(tmp_path, *lines)
    with Asking("/kdbts", 1.0, client) as asking, pytest.raises(UserError, match="no figures"):
        asking.figures()


def test_what_is_no_program_is_refused_before_anything_starts(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("text")
    for path in (plain, tmp_path, tmp_path / "absent"):
        found = CliRunner().invoke(main.app, ["benchmark", "--client", str(path)])
        assert "is no program that can be started" in str(found.exception)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_example_in_cpp_fits_the_messages_and_rcl() -> None:
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    folders = [str(folder) for prefix in prefixes for folder in (prefix / "include").glob("*")]
    if not any((Path(folder) / "rcl" / "rcl.h").exists() for folder in folders):
        pytest.skip("needs the headers of rcl")
    words = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    words += [word for folder in folders for word in ("-isystem", folder)]
    found = subprocess.run(
        [*words, str(ROOT / "examples" / "query_load.cpp")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
