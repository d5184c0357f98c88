"""`kdbts adapt` from recordings to a checkpoint."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdbts_ros.adaptation import report
from kdbts_ros.adaptation.checks import Inspection, inspect
from kdbts_ros.adaptation.clips import BagClips, Clip, ClipPlan
from kdbts_ros.adaptation.judge import Judge, Score
from kdbts_ros.adaptation.origin import origin_of
from kdbts_ros.adaptation.recalibration import refit
from kdbts_ros.adaptation.rehearsal import REUSE, WORLDS, KnownWorlds, Rehearsal
from kdbts_ros.adaptation.session import Display, Session
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.adaptation.supply import FrameSupply
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import (
    CheckpointInfo,
    load_network,
    of_descendant,
    save_network,
)
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.precision import choose_device
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.learning.record.state_file import StateFile
from kdbts_ros.learning.run.resuming import Identity, read, refuse_other

HELD_OUT_CLIPS = 16
# Clips awaited before the first step.
FIRST_CLIPS = 24
# Weights, two moments of the optimiser, an average, the best so far, and the report.
SPACE_PER_WEIGHT = 4 * 8
SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class Request:
    """What was asked for. force: train on although a check failed, write although not better."""

    out: Path
    checkpoint: str
    settings: AdaptSettings
    device: str = "auto"
    resume: bool = False
    force: bool = False

    @property
    def folder(self) -> Path:
        """State and report lie beside the checkpoint."""
        return self.out.with_suffix(".adapt")


@dataclass(frozen=True)
class Result:
    """finished False: interrupted, --resume continues. improved: on held-out clips.

    before, after: on those clips; None where it was interrupted.
    """

    finished: bool
    improved: bool
    sentence: str
    page: Path | None
    before: Score | None = None
    after: Score | None = None

    def figures(self) -> dict[str, object]:
        """What --json writes."""
        scores = {"before": self.before, "after": self.after}
        told = {name: None if score is None else asdict(score) for name, score in scores.items()}
        return {"finished": self.finished, "improved": self.improved, **told}


def check(drives: Sequence[BagDrive], request: Request) -> Inspection:
    """Look at the recordings and write a report of it.

    Raises:
        UserError: the checkpoint cannot be read, or the report not written.
    """
    _, info = load_network(request.checkpoint)
    training = TrainingCamera.from_notes(info.notes)
    inspection = inspect(drives, request.settings.held_out, training)
    bad = inspection.bad
    verdict = (
        "Not fit to learn from: " + "; ".join(f"{c.name}: {c.sentence}" for c in bad)
        if bad
        else "Fit to learn from."
    )
    title = "Recording of " + ", ".join(drive.name for drive in drives)
    report.write(request.folder, report.Outcome(title, inspection.checks, None, None, verdict, ()))
    return inspection


def adapt(
    drives: Sequence[BagDrive],
    inspection: Inspection,
    request: Request,
    display: Display,
    say: Callable[[str], None],
) -> Result:
    """Train from a checkpoint on inspected recordings and write what is better.

    Raises:
        UserError: the recordings are not fit, a file is in the way or cannot be written.
    """
    _refuse(inspection, request)
    start, info = load_network(request.checkpoint)
    network = copy.deepcopy(start)
    state = StateFile(request.folder / "state.pt")
    origin = origin_of(request.settings, info, drives)
    # Before minutes are spent on matching.
    saved = _saved(state, origin, request, say) if request.resume else None
    _check_disk(request, network)
    settings, plans = request.settings, inspection.plans
    training = TrainingCamera.from_notes(info.notes)
    size = info.spec.image_width, info.spec.image_height
    clips = BagClips(drives, plans.learn, training, size, info.spec.depth_near)
    say(f"matching the images of {min(HELD_OUT_CLIPS, len(plans.held_out))} held-out clips")
    judge = Judge(_held_out(clips, plans.held_out))
    device = choose_device(request.device)
    torch.manual_seed(settings.seed)
    session = Session(network.to(device), start.to(device), judge, settings, state, origin)
    if saved is not None:
        session.restore(saved)
    say(
        f"before: photometric error {session.before.photometric:.4f}, depth against {judge.truth} "
        f"{session.before.depth:.3f}, on held-out clips"
    )
    wanted = min(FIRST_CLIPS, len(plans.learn))
    with ExitStack() as supplies:
        supply = supplies.enter_context(
            FrameSupply(clips, 2 * len(plans.learn), settings.seed, session.progress.received)
        )
        rehearsal = None
        if settings.worlds and settings.rehearsal:
            spec = info.spec
            make = KnownWorlds(spec.image_width, spec.image_height, spec.depth_near, training)
            made = FrameSupply(make, WORLDS, settings.seed, session.progress.worlds, REUSE)
            rehearsal = Rehearsal(supplies.enter_context(made), settings.worlds, settings.seed)
        while supply.having < wanted:
            supply.wait()
            display(session.share, f"matching images: clip {supply.having} of {wanted}")
        finished = session.run(supply, rehearsal, display)
    if not finished:
        return Result(False, False, f"interrupted at {session.share:.0%}, nothing is lost", None)
    return _conclude(drives, inspection, request, session, info, display)


def _refuse(inspection: Inspection, request: Request) -> None:
    bad = inspection.bad
    if bad and not request.force:
        raise UserError(
            "this recording is not fit to learn from: "
            + "; ".join(f"{c.name}: {c.sentence}" for c in bad)
        )
    if not inspection.plans.learn or not inspection.plans.held_out:
        raise UserError("this recording is too short to be learnt from and judged: record more")
    state = request.folder / "state.pt"
    if state.exists() and not request.resume:
        raise UserError(
            f"{state} holds an earlier adaptation: continue it with --resume, or remove "
            f"{request.folder}, or name another --out"
        )
    if request.out.suffix != ".safetensors":
        raise UserError(f"--out {request.out} must end with .safetensors")


def _saved(
    state: StateFile, origin: Identity, request: Request, say: Callable[[str], None]
) -> dict[str, Any]:
    """The state to continue.

    Raises:
        UserError: there is none, it is damaged, or it was made from something else.
    """
    content = state.load()
    made_from = read(content.get("made_from"))
    if made_from is None:
        say(f"{shown(state.path)} does not say what it was made from: taken on trust")
    else:
        refuse_other(
            made_from,
            origin,
            f"{shown(state.path)} is of another adaptation",
            "Repeat the options of the first command to resume; to start anew, remove "
            f"{shown(request.folder)} or name another --out.",
        )
    return content


def _check_disk(request: Request, network: DensityNetwork) -> None:
    """Refuse before hours are spent what could not be saved afterwards."""
    needed = SPARE_BYTES + SPACE_PER_WEIGHT * sum(p.numel() for p in network.parameters())
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(request.folder).free
    except OSError as error:
        raise UserError(f"cannot write to {request.folder}: {error}") from error
    if free < needed:
        raise UserError(
            f"{request.folder} has {free / 1e6:.0f} MB of free space, and {needed / 1e6:.0f} MB "
            "are needed for the state of the training: free some, or name another --out"
        )


def _held_out(clips: BagClips, plans: Sequence[ClipPlan]) -> list[Clip]:
    """Clips spread over the held-out part; unreadable ones are left out.

    Raises:
        UserError: none can be read.
    """
    chosen = np.linspace(0, len(plans) - 1, min(HELD_OUT_CLIPS, len(plans))).round().astype(int)
    found = []
    reason = ""
    for k in np.unique(chosen):
        try:
            found.append(clips.clip(plans[k]))
        except UserError as error:
            reason = str(error)
    if not found:
        raise UserError(f"no held-out image can be read: {reason}")
    return found


def _conclude(
    drives: Sequence[BagDrive],
    inspection: Inspection,
    request: Request,
    session: Session,
    info: CheckpointInfo,
    display: Display,
) -> Result:
    """Keep the best weights if they are better than the start's, and say so."""
    before, after = session.before, session.best_score
    found = session.progress.best_step >= 0
    judge, start = session.judge, session.start
    looks_before = judge.looks(start)
    if found:
        session.network.load_state_dict(session.best)
    looks_after = judge.looks(session.network)
    if not found:
        after = judge.score(looks_after)
    compared = judge.table(looks_before).difference_intervals(judge.table(looks_after))
    low, high = compared.get("photometric", (math.nan, math.nan))
    # A few clips differ by chance: better is what other clips of the kind would show as well.
    improved = found and high < 0
    change = (
        f"photometric error {before.photometric:.4f} -> {after.photometric:.4f} (95 % interval of "
        f"the change {low:+.4f} to {high:+.4f}), depth against {judge.truth} {before.depth:.3f} -> "
        f"{after.depth:.3f} on held-out clips"
    )
    if improved:
        verdict = f"Better: {change}. Weights of step {session.progress.best_step}."
    elif request.force:
        verdict = f"NOT better: {change}. Written all the same, as --force asks."
    else:
        verdict = f"Not better: {change}. No weights are written: keep {request.checkpoint}."
    if improved or request.force:
        refitted = refit(session.network, info.notes, partial(_tell_refit, display))
        lost = [f"The map head of '{head}' is left out: `kdbts train-map` fits one to what the "
                "network is now." for head in info.map_heads]  # fmt: skip
        verdict = " ".join([verdict, *refitted.sentences, *lost])
        notes = {
            **of_descendant(info.notes),
            **refitted.notes,
            "adapted_from": request.checkpoint,
            "adapted_on": json.dumps([drive.name for drive in drives]),
            "adapted_steps": str(session.progress.step),
            "held_out": change,
        }
        save_network(request.out, session.network, notes)
    title = "Adaptation to " + ", ".join(drive.name for drive in drives)
    pictures = judge.pictures(looks_before, looks_after)
    outcome = report.Outcome(
        title, inspection.checks, before, after, verdict, pictures, judge.truth
    )
    page = report.write(request.folder, outcome)
    return Result(True, improved, verdict, page, before, after)


def _tell_refit(display: Display, share: float) -> None:
    display(1.0, f"fitting the calibration anew: {share:.0%}")
