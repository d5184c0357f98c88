"""What the documents name exists: files they link to, modules, and tests they call a witness."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
MODULE = re.compile(r"`(kdbts_ros(?:\.[a-z_0-9]+)+)`(?:: ((?:`[\w.]+(?:\([^`]*\))?`(?:, )?)+))?")
WITNESS = re.compile(r"`(?:(test/[\w/]+\.py)|(test_\w+\.py))?(?:::(test_\w+))?`")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page: Path) -> None:
    local = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [t for t in local if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_and_what_is_named_beside_it_is_there(page: Path) -> None:
    missing = []
    for module, names in MODULE.findall(page.read_text()):
        path = ROOT / (module.replace(".", "/") + ".py")
        if not path.exists() and not (path.with_suffix("") / "__init__.py").exists():
            missing.append(module)
            continue
        source = path.read_text() if path.exists() else ""
        missing += [
            f"{module}: {name}"
            for name in re.findall(r"`([A-Za-z_]\w*)", names)
            if not re.search(rf"\b(class|def) {name}\b|^{name}\b", source, re.MULTILINE)
        ]
    assert missing == []


def test_every_witness_of_reliability_is_a_test() -> None:
    page = ROOT / "docs" / "reliability.md"
    found, missing, file = 0, [], None
    for whole, short, test in WITNESS.findall(page.read_text()):
        if whole or short:
            paths = [ROOT / whole] if whole else sorted((ROOT / "test").rglob(short))
            file = paths[0] if paths and paths[0].exists() else None
            if file is None:
                missing.append(whole or short)
        if test:
            found += 1
            if file is None or not re.search(rf"def {test}\b", file.read_text()):
                missing.append(f"{file and file.name}::{test}")
    assert missing == []
    assert found > 20, "the table names its tests"
