"""Is what a depth camera recorded fit to learn from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdbts_ros.adaptation.verdict import Check, Grade
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.errors import UserError

# Images that are looked at, and the shares of pixels and of frames that are wanted.
_LOOKED_AT = 12
_WANTED_PIXELS, _WANTED_FRAMES = 0.3, 0.8
# Medians beyond these, m, are not those of a robot's surroundings: the unit is another one.
_NEAREST, _FARTHEST = 0.15, 60.0


def depth_checks(drives: Sequence[BagDrive]) -> list[Check]:
    """One verdict for each recording with depth images; none where matching gives the depth."""
    return [_check(drive) for drive in drives if drive.depth is not None]


def _check(drive: BagDrive) -> Check:
    depth = drive.depth
    assert depth is not None
    known, medians, faults = [], [], []
    chosen = np.linspace(0, len(drive) - 1, min(_LOOKED_AT, len(drive))).round().astype(int)
    lead = drive.cameras[0]
    for index in np.unique(chosen).tolist():
        try:
            found = depth.seen_by(index, drive.camera(lead), drive.T_world_cam(index, lead))
        except UserError as error:
            faults.append(str(error))
            continue
        if found is not None:
            known.append(float((found > 0).mean()))
            medians += [float(np.median(found[found > 0]))] if (found > 0).any() else []
    if not medians:
        reason = f": {faults[0]}" if faults else ", or none in view of the camera"
        return Check("depth", "bad", f"no depth image on {depth.topic} can be used{reason}")
    share, middle = float(np.mean(known)), float(np.median(medians))
    sentence = (
        f"{depth.topic} has a depth image for {depth.count} of {len(drive)} images, known in "
        f"{share:.0%} of the pixels, {middle:.2f} m in the median"
    )
    if not _NEAREST < middle < _FARTHEST:
        cure = ": 16UC1 must be in millimetres and 32FC1 in metres; mend the driver, or leave it "
        return Check("depth", "bad", f"{sentence}{cure}out with --depth none")
    rich = share >= _WANTED_PIXELS and depth.count >= _WANTED_FRAMES * len(drive)
    grade: Grade = "good" if rich and not faults else "poor"
    return Check("depth", grade, sentence + (f"; {len(faults)} cannot be read" if faults else ""))
