"""The node's parameters: one table, and what is made of it."""

from kdbts_ros.errors import UserError

try:
    from pydantic import field_validator  # noqa: F401  (version 1, as in Ubuntu 24.04, has none)
except ImportError:
    raise UserError(
        "kdbts_node needs pydantic 2 or newer: see the pip step of docs/install.md"
    ) from None
