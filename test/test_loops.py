"""Where compiled loops are kept, by whom they are trusted, and who hears of compiling."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from numba.core import config

from kdbts_ros import loops

LOOPED = """
from kdbts_ros.loops import njit

@njit(cache=True)
def add(a, b):
    return a + b

@njit(inline="always")
def twice(a):
    return 2 * a

@njit(cache=True)
def thrice(a):
    return twice(a) + a
"""
PROGRAM = """
from kdbts_ros import loops, looped
compiled = []
with loops.told_of_each(compiled.append):
    print(looped.add(1, 2), looped.thrice(3), sorted(compiled))
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Path]:
    """A package without write permission, and beside it an empty folder for temporary files."""
    top = tmp_path / "top"
    package = top / "lib" / "kdbts_ros"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "looped.py").write_text(LOOPED)
    shutil.copy(str(loops.__file__), package)
    temporary = top / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    for folder in (package, top / "lib", top):
        folder.chmod(0o555)
    yield top
    for folder in (top, top / "lib", package):
        folder.chmod(0o755)


def run_without_home(installation: Path) -> subprocess.CompletedProcess[str]:
    """The program as a user whom permissions bind, and whose home cannot be written to."""
    environment = {
        "PYTHONPATH": str(installation / "lib"),
        "TMPDIR": str(installation / "tmp"),
        "XDG_CACHE_HOME": "/proc/no/home",
    }
    return subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=installation,
        env=environment,
        preexec_fn=_be_bound_by_permissions,
        timeout=240,
        check=False,
    )


def _be_bound_by_permissions() -> None:
    """Even root: the program that is started next may not write where the bits say so."""
    if os.getuid() == 0:
        drop_from_bounding_set, override_permissions = 24, 1
        ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions, 0, 0, 0)


def test_a_read_only_installation_keeps_loops_among_temporary_files(installation: Path) -> None:
    first = run_without_home(installation)
    assert first.returncode == 0, first.stderr
    assert first.stdout == "3 9 ['add', 'thrice']\n"
    (sentence,) = first.stderr.splitlines()
    folder = installation / "tmp" / f"kdbts-loops-{os.getuid()}"
    assert sentence.startswith("kdbts: compiled loops can be kept neither beside the installation")
    assert f"they are kept in {folder}, which a restart of the machine may empty" in sentence
    assert folder.stat().st_mode & 0o777 == 0o700
    again = run_without_home(installation)
    assert again.stdout == "3 9 []\n", "nothing was compiled twice"


PAIRS = """
from typing import NamedTuple

class Pair(NamedTuple):
    a: int
    b: int
"""
TYPED = """
from kdbts_ros.loops import njit
from kdbts_ros.pairs import Pair

@njit(cache=True)
def total(pair):
    return pair.a + pair.b
"""
SUM = """
from kdbts_ros import loops, typed
compiled = []
with loops.told_of_each(compiled.append):
    print(typed.total(typed.Pair(1, 2)), compiled)
"""


def run_typed(package: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-c", SUM],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(package.parent), "HOME": str(package.parent)},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """A package whose loop was kept while its type still lived in another module."""
    package = tmp_path / "kdbts_ros"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(str(loops.__file__), package)
    (package / "pairs.py").write_text(PAIRS)
    (package / "typed.py").write_text(TYPED)
    assert run_typed(package) == "3 ['total']\n"
    assert run_typed(package) == "3 []\n"
    return package


def test_loops_kept_of_types_that_have_moved_are_compiled_again(upgraded: Path) -> None:
    (upgraded / "pairs.py").rename(upgraded / "couples.py")
    (upgraded / "typed.py").write_text(TYPED.replace("pairs", "couples"))
    assert run_typed(upgraded) == "3 ['total']\n"
    assert run_typed(upgraded) == "3 []\n"


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_kept_loop_that_was_cut_short_is_compiled_again(upgraded: Path, kind: str) -> None:
    (kept,) = upgraded.rglob(f"*.{kind}")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert run_typed(upgraded) == "3 ['total']\n"
    assert run_typed(upgraded) == "3 []\n"


def test_a_folder_that_another_user_made_is_never_trusted(installation: Path) -> None:
    planted = installation / "tmp" / f"kdbts-loops-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    done = run_without_home(installation)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 9 ['add', 'thrice']\n"
    (sentence,) = done.stderr.splitlines()
    assert "they are kept nowhere, and every start takes up to 3 minutes" in sentence
    assert list(planted.iterdir()) == []


def test_the_private_folder_is_made_once_and_closed(tmp_path: Path) -> None:
    folder = loops.private_folder(tmp_path)
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert loops.private_folder(tmp_path) == folder
    folder.chmod(0o770)
    assert loops.private_folder(tmp_path) is None, "others could have written to it"
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    folder.symlink_to(elsewhere)
    assert loops.private_folder(tmp_path) is None
    folder.unlink()
    folder.touch(0o600)
    assert loops.private_folder(tmp_path) is None


def test_a_parent_where_others_may_rename_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert loops.private_folder(tmp_path) is None
    tmp_path.chmod(0o1777)
    assert loops.private_folder(tmp_path) is not None


def test_another_user_s_folder_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.getuid() + 1
    (tmp_path / f"kdbts-loops-{other}").mkdir(0o700)
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert loops.private_folder(tmp_path) is None


def test_a_user_without_a_home_does_not_get_a_folder_called_tilde(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """numba would keep its files in "~" of the working folder, whoever can write there."""

    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert not loops._home_is_missing()
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert loops._home_is_missing()
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/somebody")
    assert not loops._home_is_missing()


def test_compiling_is_told_once_and_only_where_it_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    @loops.njit(cache=True)
    def one(a):  # type: ignore[no-untyped-def]
        return a + 1

    @loops.njit(cache=True)
    def two(a):  # type: ignore[no-untyped-def]
        return a + 2

    told: list[str] = []
    with loops.told_when_compiling(lambda: told.append("compiling")):
        assert told == []
        assert (one(1), two(1), one(2)) == (2, 3, 3)
    assert told == ["compiling"]
    with loops.told_when_compiling(lambda: told.append("again")):
        one(3)
    one(3.5)
    assert told == ["compiling"], "nothing was compiled inside, and nobody listens outside"
