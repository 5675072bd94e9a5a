"""Direction of imports: the rooms that each room is allowed to import, and the drawn graph."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from support.syntax import statements

ROOT = Path(__file__).parent.parent / "src" / "targetry"

# room → the rooms that it may import, besides leaves
ARROWS = {
    "models": set(),
    "_runtime": {"models"},
    "device": {"_runtime", "models"},
    "flags": {"delivery", "device", "models", "visitor"},
    "http": {"_runtime"},
    "delivery": {"_runtime", "http", "models", "visitor"},
    "geo": {"_runtime", "http", "models"},
    "artifacts": {"_runtime", "geo", "http"},
    "notifications": {"_runtime", "delivery", "http", "models"},
    "batch": {"_runtime", "device", "models"},
    "humanize": {"device", "models"},
    "activities": {"_runtime", "device", "models"},
    "web": {"_runtime", "attributes", "delivery", "device", "flags", "models", "visitor"},
    "ledger": {"_runtime"},
    "report": {"_runtime", "activities", "humanize", "ledger"},
    "recording": {"_runtime", "device", "hooks", "http", "models"},
    "_client": {
        "_runtime",
        "artifacts",
        "attributes",
        "delivery",
        "device",
        "flags",
        "geo",
        "hooks",
        "http",
        "humanize",
        "models",
        "notifications",
        "visitor",
        "web",
    },
    "edge": {
        "activities",
        "_client",
        "_runtime",
        "delivery",
        "device",
        "flags",
        "geo",
        "hooks",
        "humanize",
        "ledger",
        "models",
        "recording",
        "report",
        "samples",
    },
}
LEAVES = {"errors", "events", "messages", "version"}
# guest → the files that may import it
HOSTS = {
    "cli": {"__main__.py"},
    "compat": set(),
    "contrib": set(),
    "edge": {"cli/demo_edge.py", "cli/edge.py", "testing/local_edge.py"},
    "openfeature": set(),
    "otel": set(),
    "pytest_plugin": set(),
    "spark": set(),
}


def modules() -> dict[str, Path]:
    """Return the files of the package by the full names of their modules."""
    found = {}
    for file in ROOT.rglob("*.py"):
        parts = ("targetry", *file.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


@cache
def imports(file: Path) -> frozenset[str]:
    """Return the full names of all that a file imports, in functions too."""
    return frozenset(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    package = ("targetry", *file.relative_to(ROOT).parts[:-1])
    for node in statements(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{module}.{one.name}" for one in node.names)


def rooms(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file) if name.startswith("targetry.")}


@pytest.mark.parametrize("room", ARROWS)
def test_room_imports_only_the_rooms_of_its_entry(room: str) -> None:
    wrong = {
        str(file.relative_to(ROOT)): others
        for file in (ROOT / room).rglob("*.py")
        if (others := rooms(file) - ARROWS[room] - LEAVES - {room})
    }
    assert wrong == {}


@pytest.mark.parametrize("guest", HOSTS)
def test_guest_is_imported_by_its_hosts_only(guest: str) -> None:
    files = (
        file for file in MODULES.values() if file.relative_to(ROOT).parts[0] not in (guest, f"{guest}.py")
    )
    assert {file.relative_to(ROOT).as_posix() for file in files if guest in rooms(file)} == HOSTS[guest]


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        name: {
            module
            for imported in imports(file)
            if (module := imported if imported in MODULES else imported.rpartition(".")[0]) in MODULES
            and module != name
        }
        for name, file in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


# A folder is a room, and so is each module next to the package's own `__init__.py`. A subject is a
# room with the folders in it.
MOST_FILES, MOST_ROOMS, MOST_FLOORS = 15, 50, 12
MOST_SUBJECTS, MOST_FLOORS_OF_SUBJECTS = 30, 10
# Folders with more files than that. The list must shrink.
LARGE_FOLDERS: set[str] = set()


@cache
def folder(module: str) -> str:
    """Return the room of a module: its folder, or the module itself at the root."""
    parts = MODULES[module].relative_to(ROOT).parts
    return "/".join(parts[:-1]) or parts[0].removesuffix(".py")


def drawing() -> dict[str, set[str]]:
    """Return the rooms that each room imports, for annotations and inside functions too."""
    drawn: dict[str, set[str]] = {folder(module): set() for module in MODULES}
    for module, file in MODULES.items():
        for imported in imports(file):
            target = imported if imported in MODULES else imported.rpartition(".")[0]
            if target in MODULES and folder(target) != folder(module):
                drawn[folder(module)].add(folder(target))
    return drawn


def test_no_folder_holds_more_than_fifteen_files() -> None:
    sizes = {
        place.relative_to(ROOT).as_posix(): count
        for place in ROOT.rglob("*")
        if place.is_dir() and (count := len(list(place.glob("*.py")))) > MOST_FILES
    }
    assert set(sizes) - {"models"} == LARGE_FOLDERS


def test_imports_between_folders_form_no_circle() -> None:
    drawn = drawing()
    circled = {
        room for room, others in drawn.items() if any(room in reachable(other, drawn) for other in others)
    }
    assert circled == set()


def reachable(start: str, drawn: dict[str, set[str]]) -> set[str]:
    """Return the rooms that can be reached from one along arrows, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        more = drawn[waiting.pop()] - found
        found |= more
        waiting += more
    return found


def floors(drawn: dict[str, set[str]]) -> dict[str, int]:
    """Return the floor of each room: one above the highest room that it imports."""
    found: dict[str, int] = {}
    for room in TopologicalSorter(drawn).static_order():
        found[room] = 1 + max((found[other] for other in drawn[room]), default=0)
    return found


def folders(drawn: dict[str, set[str]]) -> list[str]:
    return [room for room in drawn if (ROOT / room).is_dir()]


def test_drawing_has_few_rooms_and_floors() -> None:
    drawn = drawing()
    assert len(folders(drawn)) <= MOST_ROOMS
    assert max(floors(drawn).values()) <= MOST_FLOORS, sorted(floors(drawn).items(), key=lambda one: one[1])


def test_drawing_of_subjects_has_few_subjects_and_floors() -> None:
    drawn: dict[str, set[str]] = {}
    for room, others in drawing().items():
        subject = room.partition("/")[0]
        drawn.setdefault(subject, set()).update(other.partition("/")[0] for other in others)
        drawn[subject].discard(subject)
    assert len(folders(drawn)) <= MOST_SUBJECTS
    assert max(floors(drawn).values()) <= MOST_FLOORS_OF_SUBJECTS


PURE_ROOMS = ("activities", "delivery", "device", "flags", "models", "web")
# Files of pure rooms that do I/O for the commands.
IMPURE_FILES = frozenset({"activities/model/files.py"})
# Modules of clocks, random numbers, files, sockets, processes and threads.
IMPURE = frozenset(
    [
        "asyncio",
        "glob",
        "io",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "zoneinfo",
    ]
)
IMPURE_CALLS = frozenset({"open", "input", "now", "utcnow", "today", "uuid1", "uuid4"})
# Modules that start threads; all others use `start_daemon_thread`.
THREAD_STARTERS = frozenset({"_runtime/daemon_threads.py", "edge/supervisor.py"})


def calls(file: Path, names: Collection[str]) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of functions and methods with these names, each with its name."""
    text = file.read_text("utf-8")
    if re.search(rf"\b(?:{'|'.join(names)})\(", text) is None:
        return  # which is faster than the syntax tree
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in names:
                yield name, node


def imported_packages(file: Path) -> set[str]:
    """Return the top-level names of the packages that a file imports."""
    return {name.partition(".")[0] for name in imports(file)}


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_pure_room_does_no_io_and_reads_no_clock(room: str) -> None:
    impure = {
        file.relative_to(ROOT).as_posix(): found
        for file in (ROOT / room).rglob("*.py")
        if file.relative_to(ROOT).as_posix() not in IMPURE_FILES
        and (found := (imported_packages(file) & IMPURE) | {name for name, _ in calls(file, IMPURE_CALLS)})
    }
    assert impure == {}


def test_threads_are_started_as_daemons_in_one_place() -> None:
    starters, names = set(), ("Thread", "Timer", "ThreadPoolExecutor")
    for file in MODULES.values():
        for _, call in calls(file, names):
            starters.add(file.relative_to(ROOT).as_posix())
            daemon = [one.value for one in call.keywords if one.arg == "daemon"]
            assert [isinstance(one, ast.Constant) and one.value for one in daemon] == [True], file
    assert starters <= THREAD_STARTERS
