"""Starting a network from the weights of another, perhaps with other heads."""

from __future__ import annotations

from torch import Tensor

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.network.network import SINGLE_VIEW_HEADS, DensityNetwork
from kdbts_ros.errors import UserError


def adopt(
    network: DensityNetwork,
    donor: DensityNetwork,
    info: CheckpointInfo,
    fresh_decoder: bool = False,
) -> list[str]:
    """Copy the donor's trunk, and every head that fits; what stays as it was, by name.

    fresh_decoder: of the trunk only the encoder is copied.

    The single-view head of a donor becomes the student of a network that has one, and a student
    the head of a single-view network: both read one view (KDBTS, CVPR 2024).

    Raises:
        UserError: the donor's trunk is of another architecture.
    """
    state, own = donor.state_dict(), network.state_dict()
    single = "head." if donor.spec.head in SINGLE_VIEW_HEADS else "student."
    wanted = "head." if network.spec.head in SINGLE_VIEW_HEADS else "student."
    adopted: dict[str, Tensor] = {}
    for name in own:
        if fresh_decoder and name.startswith("decoder."):
            continue
        source = single + name.removeprefix(wanted) if name.startswith(wanted) else name
        if source in state and state[source].shape == own[name].shape:
            adopted[name] = state[source]
    left = [name for name in own if name not in adopted]
    # Rows that the donor was not told start at nothing and leave its features as they are.
    untold = () if donor.spec.ground_rows else ("decoder.rows.",)
    fresh = ("head.", "student.", *(("decoder.",) if fresh_decoder else untold))
    trunk = [name for name in left if not name.startswith(fresh)]
    if trunk:
        raise UserError(
            f"{info.source} has a trunk, {info.spec.trunk_title}, that does not fit the network "
            f"section of the config ({trunk[0]} differs)"
        )
    network.load_state_dict(adopted, strict=False)
    return left


def adopt_heads(network: DensityNetwork, donor: DensityNetwork, info: CheckpointInfo) -> None:
    """Copy the donor's heads, the single-view one as `adopt` does, and nothing of its trunk.

    Raises:
        UserError: a head that the donor has in another shape, or has not.
    """
    state = donor.state_dict()
    theirs = "head." if donor.spec.head in SINGLE_VIEW_HEADS else "student."
    ours = "head." if network.spec.head in SINGLE_VIEW_HEADS else "student."
    adopted: dict[str, Tensor] = {}
    for name, own in network.state_dict().items():
        if not name.startswith(("head.", "student.")):
            continue
        source = theirs + name.removeprefix(ours) if name.startswith(ours) else name
        if source not in state or state[source].shape != own.shape:
            raise UserError(
                f"{info.source} has heads that do not fit the network section of the config "
                f"({name} differs)"
            )
        adopted[name] = state[source]
    network.load_state_dict(adopted, strict=False)
