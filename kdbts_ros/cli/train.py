"""`kdbts train`: learn a network from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="YAML file, see config/training/.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last state.")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value, e.g. --set stages.0.minutes=20."),
    ] = None,
    export: Annotated[
        bool,
        typer.Option("--export", help="Train nothing: write the weights of the last state."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for the weights; default RUN/NAME.safetensors."),
    ] = None,
) -> None:
    """Train a network; Ctrl-C saves the state, --resume continues it.

    Example: kdbts train config/training/synthetic_bts_r18.yaml --set stages.0.minutes=30
    """
    # Imported here: torch takes seconds, and every `kdbts` command would wait for them.
    from kdbts_ros.learning.config_file import load_config
    from kdbts_ros.learning.loop import Trainer

    trainer = Trainer(load_config(config, overrides or []), resume or export)
    if export:
        typer.echo(f"wrote {trainer.export(out)}")
        return
    if not trainer.run():
        changes = "".join(f" --set {override}" for override in overrides or [])
        typer.echo(
            f"stopped at step {trainer.step}; continue with: kdbts train {config} --resume{changes}"
        )
        return
    typer.echo(f"finished after {trainer.step} steps: wrote {trainer.export(out)}")
