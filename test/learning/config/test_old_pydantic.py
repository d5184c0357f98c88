"""Ubuntu 24.04 has pydantic 1, and what does not train works with it."""

from __future__ import annotations

import runpy
import sys
from types import ModuleType

import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config import section


def test_training_names_the_version_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("pydantic")
    # What version 1 has of what is asked for.
    old.BaseModel = object  # type: ignore[attr-defined]
    old.Field = lambda **_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pydantic", old)
    assert section.__file__ is not None
    with pytest.raises(UserError, match=r"pydantic 2.*docs/install\.md"):
        runpy.run_path(section.__file__)
