"""A head for several views beside a trained one for one view: the mean of what that says of each.

What is known of a place is then the mean of the views that see it, with nothing to learn. Trained
on, confidences and votes brought drawn streets no better maps (docs/lab/training_log.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kdbts_ros.density.checkpoints.checkpoint import (
    load_network,
    of_descendant,
    save_network,
    write_annotated,
)
from kdbts_ros.density.maps.probability import NOTE, read_note, write_note
from kdbts_ros.density.network.heads import MultiViewHead
from kdbts_ros.density.network.network import SINGLE_VIEW_HEADS, DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.learning.weights.start import adopt

# Numbers of a vote and units that pass it on: a mean of pre-densities needs no more, and a map of
# four views reads as many numbers of each for every cell.
VOTE, PASSED_ON = 1, 2
# What a student is called in notes.
STUDENT = "kdbts"


def fuse(checkpoint: str | Path, out: Path) -> Path:
    """Write a network of one view with a multi-view head beside its own, which stays as it is.

    Its calibration and its map head are kept, as those of the student.

    Raises:
        UserError: it cannot be read, fuses views already, or `out` cannot be written.
    """
    donor, info = load_network(checkpoint)
    spec = info.spec
    if spec.head not in SINGLE_VIEW_HEADS:
        raise UserError(
            f"{shown(checkpoint)} has the head '{spec.head}', which fuses views already: name "
            "weights of one view"
        )
    network = DensityNetwork(_of_both(spec))
    adopt(network, donor, info)
    assert isinstance(network.head, MultiViewHead) and network.student is not None
    network.head.begin_as_mean(network.student)
    notes = of_descendant(info.notes) | _calibration(info.notes, spec.head)
    written = save_network(out, network, notes)
    if spec.head in info.map_heads:
        write_annotated(written, written, {}, {STUDENT: info.map_heads[spec.head]})
    return written


def _of_both(spec: NetworkSpec) -> NetworkSpec:
    hidden = spec.head_widths[0]
    return replace(
        spec,
        head="mvbts",
        head_widths=(hidden, VOTE, PASSED_ON),
        student_widths=(hidden,),
        shared_hidden=True,
    )


def _calibration(notes: Mapping[str, str], head: str) -> dict[str, str]:
    """That of the only head, which stays true of the same head under a student's name."""
    curves = read_note(notes.get(NOTE)).get(head)
    return {} if curves is None else {NOTE: write_note({STUDENT: curves})}
