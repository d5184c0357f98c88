"""What all parts of a training file have in common."""

from __future__ import annotations

from kdbts_ros.errors import UserError

try:
    from pydantic import BaseModel, ConfigDict, Field, model_validator
except ImportError:
    # Ubuntu 24.04 has pydantic 1.
    raise UserError(
        "training and adaptation need pydantic 2 or newer: see the pip step of docs/install.md"
    ) from None

__all__ = ["Field", "Section", "model_validator"]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)
