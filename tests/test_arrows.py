"""Imports point one way: each room of the house names those that it may import, wherever in a file the import stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "targetry"

# room → the rooms that it may import, besides leaves
ARROWS = {
    "models": set(),
    "device": {"models"},
    "delivery": {"models", "visitor"},
    "background": {"models", "delivery"},
    "wording": {"models", "device"},
    "edge": {"models", "device", "delivery", "background", "wording", "samples"},
}
LEAVES = {
    "checks",
    "daemon_threads",
    "entropy",
    "errors",
    "events",
    "forks",
    "ids",
    "lazy_import",
    "logs",
    "messages",
    "sync_primitives",
    "threads",
    "version",
}
# guest → the files that may import it
HOSTS = {
    "cli": {"__main__.py"},
    "edge": {"testing.py", "cli/edge.py", "cli/demo_edge.py", "cli/report.py", "cli/ledger.py"},
}


def imports(file: Path) -> Iterator[str]:
    """Full names of what a file imports of ours."""
    package = ("targetry", *file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            names = [f"{module}.{one.name}" for one in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith("targetry."))


def rooms(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file)}


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = {
        str(file.relative_to(ROOT)): others
        for file in (ROOT / room).rglob("*.py")
        if (others := rooms(file) - ARROWS[room] - LEAVES - {room})
    }
    assert wrong == {}


@pytest.mark.parametrize("guest", HOSTS)
def test_a_guest_is_imported_by_its_hosts_alone(guest: str) -> None:
    files = (file for file in ROOT.rglob("*.py") if file.relative_to(ROOT).parts[0] != guest)
    assert {file.relative_to(ROOT).as_posix() for file in files if guest in rooms(file)} == HOSTS[guest]
