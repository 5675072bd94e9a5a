"""The public surface of 1.1.0 is ours, but for what docs/migrating.md lists.

The comparison with the package itself needs an interpreter that has it: `TARGETRY_OFFICIAL_PYTHON`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from dropin import surface
from support.cases import each_case

ROOT = Path(__file__).parent.parent.parent
MIGRATING = (ROOT / "docs" / "migrating.md").read_text("utf-8")
TABLE = MIGRATING[MIGRATING.index("## What is not there") :]
LISTED = [
    name
    for row in TABLE.splitlines()
    if row.startswith("| `")
    for name in re.findall(r"`([\w.*()]+)`", row.split("|")[1])
]
CHANGED = {
    "delivery_api_client.Model.telemetry_entry.TelemetryEntry.openapi_types"
}  # there, with another value
OFFICIAL_PYTHON = os.environ.get("TARGETRY_OFFICIAL_PYTHON", "")


def differences(official: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the dotted names of an official surface that are missing here or differ."""
    for module, names in official.items():
        if importlib.util.find_spec(module.rpartition(".")[0] or module) is None:
            continue  # the package above is missing, and was yielded
        if importlib.util.find_spec(module) is None:
            yield module
            continue
        ours = importlib.import_module(module)
        for name, expected in names.items():
            if not hasattr(ours, name):
                yield f"{module}.{name}"
            elif expected["kind"] != "class" or expected["module"] == module:
                yield from different(f"{module}.{name}", getattr(ours, name), expected)


def different(path: str, ours: Any, expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield the official names that `ours` lacks; `path` itself for another value."""
    named = [name for name in expected.get("parameters") or () if not name.startswith("*")]
    starred = len(named) < len(expected.get("parameters") or ())
    found = surface.parameters(ours) or []
    if found[: len(named)] != named or (starred and not any(name.startswith("*") for name in found)):
        yield f"{path}()"
    if "value" in expected and not includes(json.loads(json.dumps(ours, default=str)), expected["value"]):
        yield path
    for name, member in expected.get("members", {}).items():
        if hasattr(ours, name):
            yield from different(f"{path}.{name}", getattr(ours, name), member)
        else:
            yield f"{path}.{name}"
    for name in expected.get("attributes", ()):
        if name not in expected["members"] and not has_attribute(ours, name):
            yield f"{path}.{name}"


def includes(ours: Any, expected: Any) -> bool:
    """Return whether `ours` is `expected`, or a dict with at least its entries."""
    if isinstance(expected, dict) and isinstance(ours, dict):
        return expected.items() <= ours.items()
    return bool(ours == expected)


def has_attribute(kind: type, name: str) -> bool:
    annotated = any(name in getattr(base, "__annotations__", {}) for base in kind.__mro__)
    return (
        hasattr(kind, name)
        or annotated
        or any(
            name in surface.assigned(each)
            for each in kind.__mro__[:-1]
            if each.__module__.startswith("targetry")
        )
    )


def covers(listed: str, name: str) -> bool:
    return fnmatchcase(name, listed) or name.startswith(f"{listed}.")


@pytest.fixture(scope="module")
def official() -> dict[str, dict[str, Any]]:
    if not OFFICIAL_PYTHON:
        pytest.skip("TARGETRY_OFFICIAL_PYTHON names no interpreter with target-python-sdk 1.1.0")
    command = [OFFICIAL_PYTHON, "-W", "ignore", surface.__file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    read: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return read


def test_every_name_of_the_official_package_is_here_or_listed_as_missing(
    official: dict[str, dict[str, Any]],
) -> None:
    missing = set(differences(official))
    assert sorted(name for name in missing if not any(covers(each, name) for each in LISTED)) == []
    assert [each for each in LISTED if not any(covers(each, name) for name in missing)] == []


@each_case("name", [name for name in LISTED if not re.search(r"[*(]", name) and name not in CHANGED])
def test_name_that_is_listed_as_missing_is_missing(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    try:
        owner = importlib.import_module(module)
    except ModuleNotFoundError:
        owner = getattr(importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2])
    assert not hasattr(owner, attribute)
