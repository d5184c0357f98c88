"""What the site is made of besides the pages under docs/.

* The README is the front page; CONTRIBUTING.md and QUALITY_DECLARATION.md are pages as well.
* A link whose text is the name of a page gets the title of that page.
* A link to a file that is no page (a YAML file, a folder, the licence) becomes its name in code,
  since the site has no copy of it. A link to a file that does not exist stays, and fails the build.
* The keys of a training file are listed from their classes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "QUALITY_DECLARATION.md": "quality_declaration.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
KEYS = "<!-- keys of a training file -->"


def on_files(files: Any, config: Any) -> Any:
    """Add the documents at the root, under the names of `PAGES`."""
    for document, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Make links relative to the page of the site, where they are relative to the document."""
    place = page.file.src_uri
    document = next((d for d, p in PAGES.items() if p == place), f"docs/{place}")

    def replaced(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups()
        named = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
        inside = PAGES.get(named, named.removeprefix("docs/"))
        if files.get_file_from_path(inside) is not None:
            there = posixpath.relpath(inside, posixpath.dirname(place) or ".")
            shown = _title(named) if text.endswith(".md") else text
            return f"{image}[{shown}]({there}{anchor or ''})"
        if named.startswith("docs/") or not (ROOT / named).exists():
            return link[0]
        return text if text.startswith("`") else f"`{named}`"

    if KEYS in markdown:
        markdown = markdown.replace(KEYS, "\n\n".join(training_keys()))
    return LINK.sub(replaced, markdown)


def _title(document: str) -> str:
    """The first heading of a document, without marks of code."""
    heading = next(line for line in (ROOT / document).read_text().splitlines() if line[:2] == "# ")
    return heading[2:].replace("`", "")


def training_keys() -> Iterator[str]:
    """One table for each part of a training file, the file itself first."""
    from kdbts_ros.learning.config import clip_stages, frames, stages, training

    parts = (
        ("The file", training.TrainingConfig),
        ("`network`", training.NetworkConfig),
        ("`watch`", training.WatchConfig),
        ("`stages`: every kind", stages.Stage),
        ("`stages`: `kind: supervised`", stages.SupervisedStage),
        ("`stages`: `photometric` and `distill`", clip_stages.ClipStage),
        ("`stages`: how a rendering is judged", clip_stages.PhotometricTerm),
        ("`stages`: `kind: photometric`", clip_stages.PhotometricStage),
        ("`stages`: `kind: distill`", clip_stages.DistillStage),
        ("`optimiser` of a stage", stages.OptimiserConfig),
        ("`jitter` of a stage", frames.JitterConfig),
        ("`streets` of a stage", frames.StreetsConfig),
        ("`pool` of a stage", frames.PoolConfig),
    )
    for title, part in parts:
        own = [name for name in part.model_fields if name in part.__annotations__]
        rows = [_row(name, part.model_fields[name]) for name in own]
        head = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
        summary = (part.__doc__ or "").strip().splitlines()[0]
        yield "\n".join([f"## {title}", "", summary, "", *head, *rows])


def _row(name: str, field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        shown = "required"
    elif hasattr(default, "model_fields"):
        shown = "see below"
    else:
        shown = f"`{_yaml(default)}`"
    cells = (f"`{name}`", shown, _allowed(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _yaml(value: object) -> str:
    """A default as a YAML file writes it."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _allowed(field: Any) -> str:
    """The choices or the bounds of a value."""
    if get_origin(field.annotation) is not None:
        choices = [c for part in (field.annotation, *get_args(field.annotation)) for c in _of(part)]
        if choices:
            return ", ".join(f"`{choice}`" for choice in choices)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of"}
    bounds = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(bounds)


def _of(part: Any) -> tuple[Any, ...]:
    """The members of a `Literal`, none of anything else."""
    return get_args(part) if str(get_origin(part)) == "typing.Literal" else ()
