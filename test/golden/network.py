"""Weights by rule: the same on every machine, by every release of torch and numpy.

Shipped weights are replaced now and then, and no trunk is small enough to be kept beside a test.
`RandomState` draws what it drew for ever, as numpy promises of it alone.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.maps.probability import NOTE, Curve, ProbabilityCurves, write_note
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec

# Widths that every engine knows, the GPU's kernels included. One hidden layer serves both heads.
SPEC = NetworkSpec(
    trunk="resnet18",
    feature_channels=16,
    decoder_channels=(8, 8, 8, 16, 16),
    head="mvbts",
    head_widths=(32, 16, 8),
    student_widths=(32,),
    shared_hidden=True,
    image_width=128,
    image_height=64,
    resize="area",
)
# About the middle of the optical depths that these weights see, so that maps are of two kinds.
CURVES = ProbabilityCurves(Curve(2.5, 3.0, 0.99), Curve(2.5, 2.0, 0.9), 0.4)
# Densities of random layers hardly vary from point to point; these factors let them.
_LOUDER = {"head": 2.0, "student": 2.0, "decoder.output": 3.0}


def save_golden_network(path: Path) -> Path:
    """Write the checkpoint of the clip."""
    network = DensityNetwork(SPEC).eval()
    state = {name: _drawn(name, value) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    notes = {"licence": "Apache-2.0", NOTE: write_note({"mvbts": CURVES, "kdbts": CURVES})}
    return save_network(path, network, notes)


def _drawn(name: str, like: Tensor) -> Tensor:
    """Values for a tensor, by its name and shape alone."""
    if not like.is_floating_point():
        return torch.zeros_like(like)
    rng, shape = np.random.RandomState(crc32(name.encode())), tuple(like.shape)
    if name.endswith("running_var"):
        values = rng.uniform(0.5, 2.0, shape)
    elif like.ndim > 1:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    else:
        # A factor of a batch norm is about one, everything else of one dimension about zero.
        centre = 1.0 if name.endswith("weight") else 0.0
        values = centre + 0.1 * rng.standard_normal(shape)
    factor = next((f for part, f in _LOUDER.items() if name.startswith(part)), 1.0)
    return torch.from_numpy(np.asarray(factor * values, np.float32))
