"""Progress on the terminal, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def stage(console: Console, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar for a block, which calls the function it is given with what is done so far.

    Without a terminal, one line when the block is done.
    """
    if not console.is_terminal:
        began = time.monotonic()
        yield lambda done: None
        console.print(f"{name}: done in {time.monotonic() - began:.0f} s", highlight=False)
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    if total is not None:
        columns.append(MofNCompleteColumn())
    columns.append(TimeElapsedColumn())
    if total is not None:
        columns.append(TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.update(task, completed=done)
        progress.update(task, total=total or 1, completed=total or 1)
