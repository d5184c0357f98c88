"""Reading and writing weights: safetensors of our own and the original training files.

Nothing is unpickled beyond tensors and plain containers (`weights_only=True`), and every key of a
file is used, known to be unused, or refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kdbts_ros.density import original_keys
from kdbts_ros.density.network import DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"
FORMAT = "kdbts_ros/1"
# Names that mean the single-view head of a shipped two-headed file: one trunk serves both.
STUDENTS = {"kdbts": "mvbts", "kdbts_fine": "mvbts_fine"}


@dataclass(frozen=True)
class CheckpointInfo:
    """Where weights came from and what they are; `notes` travel inside the file."""

    source: str
    spec: NetworkSpec
    sha256: str
    notes: dict[str, str] = field(default_factory=dict)
    account: original_keys.KeyAccount | None = None


def shipped_names() -> list[str]:
    """Names that `load_network` knows, students of shipped files included."""
    files = {p.stem for p in WEIGHTS_FOLDER.glob("*.safetensors")}
    return sorted(files | {name for name, file in STUDENTS.items() if file in files})


def resolve(name_or_path: str | Path) -> Path:
    """A shipped name or a file's path to an existing file; UserError names what is there."""
    shipped = WEIGHTS_FOLDER / f"{STUDENTS.get(str(name_or_path), name_or_path)}.safetensors"
    if "/" not in str(name_or_path) and shipped.is_file():
        return shipped
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    names = ", ".join(shipped_names()) or "none"
    raise UserError(
        f"checkpoint '{name_or_path}' is neither a file nor a shipped name (shipped: {names})"
    )


def load_network(
    name_or_path: str | Path, head: str | None = None
) -> tuple[DensityNetwork, CheckpointInfo]:
    """The network of a shipped name, a `.safetensors` of ours, or an original `.pt`, in eval mode.

    Args:
        head: which head a file is to be used with; required where an original holds several. Of our
            own two-headed files "kdbts" takes the student alone and None both; the shipped names
            of `STUDENTS` mean a student.

    Raises:
        UserError: missing or unreadable file, foreign content, unknown keys, wrong shapes.
    """
    path = resolve(name_or_path)
    if head is None and str(name_or_path) in STUDENTS:
        head = "kdbts"
    if path.suffix == ".safetensors":
        weights, info = _read_own(path)
        if head == "kdbts" and info.spec.student_widths:
            weights, info = _student_alone(weights, info)
        elif head is not None and head != info.spec.head:
            raise UserError(f"{path.name} holds the head '{info.spec.head}', not '{head}'")
    else:
        weights, info = _read_original(path, head)
    network = DensityNetwork(info.spec)
    _check_shapes(network, weights, path)
    network.load_state_dict(weights, strict=True)
    return network.eval(), info


def save_network(
    path: str | Path, network: DensityNetwork, notes: Mapping[str, str], half: bool = True
) -> Path:
    """Write weights with their spec and notes; atomic by renaming.

    `half` stores convolutions in fp16, which halves the file; heads stay float32 because density
    goes through exp.
    """
    path = Path(path)
    weights = {
        # Copies, because what two heads share is written for each.
        key: (value.half() if half and value.ndim == 4 else value).contiguous().clone()
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    metadata = {
        "format": FORMAT,
        "spec": json.dumps(dataclasses.asdict(network.spec)),
        "notes": json.dumps(dict(notes)),
    }
    return _write(path, weights, metadata)


def _write(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, partial, metadata)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        # Where even removing fails there is no partial file either.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error}") from None
    return path


def write_annotated(path: Path, out: Path, notes: Mapping[str, str]) -> Path:
    """Copy a `.safetensors` of ours with further notes; every tensor keeps its bytes.

    Raises:
        UserError: not such a file, or `out` cannot be written.
    """
    _, info = _read_own(path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    metadata["notes"] = json.dumps({**info.notes, **notes})
    return _write(out, weights, metadata)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _read_own(path: Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from None
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path} is not a kdbts_ros checkpoint; import one with `kdbts convert`")
    try:
        fields = json.loads(metadata["spec"])
        fields["decoder_channels"] = tuple(fields["decoder_channels"])
        fields["head_widths"] = tuple(fields["head_widths"])
        fields["student_widths"] = tuple(fields.get("student_widths", ()))
        spec = NetworkSpec(**fields)
        notes = {str(k): str(v) for k, v in json.loads(metadata.get("notes", "{}")).items()}
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} has a damaged description: {error}") from None
    for key in DensityNetwork(spec).state_dict():
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.tensor(0)
    return weights, CheckpointInfo(str(path), spec, sha256(path), notes)


def _student_alone(
    weights: dict[str, Tensor], info: CheckpointInfo
) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """The single-view network within a two-headed one."""
    spec = info.spec.of_student()
    kept = {key: value for key, value in weights.items() if not key.startswith("head.")}
    renamed = {re.sub(r"^student\.", "head.", key): value for key, value in kept.items()}
    return renamed, dataclasses.replace(info, spec=spec)


def _read_original(path: Path, head: str | None) -> tuple[dict[str, Tensor], CheckpointInfo]:
    state = original_keys.strip_wrappers(_tensors(_load_pickle(path), path))
    chosen = original_keys.choose_head(state, head)
    account = original_keys.account(state, chosen)
    weights = {ours: state[theirs].float() for theirs, ours in account.used.items()}
    spec = original_keys.infer_spec(weights, chosen)
    for key in list(weights):
        if key.endswith("num_batches_tracked"):
            weights[key] = weights[key].long()
    notes = {"origin": path.name, "head": chosen}
    return weights, CheckpointInfo(str(path), spec, sha256(path), notes, account)


def _load_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own words advise to unpickle freely, which is what must not be done.
        blocked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it wants to call {blocked[1]}" if blocked else "it is no file of tensors"
        raise UserError(f"{path} is refused: {what}, and only plain weights are loaded") from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as a checkpoint: {reason}") from None


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds no state dict, neither under 'model' nor at the top")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise UserError(f"{path} is not a state dict: it holds values that are not tensors")
    return state


def _check_shapes(network: DensityNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    surplus = sorted(weights.keys() - expected.keys())
    wrong = [
        f"{k} is {tuple(weights[k].shape)}, expected {tuple(expected[k].shape)}"
        for k in expected.keys() & weights.keys()
        if weights[k].shape != expected[k].shape
    ]
    broken = [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]
    for problem, keys in (
        ("lacks", missing),
        ("has unknown", surplus),
        ("has wrong shapes:", sorted(wrong)),
        ("has NaN or infinity in", sorted(broken)),
    ):
        if keys:
            shown = "; ".join(keys[:4]) + (f" and {len(keys) - 4} more" if keys[4:] else "")
            raise UserError(f"{path} {problem} {shown}")
