"""`python -m test.golden`: the golden clip anew, and what has changed in it.

With `--drive` its pictures are drawn anew as well, from the synthetic street as it is now.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from test.golden.clip import (
    DRIVE,
    EXPECTED,
    MODES,
    VARIANTS,
    Arrays,
    Change,
    draw_drive,
    expected,
    key,
    made,
    read,
)
from test.golden.network import save_golden_network


def main(arguments: list[str]) -> int:
    """Write the files and tell each change; 0."""
    drive = read(DRIVE)
    if "--drive" in arguments or not drive:
        drawn = draw_drive()
        same = all(np.array_equal(drawn[name], held) for name, held in drive.items()) and drive
        print(f"{DRIVE.name}: {'as it was' if same else 'other pictures, poses or camera'}")
        drive = drawn
        np.savez_compressed(DRIVE, **drive)
    before, after = read(EXPECTED), dict[str, np.ndarray]()
    with TemporaryDirectory() as folder:
        checkpoint = save_golden_network(Path(folder) / "golden.safetensors")
        for mode in MODES:
            for name, variant in VARIANTS.items():
                found = made(drive, checkpoint, mode, variant)
                after |= {key(mode, name, array): values for array, values in found.items()}
                print(f"{mode} {name}: {_changed(expected(before, mode, name), found, name)}")
                exact = Change.between(expected(after, mode, "torch"), found)
                verdict = "" if exact.within(variant.exact) else ": MORE THAN THE TEST ALLOWS"
                print(f"    from torch in float32: {exact}{verdict}", flush=True)
    np.savez_compressed(EXPECTED, **after)
    return 0


def _changed(before: Arrays, found: Arrays, name: str) -> str:
    if not before:
        return "new"
    if all(np.array_equal(values, found[array], True) for array, values in before.items()):
        return "as it was"
    change = Change.between(before, found)
    verdict = "within" if change.within(VARIANTS[name].again) else "BEYOND"
    return f"{verdict} what another machine may change: {change}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
