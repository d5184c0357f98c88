"""Where tests find data that is not part of the package; they skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("KDBTS_SHARED", ROOT.parent / "shared"))
PARITY = Path(os.environ.get("KDBTS_PARITY_DIR", SHARED / "parity"))
PARITY_SEED = int(os.environ.get("KDBTS_PARITY_SEED", "1234"))

needs_parity = pytest.mark.skipif(
    not (PARITY / "inputs.npz").is_file(),
    reason=f"no parity fixtures at {PARITY}; set KDBTS_PARITY_DIR to run these",
)
