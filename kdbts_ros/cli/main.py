"""The `kdbts` command: everything a robot does, without ROS, and the tools around it."""

from __future__ import annotations

import io
import signal
import sys

import typer
from rich.console import Console

from kdbts_ros import ending
from kdbts_ros.errors import UserError

app = typer.Typer(
    name="kdbts",
    help="Bird's-eye occupancy and depth from a camera, including the space behind what it sees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

EXIT_USER_ERROR = 2


def register() -> None:
    """Attach the commands."""
    from kdbts_ros.cli import (
        adapt,
        bag,
        benchmark,
        calibrate,
        checkpoint,
        convert,
        demo,
        doctor,
        evaluate,
        figures,
        info,
        play,
        predict,
        quantise,
        soak,
        train,
        view,
        warm_up,
    )

    app.command()(predict.predict)
    app.add_typer(evaluate.app, name="evaluate")
    app.add_typer(figures.app, name="figures")
    app.command()(calibrate.calibrate)
    app.command()(quantise.quantise)
    app.command()(train.train)
    app.command()(train.distill)
    app.command()(adapt.adapt)
    app.command()(bag.bag)
    app.command()(play.play)
    app.command()(convert.convert)
    app.command()(info.info)
    app.add_typer(checkpoint.app, name="checkpoint")
    app.command()(benchmark.benchmark)
    app.command()(soak.soak)
    app.command()(demo.demo)
    app.command()(doctor.doctor)
    app.command()(view.view)
    app.command()(warm_up.warm_up)


def run() -> None:
    """Console entry point: one line on stderr and exit code 2 for a user's mistake."""
    try:
        # Inside: this imports torch, and a Ctrl-C meanwhile is no traceback either.
        register()
        _print_any_name()
        ending.run()
        app()
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"kdbts: {error}", markup=False, highlight=False)
        sys.exit(EXIT_USER_ERROR)
    except (ending.Interrupted, KeyboardInterrupt) as told:
        ending.tidy()
        print("kdbts: interrupted", file=sys.stderr)
        code = told.code if isinstance(told, ending.Interrupted) else None
        ending.leave(code if isinstance(code, int) else ending.CODES[signal.SIGINT])
    finally:
        ending.over()


def _print_any_name() -> None:
    """File names may hold bytes that the terminal's encoding has no words for: never raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    ending.begin()
    run()
