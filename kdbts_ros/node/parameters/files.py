"""The table as users read it: ``config/kdbts.yaml`` and ``docs/parameters.md``."""

from __future__ import annotations

from kdbts_ros.node.parameters.rules import Rule, literal
from kdbts_ros.node.parameters.table import RULES


def as_yaml() -> str:
    """``config/kdbts.yaml``: the defaults, with their meanings as comments."""
    lines = [
        "# Parameters of kdbts_node and their defaults. Made by",
        "# `python -m kdbts_ros.node.parameters`; copy it and pass yours as params_file.",
        "/**:",
        "  ros__parameters:",
    ]
    for name, rule in RULES.items():
        notes = [n for n in (limits(rule), "live" if rule.live else "") if n]
        lines.append(f"    # {rule.meaning}" + (f" ({'; '.join(notes)})" if notes else ""))
        lines.append(f"    {name}: {literal(rule.default)}")
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """``docs/parameters.md``: the same table for readers."""
    lines = [
        "# Parameters of `kdbts_node`",
        "",
        "Made by `python -m kdbts_ros.node.parameters --markdown`. Live parameters may change",
        "while the node is active; the others are read by `configure` and refused afterwards. An",
        "unchanged value is no change: `ros2 param load` takes what `ros2 param dump` wrote, in",
        "any state.",
        "",
        "`on`, `yes` and `true` mean one thing, `off`, `no` and `false` the other, bare or quoted,",
        "in launch arguments as in files. A name that looks like a number or a switch needs quotes",
        "within quotes: `-p fixed_frame:='\"1\"'`.",
        "",
        "| parameter | default | allowed | live | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, rule in RULES.items():
        default = literal(rule.default)
        live = "yes" if rule.live else ""
        lines.append(f"| `{name}` | `{default}` | {limits(rule)} | {live} | {rule.meaning} |")
    return "\n".join(lines) + "\n"


def limits(rule: Rule) -> str:
    """What a parameter may be, in words."""
    if rule.choices:
        return ", ".join(rule.choices)
    return "" if rule.low is None else f"{rule.low:g} to {rule.high:g}"
