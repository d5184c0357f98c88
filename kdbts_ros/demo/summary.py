"""What a demo came to: `summary.json` and the table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from kdbts_ros.demo.score import Agreement
from kdbts_ros.files import write_text


@dataclass(frozen=True)
class Summary:
    """Counts and durations of one drive through the node.

    source: what was driven. rate: recorded seconds per second. played: images of the recording.
    frames_in, drops: the node's own account. maps_out: maps that arrived. latency_ms: per map, from
    the player's sending of its image to the arrival of the map, both over DDS. node_ms: per map,
    from the node's receiving of the image to the end of its publishing. agreement: with the truth.
    """

    source: str
    rate: float
    played: int
    frames_in: int
    maps_out: int
    drops: dict[str, int]
    latency_ms: Sequence[float]
    node_ms: Sequence[float]
    agreement: Agreement | None = None

    def as_json(self) -> dict[str, Any]:
        """The content of summary.json; `iou` is null where there is no true map."""
        agreement = self.agreement or Agreement()
        return {
            "source": self.source,
            "rate": self.rate,
            "frames_played": self.played,
            "frames_in": self.frames_in,
            "maps_out": self.maps_out,
            "drops": self.drops,
            "latency_ms": _percentiles(self.latency_ms),
            "node_ms": _percentiles(self.node_ms),
            "iou": _rounded(agreement.iou),
            "precision": _rounded(agreement.precision),
            "recall": _rounded(agreement.recall),
        }

    def write(self, path: Path) -> None:
        """Write summary.json."""
        write_text(path, json.dumps(self.as_json(), indent=2) + "\n")

    def table(self) -> Table:
        """For the terminal."""
        table = Table(title=self.source, show_header=False)
        table.add_column("")
        table.add_column("", justify="right")
        table.add_row("speed", f"{self.rate:g} x as recorded")
        table.add_row("images played", str(self.played))
        table.add_row("frames in (node)", str(self.frames_in))
        table.add_row("maps out", str(self.maps_out))
        for reason, count in sorted(self.drops.items()):
            table.add_row(f"dropped: {reason}", str(count))
        if not self.drops:
            table.add_row("dropped", "0")
        for name, values in (
            ("image sent to map received", self.latency_ms),
            ("of it in the node", self.node_ms),
        ):
            spread = _percentiles(values)
            table.add_row(f"{name}, p50 / p95", f"{_ms(spread['p50'])} / {_ms(spread['p95'])}")
        if self.agreement is not None:
            table.add_row("IoU of occupied cells", _share(self.agreement.iou))
            precision, recall = _share(self.agreement.precision), _share(self.agreement.recall)
            table.add_row("precision / recall", f"{precision} / {recall}")
        return table


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    if not len(values):
        return {"p50": None, "p95": None}
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
