"""Probabilities of adapted weights: what was fitted to those before does not hold for these.

Where the weights before had a calibration, those after get one, fitted as `kdbts calibrate` fits.
Left as it was it would be wrong without a word; left out, the map's threshold would change as well.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from kdbts_ros.datasets.synthetic.places.kinds import ALL_PLACES, STREET
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, of_descendant
from kdbts_ros.density.maps.probability import NOTE, ProbabilityCurves, read_note, write_note
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.calibrate import Evidence, fit, gather, with_threshold
from kdbts_ros.evaluation.calibrate_depth import DepthEvidence, gather_depth
from kdbts_ros.evaluation.occupancy import OccupancySettings, compared
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, prefetched, synthetic_samples
from kdbts_ros.evaluation.scores import frame_table
from kdbts_ros.evaluation.views import ViewChoice

# Worlds to fit on, and further ones that check the fit.
FITTED, CHECKED = 30, 10
# What a head that fuses views is asked with: a robot with one camera has its past.
_SEVERAL = ViewChoice(temporal=2)


@dataclass(frozen=True)
class Refit:
    """The note of the new weights, empty where they have no calibration, and what was found."""

    notes: dict[str, str]
    sentences: tuple[str, ...]


def refit(
    network: DensityNetwork, notes: Mapping[str, str], advance: Callable[[float], None]
) -> Refit:
    """Fit anew every head of the network that had a calibration in `notes`.

    Args:
        advance: told how much is done, 0..1.
    """
    before = read_note(notes.get(NOTE))
    views = {"kdbts": ViewChoice()} if network.student is not None else {}
    views[network.spec.head] = _SEVERAL if network.density_head.multi_view else ViewChoice()
    wanted = {head: choice for head, choice in views.items() if head in before}
    found: dict[str, ProbabilityCurves] = {}
    sentences = []
    for number, (head, choice) in enumerate(wanted.items()):
        tells = before[head].surface_from is not None
        advanced = partial(_within, advance, number, len(wanted))
        evidence, depths = _gather(network, notes, choice, tells, advanced)
        try:
            found[head] = with_threshold(fit(evidence[:FITTED]), evidence[:FITTED])
        except UserError as error:
            sentences.append(f"The calibration of '{head}' is dropped: {error}.")
            continue
        if depths:
            surface_from = DepthEvidence.of(depths[:FITTED]).best()
            found[head] = replace(found[head], surface_from=surface_from)
        old, new = (_error(evidence[FITTED:], c) for c in (before[head], found[head]))
        sentences.append(
            f"Calibration error of '{head}' on {CHECKED} worlds: {old:.3f} with the curve before, "
            f"{new:.3f} fitted anew, occupied from {found[head].occupied_from:.2f}."
        )
    return Refit({NOTE: write_note(found)} if found else {}, tuple(sentences))


def _within(advance: Callable[[float], None], number: int, count: int, share: float) -> None:
    """How much of all heads is done, from how much of one is."""
    advance((number + share) / count)


def _gather(
    network: DensityNetwork,
    notes: Mapping[str, str],
    choice: ViewChoice,
    tells: bool,
    advance: Callable[[float], None],
) -> tuple[list[Evidence], list[DepthEvidence]]:
    """notes: of the weights before, for the camera that the network knows; a network with one of
    its own works in places. tells: whether where it tells depth is asked for too."""
    # The facade freezes and folds what it is given.
    copied, device = copy.deepcopy(network), next(network.parameters()).device
    info = CheckpointInfo("adaptation", network.spec, "", of_descendant(notes))
    scene = SceneCompleter(copied, info, device, "float32")
    usual = TrainingCamera.from_notes(notes) == TrainingCamera()
    place = STREET if usual else ALL_PLACES
    settings = OccupancySettings(**compared(place))
    drawn = synthetic_samples(FITTED + CHECKED, CALIBRATION_SEED, choice, place=place)
    evidence, depths = list[Evidence](), list[DepthEvidence]()
    with torch.no_grad():
        for sample in prefetched(drawn):
            evidence += gather(scene, [sample], settings)
            if tells and len(scene.views) == 1:
                depths.append(gather_depth(scene, sample))
            advance(len(evidence) / (FITTED + CHECKED))
    return evidence, depths


def _error(frames: Sequence[Evidence], calibration: ProbabilityCurves) -> float:
    return frame_table([frame.score(calibration) for frame in frames]).measures()["ece"]
