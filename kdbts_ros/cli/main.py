"""The `kdbts` command: everything a robot does, without ROS, and the tools around it."""

from __future__ import annotations

import io
import sys
from importlib import import_module

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


# In the order of `kdbts --help`: the command, and where it is.
_COMMANDS = (
    ("predict", "predict.predict"),
    ("evaluate", "evaluate.app"),
    ("figures", "figures.app"),
    ("calibrate", "calibrate.calibrate"),
    ("train-map", "train_map.train_map"),
    ("quantise", "quantise.quantise"),
    ("train", "train.train"),
    ("distill", "train.distill"),
    ("adapt", "adapt.adapt"),
    ("bag", "bag.bag"),
    ("play", "play.play"),
    ("convert", "convert.convert"),
    ("info", "info.info"),
    ("checkpoint", "checkpoint.app"),
    ("benchmark", "benchmark.benchmark"),
    ("soak", "soak.soak"),
    ("demo", "demo.demo"),
    ("doctor", "doctor.doctor"),
    ("view", "view.view"),
    ("warm-up", "warm_up.warm_up"),
)


def register(word: str = "") -> None:
    """Attach the commands; only one, where `word` is its name.

    Others import torch, which `kdbts play` would wait for without using it.
    """
    names = {name for name, _ in _COMMANDS}
    for name, place in _COMMANDS:
        if word in names and word != name:
            continue
        module, _, attribute = place.partition(".")
        command = getattr(import_module(f"kdbts_ros.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)


@app.callback()
def _any_command() -> None:
    # Without it a program of one command would take no name of a command.
    pass


def run() -> None:
    """Console entry point: one line on stderr and exit code 2 for a user's mistake."""
    try:
        # Inside: this may import torch, and a Ctrl-C meanwhile is no traceback either.
        register(sys.argv[1] if len(sys.argv) > 1 else "")
        _print_any_name()
        ending.run()
        app()
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"kdbts: {error}", markup=False, highlight=False)
        sys.exit(EXIT_USER_ERROR)
    except BaseException as error:
        code = ending.code_of(error)
        if code is None:
            raise
        ending.tidy()
        print("kdbts: interrupted", file=sys.stderr)
        ending.leave(code)
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
