"""Files that are no weights of ours: told by what they are, before their size is allocated."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints import checkpoint, original_keys, weight_files
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network, write_annotated
from kdbts_ros.density.maps.probability import read_note
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from test.density.checkpoints.test_checkpoint import original_state
from test.density.networks import thin_spec, tiny_network

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 26214400\n"
PAGE = "\n <!DOCTYPE html><html><title>Virus scan warning</title></html>"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = DensityNetwork(thin_spec())
    return save_network(tmp_path_factory.mktemp("w") / "sound.safetensors", network, {"a": "b"})


def described(sound: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with another header and the same bytes of weights."""
    content = sound.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    out.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    return out


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "pointer of git-lfs.*git lfs pull"),
        (PAGE, "is a web page, not weights.*open it in a browser"),
        ("", "is an empty file"),
        ("\x1f\x00", "checkpoint|safetensors|tensors"),
    ],
)
def test_what_is_no_file_of_weights_is_told_by_what_it_is(
    tmp_path: Path, suffix: str, content: str, words: str
) -> None:
    path = tmp_path / f"file.{suffix}"
    path.write_text(content)
    with pytest.raises(UserError, match=words) as refused:
        load_network(path)
    assert path.name in str(refused.value) and "\n" not in str(refused.value)


def test_archives_are_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "kdbts.zip", "w") as archive:
        archive.writestr("kitti_raw/training_checkpoint.pt", "x")
    (tmp_path / "kdbts.pt.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(40))
    torch.save({"model": {"a": torch.zeros(2)}}, tmp_path / "sound.pt")
    with (
        zipfile.ZipFile(tmp_path / "sound.pt") as read,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in read.namelist():
            packed.writestr(entry, read.read(entry))
    for name, words in (
        ("kdbts.zip", "unpack it"),
        ("kdbts.pt.gz", "unpack it"),
        ("packed.pt", "compressed inside"),
    ):
        with pytest.raises(UserError, match=words):
            load_network(tmp_path / name)


@pytest.mark.parametrize("wrapper", weight_files.WRAPPERS)
def test_weights_are_found_in_what_trainers_wrap_around_them(tmp_path: Path, wrapper: str) -> None:
    state = {f"model.module.renderer.{k}": torch.full((2,), float(k)) for k in range(3)}
    path = tmp_path / "lightning.ckpt"
    torch.save({"epoch": 3, "optimizer": {}, wrapper: {"state_dict": state}}, path)
    found = original_keys.strip_wrappers(weight_files.read_torch(path))
    assert {key: float(value[0]) for key, value in found.items()} == {
        "renderer.0": 0,
        "renderer.1": 1,
        "renderer.2": 2,
    }


def test_a_file_without_weights_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"generator": {"a": torch.zeros(2)}, "step": 3}, tmp_path / "gan.pt")
    with pytest.raises(UserError, match=r"holds no state dict.*it has 'generator', 'step'"):
        load_network(tmp_path / "gan.pt")
    torch.save({"state_dict": {"renderer.net.x": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: the checkpoint holds no supported head"):
        load_network(tmp_path / "other.pt")


def test_a_foreign_class_is_refused_with_a_way_out(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.zeros(2)}, "path": Path("/x")}, tmp_path / "posix.pt")
    with pytest.raises(UserError, match=r"Path.*save the weights alone"):
        load_network(tmp_path / "posix.pt")


def test_the_suffix_does_not_matter(tmp_path: Path, sound: Path) -> None:
    renamed = tmp_path / "ours.pt"
    renamed.write_bytes(sound.read_bytes())
    assert load_network(renamed)[1].notes == {"a": "b"}
    torch.save(original_state(tiny_network(), "bts"), tmp_path / "theirs.safetensors")
    assert load_network(tmp_path / "theirs.safetensors")[1].spec.head == "bts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature_channels", 10**12),
        ("decoder_channels", [8, 8, 8, 16, 10**9]),
        ("head_widths", [4096]),
        ("feature_channels", 4096),
        ("image_width", 32 * 10**8),
        ("image_height", "64"),
        ("head_widths", [8.0]),
        ("head_widths", [True]),
        ("head_widths", 8),
        ("student_widths", None),
        ("depth_far", None),
        ("depth_far", float("inf")),
        ("layers", [50]),
        ("head", {}),
        ("brand_new", 1),
    ],
)
def test_a_description_that_asks_for_too_much_is_refused_before_anything_is_built(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    def change(header: dict[str, Any]) -> None:
        spec = {**json.loads(header["__metadata__"]["spec"]), name: value}
        header["__metadata__"]["spec"] = json.dumps(spec)

    def read(*arguments: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(checkpoint, "read_safetensors", read)
    path = described(sound, tmp_path / "odd.safetensors", change)
    with pytest.raises(UserError) as refused:
        load_network(path)
    assert "\n" not in str(refused.value)


def test_a_pickle_that_claims_any_size_is_refused(tmp_path: Path) -> None:
    """Of a hundred bytes on the disk a view may make any number: it is not to be copied."""
    state = original_state(tiny_network(), "bts")
    name = "renderer.net.mlp_coarse.lin_in.weight"
    torch.save({**state, name: torch.zeros(1).expand(4000, 10**9)}, tmp_path / "view.pt")
    with pytest.raises(UserError, match="not stored in full"):
        load_network(tmp_path / "view.pt")


def test_a_file_that_was_cut_says_so(tmp_path: Path, sound: Path) -> None:
    content = sound.read_bytes()
    for length in (3, 20, len(content) - 5):
        (tmp_path / "cut.safetensors").write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut short|readable safetensors"):
            load_network(tmp_path / "cut.safetensors")
    torch.save(original_state(tiny_network(), "bts"), tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    for length in (30, len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(UserError, match="cut"):
            load_network(tmp_path / "cut.pt")


def test_weights_have_any_name_that_a_disk_holds(tmp_path: Path, sound: Path) -> None:
    folder = tmp_path / os.fsdecode(b"stra\xdfe")
    folder.mkdir()
    copy = write_annotated(sound, folder / "ours.safetensors", {"c": "d"})
    assert load_network(copy)[1].notes == {"a": "b", "c": "d"}
    with (folder / "theirs.pt").open("wb") as file:
        torch.save({"model": {"a": torch.zeros(2)}}, file)
    assert weight_files.read_torch(folder / "theirs.pt").keys() == {"a"}
    (folder / "empty.pt").touch()
    with pytest.raises(UserError, match=r"stra\\xdfe/empty\.pt is an empty file"):
        load_network(folder / "empty.pt")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("notes", ["[]", "null", "7", '"text"', DEEP, "{", "NaN"])
def test_notes_that_are_no_dictionary_are_refused(tmp_path: Path, sound: Path, notes: str) -> None:
    path = described(
        sound,
        tmp_path / "notes.safetensors",
        lambda header: header["__metadata__"].update(notes=notes),
    )
    for use in (load_network, lambda p: write_annotated(p, tmp_path / "out.safetensors", {})):
        with pytest.raises(UserError, match="damaged description"):
            use(path)


@pytest.mark.parametrize(
    "text",
    [
        *('{"kdbts": 3}', "[1]", "7", '{"kdbts": {"observed": null}}', '{"a":' + DEEP + "}"),
        '{"kdbts": {"observed": null, "completed": null, "occupied_from": 1' + "0" * 400 + "}}",
        '{"kdbts": {"observed": [], "completed": {}, "occupied_from": {}}}',
    ],
)
def test_notes_that_are_damaged_within_get_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="calibration cannot be read"):
        read_note(text)
    if text.startswith("{"):
        with pytest.raises(UserError, match="'camera' is damaged"):
            TrainingCamera.from_notes({"camera": text})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_SPEC = asdict(thin_spec())
FUZZ = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refused_or_loaded(path: Path) -> None:
    """Whatever is in a file: weights, or one sentence, and never another exception."""
    said = "one line"
    try:
        load_network(path)
    except UserError as error:
        said = str(error)
    assert "\n" not in said


@FUZZ
@given(
    start=st.binary(max_size=16) | st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(8, "little")),
    rest=st.binary(max_size=64) | JSON.map(lambda j: json.dumps(j).encode()),
    suffix=st.sampled_from(["pt", "safetensors", "ckpt"]),
)
def test_any_bytes_are_weights_or_one_sentence(
    tmp_path: Path, start: bytes, rest: bytes, suffix: str
) -> None:
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(start + rest)
    refused_or_loaded(path)
    path.write_bytes(len(rest).to_bytes(8, "little") + rest + start)
    refused_or_loaded(path)


@FUZZ
@given(
    spec=st.dictionaries(st.sampled_from(sorted(_SPEC)), JSON, max_size=3),
    notes=JSON,
    tensor=st.fixed_dictionaries({}, optional={"dtype": JSON, "shape": JSON, "data_offsets": JSON}),
)
def test_any_description_is_loaded_or_refused(
    tmp_path: Path, sound: Path, spec: dict[str, Any], notes: Any, tensor: dict[str, Any]
) -> None:
    def change(header: dict[str, Any]) -> None:
        header["__metadata__"] |= {
            "spec": json.dumps({**_SPEC, **spec}),
            "notes": json.dumps(notes),
        }
        name = next(key for key in header if key != "__metadata__")
        header[name] |= tensor

    refused_or_loaded(described(sound, tmp_path / "odd.safetensors", change))


@pytest.mark.parametrize(
    "name",
    ["~nobody-at-all/x.pt", "x" * 300, "y/" * 5000, "a\0b", "", "."],
    ids=lambda name: name[:9],
)
def test_a_name_of_no_file_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match="is neither a file nor a shipped name") as told:
        load_network(name)
    assert "\n" not in str(told.value)
