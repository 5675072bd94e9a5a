"""Folders of activities for tests."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from targetry.activities.compile.compiler import Compilation, compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.lock_file import Lock
from targetry.activities.model.windows import Span, bucket_owners

SETTINGS = "targetry: 1\nclient: acme\n"
HERO = """
key: hero
experiences:
  - {key: everyday, share: 50, offers: [{mbox: hero, html: every day}]}
  - {key: sale, share: 50, offers: [{mbox: hero, html: sale}]}
metrics: [{type: click}]
"""


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Write files by their paths, `targetry.yaml` too unless it is given; return the folder."""
    for name, text in ({"targetry.yaml": SETTINGS} | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
    return folder


def compiled(folder: Path, lock: Lock | None = None) -> Compilation:
    """Compile a folder whose files have no mistakes of shape."""
    loaded = load_folder(ActivityFolder(folder))
    assert loaded.findings == []
    assert loaded.activities is not None
    return compile_activities(loaded.activities, loaded.lock if lock is None else lock)


def artifact_of(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """Return the artifact of files for production."""
    result = compiled(write_files(folder, files))
    assert result.findings == []
    return result.artifacts["production"]


def findings_of(folder: Path, files: dict[str, str]) -> list[str]:
    """Return the findings of loading and compiling, each as a line of text."""
    loaded = load_folder(ActivityFolder(write_files(folder, files)))
    found = list(loaded.findings)
    if loaded.activities is not None:
        found += compile_activities(loaded.activities, loaded.lock).findings
    return [str(one) for one in found]


def moved(old: dict[str, list[Span]], new: dict[str, list[Span]]) -> dict[str, int]:
    """Return how many of the 10,000 buckets change hands, come in and go out."""
    pairs = list(zip(bucket_owners(old), bucket_owners(new), strict=True))
    return {
        "switched": sum(a is not None and b is not None and a != b for a, b in pairs),
        "entered": sum(a is None and b is not None for a, b in pairs),
        "left": sum(a is not None and b is None for a, b in pairs),
    }
