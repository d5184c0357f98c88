"""Files made to run code, or to take what the machine has: each is refused, and nothing ran."""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints import pickles
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.errors import UserError
from kdbts_ros.learning.record.state_file import StateFile

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


class Calls:
    """Unpickled freely, it calls `module.name(*arguments)`."""

    def __init__(self, call: str, *arguments: object) -> None:
        self.call, self.arguments = call, arguments


def written(value: object) -> bytes:
    """A pickle of protocol 2 in which `Calls` are calls; nothing is imported to write it."""
    if isinstance(value, Calls):
        module, _, name = value.call.rpartition(".")
        arguments = b"".join(written(argument) for argument in value.arguments)
        return b"c" + f"{module}\n{name}\n".encode() + b"(" + arguments + b"tR"
    return pickle.dumps(value, 2)[2:-1]


def whole(body: bytes) -> bytes:
    """With its beginning, in the place where weights would be, and its end."""
    return b"\x80\x02}" + pickle.dumps("model", 2)[2:-1] + body + b"s."


def payloads(mark: Path) -> dict[str, bytes]:
    """Pickles by what they would do, which is to make the file `mark`, or worse."""
    shell, line = f"touch {mark}", f"open({str(mark)!r}, 'w').close()"
    script, array = mark.with_name("script.py"), mark.with_name("array.npy")
    inner = whole(written(Calls("os.system", shell)))
    calls = {
        "os.system": Calls("os.system", shell),
        "posix.system": Calls("posix.system", shell),
        "subprocess": Calls("subprocess.Popen", ["touch", str(mark)]),
        "eval": Calls("builtins.eval", line),
        "exec": Calls("builtins.exec", line),
        "eval of Python 2": Calls("__builtin__.eval", line),
        "import": Calls("builtins.__import__", "antigravity"),
        "open": Calls("builtins.open", str(mark), "w"),
        "getattr": Calls("builtins.getattr", Calls("builtins.__import__", "os"), "system"),
        "a path through torch": Calls("torch.serialization.os.system", shell),
        "numpy.load": Calls("numpy.load", str(array), None, True),
        "numpy's testing": Calls("numpy.testing._private.utils.runstring", line, {}),
        "an array of objects": Calls("numpy.core.multiarray._reconstruct", (0,), b"b"),
        "pickle.loads": Calls("pickle.loads", inner),
        "torch.load": Calls("torch.load", str(script), "cpu", None, False),
        "bytes as storage": Calls("torch.storage._load_from_bytes", inner),
        "torch.hub": Calls("torch.hub.load_state_dict_from_url", "http://127.0.0.1:9/x"),
        "torch.jit": Calls("torch.jit.load", str(script)),
        "a library": Calls("ctypes.CDLL", str(script)),
        "runpy": Calls("runpy.run_path", str(script)),
        "a browser": Calls("webbrowser.open", "http://127.0.0.1:9"),
        "a thread": Calls("_thread.start_new_thread", Calls("builtins.eval", line), ()),
        "memory": Calls("builtins.bytearray", 1 << 40),
        "a tensor without storage": Calls("torch.FloatTensor", 1 << 20, 1 << 20),
        "a tensor of another device": Calls("torch._utils._rebuild_meta_tensor_no_storage", 1),
        "a network as it is": Calls("kdbts_ros.density.network.network.DensityNetwork", None),
    }
    odd = {
        "an instance": b"(" + pickle.dumps(shell, 0)[:-1] + b"ios\nsystem\n",
        "names from the stack": b"\x8c\x02os\x8c\x06system\x93(" + written(shell) + b"tR",
        "names from the memo": b"\x8c\x05torchq\x00\x8c\x02osq\x010h\x01\x8c\x06system\x93("
        + written(shell) + b"tR",
        "an extension": b"\x82\xf0(" + written(shell) + b"tR",
        "a state": b"ccollections\nOrderedDict\n)R" + written({"__reduce__": shell}) + b"b"
        + written(Calls("os.system", shell)),
        "a number of a megabyte": b"\x8b" + struct.pack("<i", 1 << 20) + b"\1" * (1 << 20),
    }  # fmt: skip
    return {name: whole(written(call)) for name, call in calls.items()} | {
        name: whole(body) for name, body in odd.items()
    }


KINDS = list(payloads(Path("mark")))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a payload would make; beside it lies the script that some would run."""
    (tmp_path / "script.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()")
    np.save(tmp_path / "array.npy", np.array([None], object), allow_pickle=True)
    return tmp_path / "mark"


def archive(path: Path, content: bytes, **others: bytes) -> Path:
    """As `torch.save` packs it."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", content)
        packed.writestr("archive/version", "3\n")
        for name, more in others.items():
            packed.writestr(f"archive/{name}", more)
    return path


def legacy(path: Path, content: bytes) -> Path:
    """As torch wrote before its version 1.6."""
    protocol, machine = pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2)
    path.write_bytes(MAGIC + protocol + machine + content + pickle.dumps([], 2))
    return path


def refused(path: Path) -> str:
    """What is said of a file, as weights and as the state of a training."""
    with pytest.raises(UserError) as weights:
        load_network(path)
    with pytest.raises(UserError) as state:
        StateFile(path).load()
    for said in (str(weights.value), str(state.value)):
        assert path.name in said and "\n" not in said
    return str(weights.value)


@pytest.mark.parametrize("form", [archive, legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_that_calls_is_refused_and_nothing_runs(
    mark: Path, kind: str, form: Callable[..., Path]
) -> None:
    path = form(mark.with_name("weights.pt"), payloads(mark)[kind])
    before = set(mark.parent.iterdir())
    assert "is refused" in refused(path)
    assert set(mark.parent.iterdir()) == before


def test_the_payloads_are_real(mark: Path) -> None:
    """Unpickled freely they do run: what is refused above is not refused for being broken."""
    for kind in ("os.system", "eval", "exec", "subprocess", "names from the stack", "an instance"):
        made = pickle.loads(payloads(mark)[kind])["model"]
        if hasattr(made, "wait"):
            made.wait()
        assert mark.exists(), kind
        mark.unlink()


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(KINDS) >= 20


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_program_of_torchscript_is_refused(tmp_path: Path, mark: Path) -> None:
    program = torch.jit.script(torch.nn.ReLU())
    program.save(str(tmp_path / "program.pt"))
    assert "is a program of TorchScript" in refused(tmp_path / "program.pt")


def test_an_archive_cannot_show_one_pickle_and_obey_another(mark: Path) -> None:
    """Of two entries of one name readers take different ones."""
    path = archive(mark.with_name("two.pt"), payloads(mark)["os.system"])
    with zipfile.ZipFile(path, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("archive/data.pkl", pickle.dumps({"model": {}}, 2))
    assert "two entries of one name" in refused(path)


def test_names_with_paths_write_nowhere(mark: Path) -> None:
    path = mark.with_name("paths.pt")
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps({}, 2))
        packed.writestr("../mark", "x")
        packed.writestr(str(mark), "x")
    refused(path)
    assert not mark.exists() and not mark.parent.with_name("mark").exists()


def test_a_tar_is_refused_before_it_is_unpacked(mark: Path) -> None:
    """Also one that begins as a pickle: the name of its first entry may be any bytes."""
    for name in ("storages", "N.N.N.N.N."):
        path = mark.with_name("old.pt")
        with tarfile.open(path, "w") as packed:
            for entry in (name, "pickle", "tensors"):
                info = tarfile.TarInfo(entry)
                content = payloads(mark)["os.system"]
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
        assert "tar archive" in refused(path)
    assert not mark.exists()


def test_bytes_that_are_packed_under_another_name_are_no_weights(mark: Path) -> None:
    path = mark.with_name("weights.safetensors")
    legacy(path, payloads(mark)["os.system"])
    assert "is refused" in refused(path)
    assert not mark.exists()


def test_extensions_are_refused_even_where_one_is_registered(mark: Path) -> None:
    copyreg.add_extension("os", "system", 0xF0)
    try:
        path = archive(mark.with_name("x.pt"), payloads(mark)["an extension"])
        assert "is refused" in refused(path)
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
    assert not mark.exists()


def test_what_training_saves_is_harmless(tmp_path: Path) -> None:
    """The check knows no false alarm: an optimiser's state, random states, half precision."""
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    state: dict[str, Any] = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "plain": {"a": [1, 2.5, None, True, "x"], "set": {1, 2}, "size": torch.Size([1])},
    }
    for form in (True, False):
        torch.save(state, tmp_path / "state.pt", _use_new_zipfile_serialization=form)
        with (tmp_path / "state.pt").open("rb") as file:
            if not pickles.check_archive(file):
                file.seek(0)
                pickles.check_legacy(file)
