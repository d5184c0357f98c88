"""Which protocols `kdbts evaluate occupancy` follows, and what it tells of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Optional

import numpy as np
import typer

from kdbts_ros.cli.evaluation_data import Dataset
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.corrected import CorrectedEvaluation
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.lidar_protocol import ALL_QUIRKS, QUIRKS, ReferenceGrid
from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancySettings
from kdbts_ros.evaluation.occupancy_report import (
    Part,
    describe_reference,
    describe_visible,
    reference_findings,
    truth_findings,
    visible_findings,
)
from kdbts_ros.evaluation.reference import ReferenceEvaluation, ReferenceSettings
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.visible import VisibleEvaluation


class Protocol(str, Enum):
    """Whose rules decide what is occupied and what is visible."""

    TRUTH = "truth"
    REFERENCE = "reference"
    CORRECTED = "corrected"
    VISIBLE = "visible"
    BOTH = "both"
    ALL = "all"


Protocols = Annotated[
    Optional[Protocol],
    typer.Option(
        "--protocol",
        help="truth: exact worlds. reference: LiDAR, as published. corrected: the map by the same "
        "scans, without quirks. visible: the map by what a scan itself saw. both: reference and "
        "truth, or corrected of recorded data.",
    ),
]
Scans = Annotated[
    int, typer.Option("--scans", min=1, help="Of reference and corrected: LiDAR scans of a frame.")
]
MinScans = Annotated[
    Optional[int],
    typer.Option(
        "--min-scans", min=3, help="Frames with so many scans count as well, each named with them."
    ),
]
Neighbours = Annotated[
    int,
    typer.Option("--neighbours", min=0, help="Of visible: scans before and after that judge too."),
]
Without = Annotated[
    Optional[list[str]],
    typer.Option(
        "--without", metavar="QUIRK", help=f"Switch off: {', '.join(QUIRKS)}; repeatable."
    ),
]
LidarBox = Annotated[
    str,
    typer.Option(
        "--lidar-box", metavar="X0:X1,Y0:Y1,Z0:Z1", help="Right, down and forward of the camera, m."
    ),
]

ACCUMULATING = frozenset({Protocol.REFERENCE, Protocol.CORRECTED})


def chosen_protocols(asked: Protocol | None, dataset: Dataset) -> list[Protocol]:
    """Exact truth where there is one, unless another protocol was asked for.

    Raises:
        UserError: exact truth of recorded data.
    """
    recorded = dataset is not Dataset.SYNTHETIC
    exact = Protocol.CORRECTED if recorded else Protocol.TRUTH
    if recorded and asked is Protocol.TRUTH:
        raise UserError("occupancy has exact truth only with --dataset synthetic")
    if asked is Protocol.BOTH:
        return [Protocol.REFERENCE, exact] if recorded else [exact, Protocol.REFERENCE]
    if asked is Protocol.ALL:
        lidar = [Protocol.REFERENCE, Protocol.CORRECTED, Protocol.VISIBLE]
        return lidar if recorded else [Protocol.TRUTH, *lidar]
    return [asked or (Protocol.REFERENCE if recorded else Protocol.TRUTH)]


@dataclass
class Evaluations:
    """The protocols that are followed over the same samples.

    scans: that accumulate from a frame onwards. neighbours: scans around a frame that judge it.
    """

    scenes: Mapping[str, SceneCompleter]
    protocols: list[Protocol]
    settings: OccupancySettings
    by_lidar: ReferenceSettings
    scans: int
    neighbours: int
    gallery: Gallery
    exact: OccupancyEvaluation | None = field(init=False, default=None)
    seen: VisibleEvaluation | None = field(init=False, default=None)
    windows: dict[Protocol, ReferenceEvaluation] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if Protocol.TRUTH in self.protocols:
            self.exact = OccupancyEvaluation(self.scenes, self.settings, self.gallery)
        if Protocol.VISIBLE in self.protocols:
            self.seen = VisibleEvaluation(self.scenes, self.settings)
        if Protocol.REFERENCE in self.protocols:
            self.windows[Protocol.REFERENCE] = ReferenceEvaluation(self.scenes, self.by_lidar)
        if Protocol.CORRECTED in self.protocols:
            settings = replace(self.by_lidar, quirks=frozenset())
            corrected = CorrectedEvaluation(self.scenes, settings, maps=self.settings)
            self.windows[Protocol.CORRECTED] = corrected

    def run(self, samples: Iterable[Sample]) -> None:
        """All samples."""
        for sample in samples:
            if self.exact is not None:
                self.exact.add(sample)
            for evaluation in self.windows.values():
                evaluation.add(sample)
            if self.seen is not None:
                self.seen.add(sample)

    def findings(self) -> dict[str, Findings]:
        """By name of the protocol; one that no frame could be judged by is left out."""
        names, found = list(self.scenes), {}
        if self.exact is not None:
            found[Protocol.TRUTH.value] = truth_findings(self.exact.scores, names)
        for protocol, evaluation in self.windows.items():
            if evaluation.windows:
                found[protocol.value] = reference_findings(evaluation, names)
        if self.seen is not None:
            found[Protocol.VISIBLE.value] = visible_findings(self.seen, names)
        return found

    def parts(self, findings: Mapping[str, Findings]) -> list[Part]:
        """Of the report, all but the exact protocol's."""
        parts = []
        for protocol, evaluation in self.windows.items():
            if protocol.value in findings:
                sentence = describe_reference(evaluation.settings, self.scans)
                if protocol is Protocol.CORRECTED:
                    sentence += " Judged are cells of the map, on returns inside its height band."
                heading = f"By the {protocol.value} LiDAR protocol"
                parts.append(Part(heading, sentence, findings[protocol.value]))
        if self.seen is not None:
            sentence = describe_visible(self.seen, self.neighbours)
            parts.append(Part("By what scans saw", sentence, findings[Protocol.VISIBLE.value]))
        return parts


def lidar_settings(
    box: str, layers: int, without: list[str] | None, pitch_deg: float | None
) -> ReferenceSettings:
    """Of the options of the accumulating protocols.

    Raises:
        UserError: a box that is none, or an unknown quirk.
    """
    quirks = ALL_QUIRKS - _quirks(without or [])
    pitch = None if pitch_deg is None else float(np.radians(pitch_deg))
    return ReferenceSettings(_grid(box, layers), quirks, pitch)


def _grid(text: str, layers: int) -> ReferenceGrid:
    try:
        ranges = [tuple(float(end) for end in part.split(":")) for part in text.split(",")]
        (x0, x1), (y0, y1), (z0, z1) = ranges
    except ValueError:
        raise UserError(
            f"--lidar-box {text!r} is not X0:X1,Y0:Y1,Z0:Z1, for example -4:4,0:0.75,4:20"
        ) from None
    return ReferenceGrid((x0, x1), (y0, y1), (z0, z1), layers)


def _quirks(names: list[str]) -> frozenset[str]:
    unknown = sorted(set(names) - set(QUIRKS))
    if unknown:
        raise UserError(f"unknown quirk {unknown[0]!r}; the quirks are {', '.join(QUIRKS)}")
    return frozenset(names)
