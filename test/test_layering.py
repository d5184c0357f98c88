"""Two trees: tensors know nothing of ROS, and what speaks ROS does no tensor arithmetic.

A module's name inside a string is not seen by what moves modules; it is held here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "kdbts_ros"
PURE = (
    *("density", "learning", "evaluation", "datasets", "adaptation"),
    *("encoded_images.py", "ending.py", "errors.py", "files.py", "loops.py", "memory.py"),
    *("pictures.py", "reading.py", "suggestions.py", "tether.py", "yaml_files.py"),
)
IN_STRINGS = [
    file
    for folder in (PACKAGE, PACKAGE.parent / "test", PACKAGE.parent / "launch")
    for file in sorted(folder.rglob("*.py"))
]
DOTTED = re.compile(r"kdbts_ros(?:\.\w+)+")
ROS = {
    "ament_index_python",
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_updater",
    "launch",
    "launch_ros",
    "message_filters",
    "rclpy",
    "rcl_interfaces",
    "tf2_ros",
    "tf_transformations",
}
TENSORS = {"torch", "numba"}


def modules(*parts: str) -> list[Path]:
    """The Python files of folders and files of the package."""
    paths = [PACKAGE / part for part in parts]
    found = [f for p in paths for f in ([p] if p.suffix else sorted(p.rglob("*.py")))]
    return [f for f in found if f.exists()]


def imported(module: Path) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide what a module depends on"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ros(name: str) -> bool:
    top, *rest = name.split(".")
    inside = top == "kdbts_ros" and rest[:1] in (["node"], ["msg"])
    return inside or top in ROS or top.endswith(("_msgs", "_interfaces"))


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", modules(*PURE), ids=name_of)
def test_the_method_imports_no_ros(module: Path) -> None:
    assert [name for name in imported(module) if is_ros(name)] == []


@pytest.mark.parametrize("module", modules("node"), ids=name_of)
def test_the_node_imports_no_tensors(module: Path) -> None:
    assert [name for name in imported(module) if name.split(".")[0] in TENSORS] == []


@pytest.mark.parametrize("module", modules("viewer"), ids=name_of)
def test_recordings_are_viewed_without_ros(module: Path) -> None:
    if module.name != "live.py":
        assert [name for name in imported(module) if is_ros(name)] == []


def test_the_rule_has_something_to_hold() -> None:
    assert len(modules(*PURE)) > 10
    assert len(modules("node")) > 5
    assert is_ros("sensor_msgs.msg.Image") and is_ros("kdbts_ros.node.inputs.camera_messages")
    assert not is_ros("rosbags.rosbag2") and not is_ros("kdbts_ros.density.Camera")


@pytest.mark.parametrize("module", modules(*PURE, "node", "cli", "demo"), ids=name_of)
def test_loops_are_compiled_by_one_rule(module: Path) -> None:
    """numba's own decorators refuse where nothing can be cached; those of loops.py do not."""
    if module.name != "loops.py":
        decorators = {f"numba.{name}" for name in ("njit", "jit", "vectorize", "guvectorize")}
        assert decorators.isdisjoint(imported(module))
        assert ".njit(" not in module.read_text()


@pytest.mark.parametrize("module", IN_STRINGS, ids=lambda file: str(file.name))
def test_a_module_named_in_a_string_is_there(module: Path) -> None:
    named = {
        node.value
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if DOTTED.fullmatch(node.value)
    }
    assert [name for name in named if not leads_somewhere(name)] == []


def test_a_name_that_leads_nowhere_is_noticed() -> None:
    assert leads_somewhere("kdbts_ros.density.Camera")
    assert leads_somewhere("kdbts_ros.node.start")
    assert not leads_somewhere(f"{PACKAGE.name}.node.stat")
    assert not leads_somewhere(f"{PACKAGE.name}.nod.start")


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name is a module, or a word in the module it is said to be in."""
    *parents, last = name.split(".")
    room = PACKAGE.parent.joinpath(*parents)
    if (room / last).is_dir() or (room / f"{last}.py").exists():
        return True
    sources = [f for f in (room / "__init__.py", room.with_suffix(".py")) if f.exists()]
    # Messages are generated: their package exists only where it was built.
    if parents == ["kdbts_ros"] and last in ("msg", "srv"):
        return True
    return any(re.search(rf"\b{last}\b", source.read_text()) for source in sources)
