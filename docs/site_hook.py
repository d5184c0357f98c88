"""Makes pages of the site from the documents at the root, and keeps links into the source tree honest.

The README is the front page; CONTRIBUTING.md and QUALITY_DECLARATION.md are pages as well. A link to a
file that is no page (a YAML file, a folder, the licence) becomes its name in code: the site has no
copy of it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "QUALITY_DECLARATION.md": "quality_declaration.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


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
        if files.get_file_from_path(inside) is None:
            if named.startswith("docs/") or not (ROOT / named).exists():
                return link[0]  # broken: the strict build says so
            return text if text.startswith("`") else f"`{named}`"
        there = posixpath.relpath(inside, posixpath.dirname(place) or ".")
        return f"{image}[{text}]({there}{anchor or ''})"

    return LINK.sub(replaced, markdown)
