"""Whether a node came well through a soak test: sentences, figures and a picture. No ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from kdbts_ros.files import make_folder, writing

if TYPE_CHECKING:
    from kdbts_ros.replay.soak_test import Sample, SoakResult

# From the second quarter of the test to the last: caches, arenas and kept views fill up before.
MOST_GROWTH = 0.05
LEAST_GROWTH_MB = 30.0
# Files come and go with clients that look in.
MOST_NEW_FILES = 8


def findings(result: SoakResult, ended: int | None) -> list[str]:
    """What is wrong, one sentence each; empty if all is well.

    ended: exit code of a node that should still run.
    """
    found = []
    if ended is not None:
        found.append(f"the node ended, exit code {ended}")
    if not result.samples:
        return [*found, "nothing was measured"]
    end = result.end
    if result.open:
        found.append(
            f"{result.open} of {end.frames_in} images are neither a map nor a view nor dropped"
        )
    late = result.samples[-(len(result.samples) // 4 + 1)]
    if end.maps_out == late.maps_out:
        found.append(
            f"no map came in the last {end.seconds - late.seconds:.0f} s, of "
            f"{end.frames_in - late.frames_in} images that the node received"
        )
    for name, unit, values, least in (
        ("resident memory", "MB", [s.usage.resident_mb for s in result.samples], LEAST_GROWTH_MB),
        ("memory of the GPU", "MB", _gpu(result.samples), LEAST_GROWTH_MB),
        ("open files", "", [float(s.usage.files) for s in result.samples], MOST_NEW_FILES),
    ):
        before, after = growth(values)
        if after - before > max(least, MOST_GROWTH * before):
            found.append(f"{name} grew from {before:.0f} to {after:.0f} {unit}".rstrip())
    return found


def growth(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the second and of the last quarter; zeros of nothing."""
    if not values:
        return 0.0, 0.0
    quarters = np.array_split(np.asarray(values), 4)
    early = quarters[1] if len(quarters[1]) else quarters[0]
    late = next(q for q in reversed(quarters) if len(q))
    return float(np.median(early)), float(np.median(late))


def figures(result: SoakResult) -> dict[str, Any]:
    """Of the whole test, for JSON."""
    end, ages = result.end, [age for s in result.samples for age in s.ages_ms]
    percentiles = {f"age_p{p}_ms": _percentile(ages, p) for p in (50, 95, 100)}
    return {
        "rate_hz": result.rate_hz,
        "cameras": result.cameras,
        "seconds": round(end.seconds, 1),
        "sent": end.sent,
        "frames_in": end.frames_in,
        "maps_out": end.maps_out,
        "views_in": end.views_in,
        "drops": dict(end.drops),
        "open": result.open,
        "lost_before_the_node": end.sent - end.frames_in,
        "resident_mb": growth([s.usage.resident_mb for s in result.samples]),
        "gpu_mb": growth(_gpu(result.samples)) if _gpu(result.samples) else None,
        "open_files": growth([float(s.usage.files) for s in result.samples]),
        **percentiles,
        "faults": list(result.faults),
    }


def draw(path: Path, result: SoakResult) -> None:
    """Memory, ages of maps, images by second with what became of them, and open files."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 4, 2))
    at = np.array([s.seconds for s in result.samples]) / 60
    axes[0].plot(at, [s.usage.resident_mb for s in result.samples], label="resident memory")
    if _gpu(result.samples):
        values = [np.nan if s.usage.gpu_mb is None else s.usage.gpu_mb for s in result.samples]
        axes[0].plot(at, values, label="memory of the GPU")
    axes[0].set(ylabel="MB")
    # The median last: of a single map all are the same.
    for share, name in ((100, "oldest"), (95, "95 %"), (50, "median")):
        ages = [_percentile(s.ages_ms, share) for s in result.samples]
        seconds = [np.nan if age is None else age / 1e3 for age in ages]
        axes[1].plot(at, seconds, ".", ms=4, label=name)
    axes[1].set(ylabel="age of a map, s", yscale="log")
    axes[1].yaxis.set_major_formatter("{x:g}")
    axes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[1].yaxis.set_minor_formatter(NullFormatter())
    _fates(axes[2], at, result.samples)
    axes[3].plot(at, [s.usage.files for s in result.samples], label="open files")
    axes[3].set(xlabel="minutes")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axis in (axes[0], axes[3]):
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
    cameras = "camera" if result.cameras == 1 else "cameras"
    figure.suptitle(f"{result.cameras} {cameras} at {result.rate_hz:g} Hz")
    FigureCanvasAgg(figure)
    make_folder(path.parent)
    with writing(path):
        figure.savefig(path, dpi=110)


def _fates(axis: Axes, at: Any, samples: Sequence[Sample]) -> None:
    """Images by second: sent as a line, and beneath it what became of them, one on the other."""
    rows = {"maps": [s.maps_out for s in samples], "views": [s.views_in for s in samples]}
    for reason in sorted({reason for s in samples for reason in s.drops}):
        rows[f"dropped, {reason}"] = [s.drops[reason] for s in samples]
    seconds = np.maximum(np.diff([s.seconds for s in samples]), 1e-9)
    shown = {name: np.diff(counts) / seconds for name, counts in rows.items() if any(counts)}
    axis.stackplot(at[1:], *shown.values(), labels=list(shown), step="pre")
    axis.plot(at[1:], np.diff([s.sent for s in samples]) / seconds, "k", lw=0.8, label="sent")
    axis.set(ylabel="images/s", ylim=(0, None))


def _gpu(samples: Sequence[Sample]) -> list[float]:
    return [s.usage.gpu_mb for s in samples if s.usage.gpu_mb is not None]


def _percentile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 1) if values else None
