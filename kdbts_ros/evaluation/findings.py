"""An evaluation as rows of a table, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kdbts_ros.evaluation.intervals import FrameTable, Interval
from kdbts_ros.evaluation.report import markdown_table


@dataclass(frozen=True, eq=False)
class Findings:
    """What was measured on the same frames by every method.

    Attributes:
        checkpoint: the method that was asked about.
        tables: frames by method, the checkpoint's first.
        other: a second checkpoint to compare with, one of tables.
        extra: further content of the JSON file.
        frames: measures by frame of the checkpoint, where its frames differ in what judged them.
    """

    checkpoint: str
    tables: Mapping[str, FrameTable]
    other: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    frames: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def rows(self) -> dict[str, dict[str, float]]:
        """Measures by method."""
        return {name: table.measures() for name, table in self.tables.items()}

    def interval_rows(self) -> dict[str, dict[str, Interval]]:
        """Intervals by method, and of the difference to the checkpoint for the second one."""
        rows = {name: table.intervals() for name, table in self.tables.items()}
        if self.other is not None:
            rows[self._difference] = self._differences()
        return rows

    def as_json(self) -> dict[str, object]:
        """The checkpoint's measures at the top, everything else below names."""
        rows, intervals = self.rows(), self.interval_rows()
        content: dict[str, object] = {
            **rows[self.checkpoint],
            "intervals": intervals[self.checkpoint],
            "baselines": {
                name: {**values, "intervals": intervals[name]}
                for name, values in rows.items()
                if name not in (self.checkpoint, self.other)
            },
            **self.extra,
        }
        if self.frames:
            content["by_frame"] = dict(self.frames)
        if self.other is not None:
            first, second = rows[self.checkpoint], rows[self.other]
            content["compare"] = {
                "checkpoint": self.other,
                **second,
                "intervals": intervals[self.other],
                "difference": {name: second[name] - first[name] for name in intervals[self.other]},
                "difference_intervals": intervals[self._difference],
            }
        return content

    def as_markdown(self) -> list[str]:
        """The table of measures and the table of intervals."""
        by_frame = []
        if self.frames:
            by_frame = [f"{self.checkpoint} by frame:", markdown_table(self.frames)]
        return [
            markdown_table(self.rows()),
            *by_frame,
            "95 % bootstrap intervals over frames"
            + (f"; the last row is {self._difference}, paired:" if self.other else ":"),
            interval_table(self.interval_rows()),
        ]

    @property
    def _difference(self) -> str:
        return f"{self.other} minus {self.checkpoint}"

    def _differences(self) -> dict[str, Interval]:
        assert self.other is not None
        return self.tables[self.checkpoint].difference_intervals(self.tables[self.other])


def interval_table(rows: Mapping[str, Mapping[str, Interval]], digits: int = 3) -> str:
    """Markdown, `low … high` in each cell."""
    columns = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        cells = [_shown(values.get(column), digits) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(interval: Interval | None, digits: int) -> str:
    if interval is None or interval[0] != interval[0]:
        return "–"
    return f"{interval[0]:.{digits}f} … {interval[1]:.{digits}f}"
