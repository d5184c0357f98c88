"""What keeps the rooms of density/ apart: the paper knows no engine, every kernel has its proof."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from test.test_layering import PACKAGE, imported

DENSITY = PACKAGE / "density"
TESTS = Path(__file__).parent
# The paper, and through which doors it sees engines: the choice, the protocol, and plain data.
PAPER = (
    *("scene.py", "birds_eye_map.py", "novel_view.py", "pipeline.py", "frame_result.py"),
    *("settings.py", "queries.py", "places.py"),
    *("network", "geometry", "cameras", "ground", "views", "maps"),
)
DOORS = {"choose", "interface", "answers", "encoded_view"}
# What makes a function one that is compiled.
COMPILERS = {"njit", "intrinsic", "jit"}
# Torch's own formulation under one of its names in tests.
REFERENCES = {"TorchQueries", "FoldedField", "plain_density", "_finished"}


def files(*parts: str) -> list[Path]:
    paths = [DENSITY / part for part in parts]
    return [f for p in paths for f in ([p] if p.suffix else sorted(p.rglob("*.py")))]


def place(file: Path) -> str:
    return str(file.relative_to(DENSITY))


def named(node: ast.AST) -> set[str]:
    """Every name and attribute in a piece of code."""
    inside = list(ast.walk(node))
    names = {n.id for n in inside if isinstance(n, ast.Name)}
    return names | {n.attr for n in inside if isinstance(n, ast.Attribute)}


def functions(file: Path) -> list[ast.FunctionDef]:
    return [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef)]


def kernel_files() -> set[str]:
    """Files of engines/ with a compiled function, without suffix, and those of convolutions."""
    found = {
        file
        for file in files("engines")
        if any(COMPILERS & named(d) for f in functions(file) for d in f.decorator_list)
    }
    names = {str(file.relative_to(DENSITY / "engines").with_suffix("")) for file in found}
    return names | {"cpu/trunk", "cpu/openvino_graph", "cpu/openvino_trunk"}


def proofs() -> dict[str, list[ast.FunctionDef]]:
    """Tests by the kernel file that `against_torch` says they compare."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for test in functions(file):
            for decorator in test.decorator_list:
                if isinstance(decorator, ast.Call) and "against_torch" in named(decorator.func):
                    for kernel in decorator.args:
                        assert isinstance(kernel, ast.Constant)
                        found.setdefault(str(kernel.value), []).append(test)
    return found


@pytest.mark.parametrize("file", files(*PAPER), ids=place)
def test_the_paper_sees_engines_through_their_doors(file: Path) -> None:
    rooms = [name.split(".") for name in imported(file)]
    seen = {r[3] for r in rooms if r[:3] == ["kdbts_ros", "density", "engines"] and len(r) > 3}
    assert seen <= DOORS


@pytest.mark.parametrize("kernel", sorted(kernel_files()))
def test_every_kernel_file_is_compared_with_torch(kernel: str) -> None:
    tests = proofs().get(kernel, [])
    assert tests, f"no test says @against_torch({kernel!r})"
    for test in tests:
        assert test.name.startswith("test_")
        assert REFERENCES & named(test), f"{test.name} compares with none of {REFERENCES}"


def test_the_rules_have_something_to_hold() -> None:
    assert len(files(*PAPER)) > 30 and all(f.exists() for f in files(*PAPER))
    kernels = kernel_files()
    assert {"cpu/columns", "cpu/simd", "cuda/kernels/image"} <= kernels
    assert set(proofs()) <= kernels, "a kernel that is gone"


def test_no_room_leads_back_to_itself() -> None:
    """No circle of imports, those inside functions and for types alone included."""
    modules = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file
        for file in DENSITY.rglob("*.py")
        if file.name != "__init__.py"
    }
    left = {
        name: {m for found in imported(file) for m in (found, found.rpartition(".")[0])}
        & modules.keys() - {name}
        for name, file in modules.items()
    }
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert sorted(left) == []
