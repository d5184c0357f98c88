"""summary.json and the table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from kdbts_ros.demo.score import Agreement
from kdbts_ros.demo.summary import Summary

SUMMARY = Summary(
    source="synthetic street 1",
    rate=0.4,
    played=22,
    frames_in=21,
    maps_out=18,
    drops={"superseded": 3},
    latency_ms=list(np.linspace(100, 200, 101)),
    node_ms=[80.0, 90.0],
    agreement=Agreement(30, 10, 20),
)


def shown(summary: Summary) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(summary.table())
    return capture.get()


def test_the_file_holds_the_agreed_keys(tmp_path: Path) -> None:
    SUMMARY.write(tmp_path / "summary.json")
    read = json.loads((tmp_path / "summary.json").read_text())
    assert read["frames_in"] == 21 and read["maps_out"] == 18
    assert read["drops"] == {"superseded": 3}
    assert read["latency_ms"] == {"p50": 150.0, "p95": 195.0}
    assert read["iou"] == 0.5


def test_the_table_shows_drops_latency_and_agreement() -> None:
    text = shown(SUMMARY)
    for words in ("0.4 x as recorded", "dropped: superseded", "150 ms / 195 ms", "85 ms"):
        assert words in text
    assert "0.500" in text and "0.750 / 0.600" in text


def test_without_a_true_map_the_score_is_null_and_not_shown() -> None:
    recorded = replace(SUMMARY, agreement=None, drops={}, latency_ms=[])
    assert recorded.as_json()["iou"] is None
    assert recorded.as_json()["latency_ms"] == {"p50": None, "p95": None}
    text = shown(recorded)
    assert "IoU" not in text and "- / -" in text
