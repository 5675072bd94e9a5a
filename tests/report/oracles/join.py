"""Joins the figures of several files, each under the name of its folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from visitors import write


def main() -> None:
    """Write the joined figures."""
    files = map(Path, sys.argv[1:])
    found = {file.parent.name: json.loads(file.read_text("utf-8")) for file in files}
    write(found)


if __name__ == "__main__":
    main()
