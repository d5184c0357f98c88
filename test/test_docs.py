"""What the documents name exists, the guide stays short, and the site can be built from them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
MODULE = re.compile(r"`(kdbts_ros(?:\.[a-z_0-9]+)+)`(?:: ((?:`[\w.]+(?:\([^`]*\))?`(?:, )?)+))?")
ANCHOR = re.compile(r"^#+ (.+)$", re.MULTILINE)
GUIDE = [page for page in PAGES if (ROOT / "docs/lab") not in page.parents]
LONGEST = {"README.md": 120, "docs/performance.md": 100, "docs/results.md": 80}
# Measured accuracy, such as "IoU .428" or "abs_rel | .202", and words of experiments.
ACCURACY = re.compile(r"\b(abs_rel|rmse|a1|IoU|O_\w+|IE_\w+)\b[^\n\w]{0,6}\.\d\d")
EXPERIMENT = re.compile(r"the weights before|beside other jobs|in turn\b|predicted", re.IGNORECASE)
# Names of an earlier time that the field has other words for.
RIDDLE = re.compile(r"where light ends|\blives\b|the reach\b", re.IGNORECASE)
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


def test_every_kind_of_fault_has_a_witness() -> None:
    lines = (ROOT / "docs" / "reliability.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    faults = [row for row in rows if row[0] not in ("kind", "fault")]
    assert [row[0] for row in faults if len(row) != 3 or not WITNESS.search(row[-1])] == []
    assert len(faults) > 100, "the table has its rows"


def test_every_yes_beside_other_packages_links_its_test() -> None:
    page = ROOT / "docs" / "peers.md"
    rows = [line.strip("| ").split(" | ") for line in page.read_text().splitlines()]
    own = [row[-1] for row in rows if len(row) == 8 and row[-1] != "kdbts_ros"]
    said = [cell for cell in own if re.match(r"Y\b", cell)]
    missing = []
    for cell in said:
        proof = re.match(r"Y \[`(test_\w+)`\]\(([^)]+)\)", cell)
        source = page.parent / proof[2] if proof else None
        if proof is None or source is None or f"def {proof[1]}(" not in source.read_text():
            missing.append(cell)
    assert missing == []
    assert len(said) > 20, "the table has our column"


def heading_anchors(page: Path) -> set[str]:
    """The anchors that the site gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in ANCHOR.findall(text)]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_anchor_is_a_heading(page: Path) -> None:
    missing = []
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text()):
        there = page.parent / target if target else page
        if anchor not in heading_anchors(there):
            missing.append(f"{target}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("page", GUIDE, ids=name_of)
def test_a_page_of_the_guide_is_short(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= LONGEST.get(name_of(page), 200)


@pytest.mark.parametrize("page", GUIDE, ids=name_of)
def test_experiments_stay_in_the_laboratory(page: Path) -> None:
    text = page.read_text()
    found = [m[0] for m in (*EXPERIMENT.finditer(text), *RIDDLE.finditer(text))]
    if name_of(page) not in ("README.md", "docs/results.md"):
        found += [m[0] for m in ACCURACY.finditer(text)]
    assert found == [], "tables of runs and figures of experiments belong into docs/lab"


def navigation(entries: Any) -> list[str]:
    """The pages of a part of mkdocs.yml's `nav`."""
    if isinstance(entries, str):
        return [entries]
    parts = entries.values() if isinstance(entries, dict) else entries
    return [page for part in parts for page in navigation(part)]


def test_every_page_is_reached_from_the_navigation_of_the_site() -> None:
    nav = navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    made = {"index.md", "contributing.md", "quality_declaration.md"}
    assert sorted(nav) == sorted(written | made)


def test_every_log_of_the_laboratory_is_in_its_index() -> None:
    index = (ROOT / "docs/lab/README.md").read_text()
    logs = {page.name for page in (ROOT / "docs/lab").glob("*.md")} - {"README.md"}
    assert logs == {target for target, _ in LINK.findall(index) if not target.startswith("..")}


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        if os.environ.get("CI") and Path(sys.prefix).name == ".venv":
            pytest.fail("mkdocs is missing: requirements/docs.txt is part of `make venv`")
        pytest.skip("mkdocs is not installed: run `make venv`")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "SceneCompleter" in (tmp_path / "api/density.html").read_text()
    assert "column_weight" in (tmp_path / "api/training.html").read_text()
    front = (tmp_path / "index.html").read_text()
    assert "Try it" in front
    assert re.findall(r'<(?:script|img)[^>]*src="?https?:', front) == [], "loaded from elsewhere"
    assert re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="?https?:', front) == []
