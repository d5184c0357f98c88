"""The key names of the original BTS and KDBTS training checkpoints.

Every key of a file is accounted for: renamed to ours, known and unused (with the reason), or
refused. The layout is that of `Brummi/BehindTheScenes` and `keonhee-han/KDBTS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.errors import UserError

ENCODER = "renderer.net.encoder.encoder.encoder."
DECODER = "renderer.net.encoder.decoder.decoder."

# Our head name -> where the original keeps its weights.
HEAD_PREFIXES = {
    "bts": "renderer.net.mlp_coarse.",
    "kdbts": "renderer.net.heads.singleviewhead.",
    "mvbts": "renderer.net.heads.multiviewhead3.",
    "simple_multiview": "renderer.net.heads.simplemultiviewhead.",
}
# Original heads this package does not implement, by the part of the key that names them.
UNSUPPORTED_HEADS = {
    "multiviewhead": "MultiViewHead (DFT transformer)",
    "multiviewhead2": "MultiViewHead2 (attention)",
    "mlp_confidence": "MVBTSNet2 (separate confidence network)",
    "mlp_fine": "a fine network (mlp_fine)",
}
PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
UNUSED = (
    (re.compile(re.escape(ENCODER) + r"fc\."), "ImageNet classifier"),
    (re.compile(re.escape(DECODER) + r"1[123]\."), "coarser decoder scales, never queried"),
    (re.compile(r"renderer\.net\.code_xyz\._(freqs|phases)$"), "constants of the positional code"),
    (re.compile(r"renderer\.renderer\.(iter_idx|last_sched)$"), "renderer counters"),
    (re.compile(r"lpips(_vgg)?\."), "perceptual metric of the training"),
    (re.compile(r"renderer\.net\.empty_feature$"), "feature for unseen points; unseen is unknown"),
)


@dataclass(frozen=True)
class KeyAccount:
    """What became of each key of an original checkpoint."""

    head: str
    used: dict[str, str]  # original key -> our key
    unused: dict[str, str]  # original key -> why


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefixes that DataParallel, torch.compile and Lightning put before every key."""
    stripped = dict(state)
    while stripped:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in stripped)), None)
        if prefix is None:
            break
        stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


def heads_in(keys: Iterable[str]) -> list[str]:
    """Our names of the heads a checkpoint holds weights for."""
    keys = list(keys)
    return [h for h, prefix in HEAD_PREFIXES.items() if any(k.startswith(prefix) for k in keys)]


def choose_head(keys: Iterable[str], wanted: str | None) -> str:
    """The head to use: the wanted one if present, the only one, or a refusal that lists them."""
    keys = list(keys)
    present = heads_in(keys)
    if wanted is not None:
        if wanted not in HEAD_PREFIXES:
            raise UserError(f"unknown head '{wanted}', use one of {', '.join(HEAD_PREFIXES)}")
        if wanted not in present:
            raise UserError(
                f"the checkpoint has no '{wanted}' head, it holds {_listed(present)}"
                f"{_unsupported_note(keys)}"
            )
        return wanted
    if not present:
        raise UserError(f"the checkpoint holds no supported head{_unsupported_note(keys)}")
    if len(present) > 1:
        raise UserError(
            f"the checkpoint holds several heads ({_listed(present)}); name the head to use "
            "(an MVBTS file of KITTI raw carries an untrained single-view head)"
        )
    return present[0]


def account(keys: Iterable[str], head: str) -> KeyAccount:
    """Sort every original key; raise UserError listing those nobody knows."""
    used: dict[str, str] = {}
    unused: dict[str, str] = {}
    unknown = []
    for key in keys:
        ours = _renamed(key, head)
        reason = _unused_reason(key, head)
        if ours is not None:
            used[key] = ours
        elif reason is not None:
            unused[key] = reason
        else:
            unknown.append(key)
    if unknown:
        shown = ", ".join(key[:80] for key in unknown[:8]) + (
            f" and {len(unknown) - 8} more" if unknown[8:] else ""
        )
        raise UserError(
            f"the checkpoint has {len(unknown)} keys this package does not know: {shown}"
        )
    return KeyAccount(head, used, unused)


def _renamed(key: str, head: str) -> str | None:
    if key.startswith(ENCODER) and not key.startswith(ENCODER + "fc."):
        return "encoder." + key.removeprefix(ENCODER)
    if match := re.fullmatch(re.escape(DECODER) + r"(\d)\.conv\.conv\.(weight|bias)", key):
        index = int(match[1])
        side = "before" if index % 2 == 0 else "after"
        return f"decoder.{side}.{index // 2}.conv.{match[2]}"
    if match := re.fullmatch(re.escape(DECODER) + r"10\.conv\.(weight|bias)", key):
        return f"decoder.output.conv.{match[1]}"
    if key.startswith(HEAD_PREFIXES[head]):
        tail = key.removeprefix(HEAD_PREFIXES[head])
        if ".blocks." in f".{tail}":
            raise UserError(
                f"the '{head}' head has residual blocks (key {key[:80]}), as RealEstate10K models "
                "do; only heads without blocks are supported"
            )
        return f"head.{tail}" if tail.startswith("mlp") else f"head.mlp.{tail}"
    return None


def _unused_reason(key: str, head: str) -> str | None:
    for other, prefix in HEAD_PREFIXES.items():
        if other != head and key.startswith(prefix):
            return f"the other head, '{other}'"
    for name, description in UNSUPPORTED_HEADS.items():
        if key.startswith((f"renderer.net.heads.{name}.", f"renderer.net.{name}.")):
            return f"unsupported head: {description}"
    return next((why for pattern, why in UNUSED if pattern.match(key)), None)


def infer_spec(weights: Mapping[str, Tensor], head: str) -> NetworkSpec:
    """Sizes of the network from the shapes of our renamed weights."""
    try:
        trunk = "resnet50" if "encoder.layer1.0.conv3.weight" in weights else "resnet18"
        channels = tuple(weights[f"decoder.before.{4 - i}.conv.weight"].shape[0] for i in range(5))
        features = weights["decoder.output.conv.weight"].shape[0]
        hidden = weights["head.mlp.lin_in.weight"].shape[0]
        widths: tuple[int, ...] = (hidden,)
        if head == "mvbts":
            fused = weights["head.mlp.lin_out.weight"].shape[0] - 1
            widths = (hidden, fused, weights["head.mlp2.lin_in.weight"].shape[0])
    except IndexError:
        raise UserError("the checkpoint has single numbers where weights belong") from None
    except KeyError as missing:
        raise UserError(
            f"the checkpoint lacks the weights for {missing}: not a complete BTS or KDBTS file"
        ) from None
    c0, c1, c2, c3, c4 = channels
    return NetworkSpec(trunk, features, (c0, c1, c2, c3, c4), head, widths)


def _listed(heads: list[str]) -> str:
    return ", ".join(f"'{h}'" for h in heads) or "no supported head"


def _unsupported_note(keys: list[str]) -> str:
    found = sorted(
        description
        for name, description in UNSUPPORTED_HEADS.items()
        if any(k.startswith((f"renderer.net.heads.{name}.", f"renderer.net.{name}.")) for k in keys)
    )
    return f"; unsupported here: {', '.join(found)}" if found else ""
