"""`kdbts train` and `kdbts distill`: learn a network from a YAML file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from kdbts_ros.cli.options import Json, file_to_write
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json

if TYPE_CHECKING:
    from kdbts_ros.learning.config.training import TrainingConfig
    from kdbts_ros.learning.run.parallel import Ranks

Config = Annotated[Path, typer.Argument(help="YAML file, see config/training/.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run from its last state.")]
Overrides = Annotated[
    Optional[list[str]],
    typer.Option("--set", help="Change a value, e.g. --set stages.0.minutes=20."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Write nothing: a few steps of each stage, first losses and samples/s."
    ),
]
Out = Annotated[
    Optional[Path],
    typer.Option(
        "--out",
        help="File for the weights; default RUN/NAME.safetensors.",
        callback=file_to_write,
    ),
]

REHEARSED_STEPS = 5


def train(
    config: Config,
    resume: Resume = False,
    overrides: Overrides = None,
    export: Annotated[
        bool,
        typer.Option("--export", help="Train nothing: write the weights of the last state."),
    ] = False,
    out: Out = None,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Train a network; Ctrl-C saves the state, --resume continues it to the step.

    Example: kdbts train config/training/synthetic_bts_r18.yaml --set stages.0.minutes=30

    On several GPUs or machines: torchrun --nproc-per-node gpu -m kdbts_ros.cli.main train CONFIG
    """
    # Imported here: torch takes seconds, and every `kdbts` command would wait for them.
    from kdbts_ros.learning.config.config_file import load_config

    loaded = load_config(config, overrides or [])
    _run(loaded, config, resume, overrides, export, out, dry_run, json)


def distill(
    config: Config,
    resume: Resume = False,
    overrides: Overrides = None,
    out: Out = None,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Train a single-view student from a multi-view teacher: a config with a `distill` stage.

    Example: kdbts distill config/training/kdbts_distill_r18.yaml --set stages.0.minutes=30
    """
    from kdbts_ros.learning.config.clip_stages import DistillStage
    from kdbts_ros.learning.config.config_file import load_config

    loaded = load_config(config, overrides or [])
    if not any(isinstance(stage, DistillStage) for stage in loaded.stages):
        raise UserError(
            f"{config} has no stage of kind distill: use kdbts train, or see "
            "config/training/kdbts_distill_r18.yaml"
        )
    _run(loaded, config, resume, overrides, False, out, dry_run, json)


def _run(
    config: TrainingConfig,
    file: Path,
    resume: bool,
    overrides: list[str] | None,
    export: bool,
    out: Path | None,
    dry_run: bool,
    json: Path | None,
) -> None:
    from kdbts_ros.learning.run.loop import Trainer
    from kdbts_ros.learning.run.parallel import joined

    with joined(config.device, config.patience_seconds) as ranks:
        if dry_run:
            _rehearse(config, ranks, json)
            return
        trainer = Trainer(config, resume or export, ranks)
        finished = export or trainer.run()
        if not ranks.leads:
            return
        if not finished:
            changes = "".join(f" --set {override}" for override in overrides or [])
            typer.echo(
                f"stopped at step {trainer.step}; continue with the same command and --resume: "
                f"{file}{changes}"
            )
            return
        typer.echo(f"{trainer.step} steps: wrote {trainer.export(out)}")
        if json is not None:
            write_json(json, {"steps": trainer.step})


def _rehearse(config: TrainingConfig, ranks: Ranks, json: Path | None) -> None:
    from kdbts_ros.learning.run.rehearsal import rehearse

    stages = []
    for index, stage in enumerate(rehearse(config, REHEARSED_STEPS, ranks)):
        stages.append(asdict(stage))
        if ranks.leads:
            losses = "  ".join(f"{name} {value:.4g}" for name, value in stage.losses.items())
            typer.echo(
                f"stage {index + 1} {stage.kind}: {stage.samples_per_s:.2f} samples/s, "
                f"{stage.waited:.0%} of it waiting for frames; first step: {losses}"
            )
    if json is not None and ranks.leads:
        write_json(json, {"stages": stages})
