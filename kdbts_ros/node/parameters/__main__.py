"""Writes config/kdbts.yaml, or with --markdown docs/parameters.md, to standard output."""

from __future__ import annotations

import sys

from kdbts_ros.node.parameters.files import as_markdown, as_yaml

if __name__ == "__main__":
    sys.stdout.write(as_markdown() if "--markdown" in sys.argv[1:] else as_yaml())
