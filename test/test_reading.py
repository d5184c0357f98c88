"""What libraries raise becomes one sentence with the file and the cure; what is ours does not."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from kdbts_ros import reading, yaml_files
from kdbts_ros.errors import UserError

PACKAGE = Path(reading.__file__).parent


def test_every_name_of_a_foreign_exception_is_one() -> None:
    names = {name for listed in reading.FOREIGN.values() for name in listed}
    for name in sorted(names - {"compression.zstd:ZstdError", "zstandard:ZstdError"}):
        module, _, kind = name.partition(":")
        assert issubclass(getattr(importlib.import_module(module), kind), Exception), name


def test_a_foreign_exception_is_a_sentence_with_file_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "a\udcff.txt"
    with pytest.raises(UserError) as told, reading.reading(path, "copy it again", "text"):
        b"\xff".decode("ascii")
    assert str(told.value).startswith(f"{tmp_path}/a\\xff.txt cannot be read ('ascii' codec")
    assert str(told.value).endswith("): copy it again")


def test_a_fault_of_ours_stays_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), reading.reading("x", "y", "text", "numpy"):
        _ = 1 / 0
    with pytest.raises(KeyError), reading.reading("x", "y", "text"):
        _ = {}["missing"]


def test_a_sentence_within_passes_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^as it is$"), reading.reading("x", "y", "rosbags"):
        raise UserError("as it is")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), KeyError("a"), ValueError("a\nb.")]
)
def test_reasons_are_one_line(error: Exception) -> None:
    reason = reading.reason_of(error)
    assert reason and "\n" not in reason and not reason.endswith(".")


def test_sizes_are_known_before_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(11))
    with pytest.raises(UserError, match="larger than 1e-05 MB"):
        reading.read_bounded(path, 10, "take another")
    assert reading.read_bounded(path, 11, "take another") == bytes(11)
    # A device tells no size, and ends never.
    with pytest.raises(UserError, match="larger than"):
        reading.read_bounded(Path("/dev/zero"), 1000, "take another")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100, "nested more than 40 deep"),
        ("\n".join(f"k{k}: v" for k in range(9000)), "more than 10000 values"),
        ("a: &a [1, 2, 3]\nb: [" + "*a, " * 3000 + "]", "more than 10000 values"),
        ("# " + "x" * 300_000, "characters, more than"),
    ],
)
def test_yaml_is_bounded(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        yaml_files.load_yaml(text)


def test_yaml_within_the_bounds_is_read() -> None:
    text = "base: &base {rate: 0.1, steps: [1, 2]}\nown: {<<: *base, rate: 0.2}\n"
    assert yaml_files.load_yaml(text)["own"] == {"rate": 0.2, "steps": [1, 2]}


@pytest.mark.parametrize("text", ["a: " + "9" * 5000, "a: 2001-99-99", "a: [", "\0", "? [1]\n: 2"])
def test_values_that_are_none_are_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=r"x\.yaml is not valid YAML") as told:
        yaml_files.read_yaml(tmp_path / "x.yaml")
    assert "\n" not in str(told.value)


def test_readers_turn_exceptions_in_one_place_only() -> None:
    """`except Exception` and bare `except` are nowhere in what reads files."""
    for folder in ("datasets", "density/checkpoints", "learning/record", "learning/config"):
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            text = file.read_text()
            assert "except Exception" not in text and "except:" not in text, file
