"""Every reader on damaged files: a result that passes its checks, or one sentence.

`make fuzz` feeds ten thousand to each; here a few, and all that ever fell.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdbts_ros.errors import UserError
from test.fuzz.found import FOUND
from test.fuzz.mutation import mutated
from test.fuzz.run import MOST_MB, main, run
from test.fuzz.targets import Target, all_targets

CASES = int(os.environ.get("KDBTS_FUZZ_CASES", "25"))
TARGETS = all_targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_files_end_in_a_sentence(target: Target, tmp_path: Path) -> None:
    account = run(target, [*FOUND.get(target.name, ()), *range(CASES)], tmp_path)
    assert not account.failures, account.told()
    assert account.grown_mb < MOST_MB, account.told()
    assert account.refused + account.taken >= CASES


def test_what_fell_belongs_to_a_target() -> None:
    assert set(FOUND) <= {target.name for target in TARGETS}


def test_damage_is_known_by_its_number() -> None:
    data = b"width: 640\nheight: 192\n" * 4
    assert mutated(data, 7) == mutated(data, 7)
    assert len({mutated(data, seed) for seed in range(100)}) > 80


def test_a_reader_that_lets_others_speak_is_found_out(tmp_path: Path) -> None:
    """The harness itself: what is no UserError, hangs on, or takes a number that is none, fails."""

    def make(folder: Path) -> list[Path]:
        (folder / "x").write_bytes(b"1.5 2.5 3.5\n" * 20)
        return [folder / "x"]

    def careless(_: Path, damaged: Path) -> object:
        return [float(word) for word in damaged.read_bytes().split()]

    def careful(_: Path, damaged: Path) -> object:
        try:
            return careless(_, damaged)
        except ValueError as error:
            raise UserError(f"no numbers: {type(error).__name__}") from None

    assert set(run(Target("careless", make, careless), range(50), tmp_path).failures.values())
    assert not run(Target("careful", make, careful), range(50), tmp_path).failures


def test_the_command_of_make_fuzz_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(5, ["splits"]) == 0
    assert capsys.readouterr().out.startswith("splits: 5 cases")
