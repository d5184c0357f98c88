"""Reading and writing weights: safetensors of our own and the original training files.

Nothing is unpickled beyond tensors and plain containers (`weights_only=True`), and every key of a
file is used, known to be unused, or refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from kdbts_ros.density.checkpoints import map_heads, original_keys
from kdbts_ros.density.checkpoints.weight_files import (
    Header,
    Shape,
    Shapes,
    check_shipped,
    check_total,
    kind_of,
    read_header,
    read_safetensors,
    read_torch,
)
from kdbts_ros.density.network.map_head import MapHeadNetwork
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.suggestions import did_you_mean

WEIGHTS_FOLDER = Path(__file__).resolve().parents[2] / "weights"
FORMAT = "kdbts_ros/1"
# Names that mean the single-view head of a shipped two-headed file: one trunk serves both.
STUDENTS = {f"kdbts{kind}": f"mvbts{kind}" for kind in ("", "_fine", "_indoor")}
# Notes with figures of the very weights they came with: what is trained, adapted or averaged from
# them has others.
OF_THESE_WEIGHTS = ("calibration", "held_out", "activation_ranges")


@dataclass(frozen=True)
class CheckpointInfo:
    """Where weights came from and what they are; `notes` travel inside the file.

    map_heads: by the head whose maps they complete.
    """

    source: str
    spec: NetworkSpec
    sha256: str
    notes: dict[str, str] = field(default_factory=dict)
    account: original_keys.KeyAccount | None = None
    map_heads: dict[str, MapHeadNetwork] = field(default_factory=dict)


def shipped_names() -> list[str]:
    """Names that `load_network` knows, students of shipped files included."""
    files = {p.stem for p in WEIGHTS_FOLDER.glob("*.safetensors")}
    return sorted(files | {name for name, file in STUDENTS.items() if file in files})


def resolve(name_or_path: str | Path) -> Path:
    """A shipped name or a file's path to an existing file; UserError names what is there."""
    shipped = WEIGHTS_FOLDER / f"{STUDENTS.get(str(name_or_path), name_or_path)}.safetensors"
    if "/" not in str(name_or_path) and shipped in WEIGHTS_FOLDER.glob("*.safetensors"):
        return shipped
    # A name too long for the disk, or the home of nobody: no file either.
    with contextlib.suppress(OSError, RuntimeError):
        path = Path(name_or_path).expanduser()
        if path.is_file():
            return path
    names = shipped_names()
    raise UserError(
        f"checkpoint '{shown(name_or_path)}' is neither a file nor a shipped name "
        f"(shipped: {', '.join(names) or 'none'}){did_you_mean(str(name_or_path), names)}"
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
    if kind_of(path) == "safetensors":
        weights, info = _read_own(path)
        if head == "kdbts" and info.spec.student_widths:
            weights, info = _student_alone(weights, info)
        elif head is not None and head != info.spec.head:
            raise UserError(f"{shown(path)} holds the head '{info.spec.head}', not '{head}'")
    else:
        weights, info = _read_original(path, head)
    check_shipped(path, WEIGHTS_FOLDER, info.sha256)
    _check_finite(weights, path)
    network = DensityNetwork(info.spec)
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
        "spec": _written(network.spec),
        "notes": json.dumps(dict(notes)),
    }
    return _write(path, weights, metadata)


def _write(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        usual = partial.stat().st_mode
        save_file(weights, partial, metadata)
        # The library leaves it to its owner alone; a robot runs as another user.
        partial.chmod(usual)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        # Where even removing fails there is no partial file either.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {shown(path)}: {error}") from None
    return path


def write_annotated(
    path: Path,
    out: Path,
    notes: Mapping[str, str],
    heads: Mapping[str, MapHeadNetwork | None] | None = None,
) -> Path:
    """Copy a `.safetensors` of ours with further notes; every tensor keeps its bytes.

    heads: map heads that take the place of those of their names; None: there is none any more.

    Raises:
        UserError: not such a file, or `out` cannot be written.
    """
    header = read_header(path)
    described = _described(header, path)
    texts = {**header.texts, "notes": json.dumps({**described.notes, **notes})}
    weights = read_safetensors(path, keep_kinds=True)
    map_heads.replace(texts, weights, heads or {})
    return _write(out, weights, texts)


def of_descendant(notes: Mapping[str, str]) -> dict[str, str]:
    """The notes that stay true when other weights are made from these."""
    return {key: value for key, value in notes.items() if key not in OF_THESE_WEIGHTS}


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _read_own(path: Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    header = read_header(path)
    described = _described(header, path)
    spec = described.spec
    # Kept by the network, but not in the file.
    expected = expected_shapes(spec)
    counters = [k for k in expected if k.endswith("num_batches_tracked")]
    try:
        specs = map_heads.read_specs(header.texts)
    except UserError as error:
        raise UserError(f"{shown(path)} has a damaged description: {error}") from None
    expected |= map_heads.expected_shapes(specs)
    _check_shapes(expected, {**header.shapes, **dict.fromkeys(counters, ())}, path)
    weights = read_safetensors(path)
    _check_finite(weights, path)
    weights |= {key: torch.tensor(0) for key in counters}
    heads = map_heads.taken_from(weights, specs)
    info = CheckpointInfo(str(path), spec, sha256(path), described.notes, map_heads=heads)
    return weights, info


def _described(header: Header, path: Path) -> CheckpointInfo:
    """Network and notes by a file's description, without its weights."""
    if header.texts.get("format") != FORMAT:
        raise UserError(
            f"{shown(path)} is not a kdbts_ros checkpoint: an original's .pt is imported with "
            "`kdbts convert`"
        )
    try:
        spec = _spec(json.loads(header.texts["spec"]))
        notes = json.loads(header.texts.get("notes", "{}"))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{shown(path)} has a damaged description: {reason}") from None
    if not isinstance(notes, dict):
        kind = type(notes).__name__
        raise UserError(f"{shown(path)} has a damaged description: its notes are no dictionary "
                        f"but {kind}")  # fmt: skip
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in notes.items()}
    return CheckpointInfo(str(path), spec, "", texts)


def _written(spec: NetworkSpec) -> str:
    """A description as JSON.

    A ResNet is told by its `layers`, as before there were other trunks, and `ground_rows` only
    where there are any: earlier versions of this package read such a file as ever. Of another
    trunk they say that the file has a damaged description, with an "unexpected keyword argument
    'trunk'".
    """
    fields = dataclasses.asdict(spec)
    if spec.depth_spacing == "inverse":
        # So it was before there was another.
        del fields["depth_spacing"]
    if not spec.ground_rows:
        del fields["ground_rows"]
    depth = re.fullmatch(r"resnet(\d+)", spec.trunk)
    if depth is not None:
        del fields["trunk"]
        fields = {"layers": int(depth[1]), **fields}
    return json.dumps(fields)


def _spec(fields: dict[str, Any]) -> NetworkSpec:
    """What `_written` told; UserError or TypeError where nothing of ours did."""
    if "layers" in fields and "trunk" not in fields:
        fields["trunk"] = f"resnet{fields.pop('layers')}"
    for name in ("decoder_channels", "head_widths", "student_widths"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return NetworkSpec(**fields)


def _student_alone(
    weights: dict[str, Tensor], info: CheckpointInfo
) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """The single-view network within a two-headed one."""
    spec = info.spec.of_student()
    kept = {key: value for key, value in weights.items() if not key.startswith("head.")}
    renamed = {re.sub(r"^student\.", "head.", key): value for key, value in kept.items()}
    return renamed, dataclasses.replace(info, spec=spec)


def _read_original(path: Path, head: str | None) -> tuple[dict[str, Tensor], CheckpointInfo]:
    state = original_keys.strip_wrappers(read_torch(path))
    try:
        chosen = original_keys.choose_head(state, head)
        account = original_keys.account(state, chosen)
        used = {ours: state[theirs] for theirs, ours in account.used.items()}
        spec = original_keys.infer_spec(used, chosen)
    except UserError as error:
        raise UserError(f"{shown(path)}: {error}") from None
    shapes = {key: tuple(value.shape) for key, value in used.items()}
    _check_shapes(expected_shapes(spec), shapes, path)
    weights = {
        key: value.long() if key.endswith("num_batches_tracked") else value.float()
        for key, value in used.items()
    }
    notes = {"origin": path.name, "head": chosen}
    return weights, CheckpointInfo(str(path), spec, sha256(path), notes, account)


def expected_shapes(spec: NetworkSpec) -> dict[str, Shape]:
    """Shapes of a network's weights; nothing of its size is allocated."""
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in DensityNetwork(spec).state_dict().items()}


def _check_shapes(expected: Shapes, shapes: Shapes, path: Path) -> None:
    """Before anything is built or read: a description may ask for any size."""
    check_total(path, expected)
    wrong = [
        f"{k} is {shapes[k]}, expected {expected[k]}"
        for k in expected.keys() & shapes.keys()
        if shapes[k] != expected[k]
    ]
    for problem, keys in (
        ("lacks", expected.keys() - shapes.keys()),
        ("has unknown", shapes.keys() - expected.keys()),
        ("has wrong shapes:", wrong),
    ):
        _refuse_any(path, problem, keys)


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    broken = [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]
    _refuse_any(path, "has NaN or infinity in", broken)


def _refuse_any(path: Path, problem: str, keys: Collection[str]) -> None:
    if keys:
        shortened = [" ".join(key.split())[:200] for key in sorted(keys)]
        more = f" and {len(shortened) - 4} more" if shortened[4:] else ""
        raise UserError(f"{shown(path)} {problem} {'; '.join(shortened[:4])}{more}")
