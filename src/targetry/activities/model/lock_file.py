"""Lock: the ids and windows that compiled activities have, in the file `targetry.lock`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import msgspec

from targetry.activities.model.windows import WHOLE, Span

LOCK_VERSION: Final = 1


class LockError(Exception):
    """A text is no lock, or one of another version; `line` counts from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class LockedExperience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Id and windows of an experience; one that was removed has no windows, and keeps its id."""

    id: int
    windows: list[Span] = []


class LockedActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Id, traffic and experiences of an activity by their keys."""

    id: int
    traffic: int = WHOLE
    experiences: dict[str, LockedExperience] = {}


class LockedGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Windows of a group that show nothing.

    `holdout` sees no member. `rest` has the windows in the slice of a member that no experience
    uses, of former members the whole slice.
    """

    id: int
    holdout: list[Span] = []
    rest: dict[str, list[Span]] = {}


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of a lock, by the keys of activities and the names of groups."""

    version: int = LOCK_VERSION
    activities: dict[str, LockedActivity] = {}
    groups: dict[str, LockedGroup] = {}


def parse_lock(text: str) -> Lock:
    """Parse a lock. Raises `LockError`."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise LockError("it is not JSON") from None
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise LockError("it is not JSON", line) from None
    version = document.get("version") if isinstance(document, dict) else None
    if version != LOCK_VERSION:
        raise LockError(f"it has version {version!r}, and this Targetry reads version {LOCK_VERSION}")
    try:
        lock = msgspec.convert(document, Lock)
    except msgspec.ValidationError as error:
        raise LockError(f"it is not a lock: {error}") from None
    for windows in _all_windows(lock):
        if any(not 0 <= low < high <= WHOLE for low, high in windows):
            raise LockError("it has a window that is not within 0 and 10000")
    return lock


def _all_windows(lock: Lock) -> list[list[Span]]:
    found = [one.windows for activity in lock.activities.values() for one in activity.experiences.values()]
    for group in lock.groups.values():
        found += [group.holdout, *group.rest.values()]
    return found


def render_lock(lock: Lock) -> str:
    """Return the text of a lock, with one line for each experience."""
    parts = [f'"version": {lock.version}', _section("activities", lock.activities)]
    if lock.groups:
        parts.append(_section("groups", lock.groups))
    return "{\n" + ",\n".join(f"  {part}" for part in parts) + "\n}\n"


def _section(name: str, entries: Mapping[str, LockedActivity | LockedGroup]) -> str:
    lines = [f"    {json.dumps(key)}: {_entry(one)}" for key, one in sorted(entries.items())]
    return f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }" if lines else f"{json.dumps(name)}: {{}}"


def _entry(entry: LockedActivity | LockedGroup) -> str:
    """Return an entry: short values on its first line, one line for each part of its map."""
    fields = msgspec.to_builtins(entry)
    name = "experiences" if isinstance(entry, LockedActivity) else "rest"
    parts = sorted(fields.pop(name).items())
    head = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(fields.items()))
    lines = ",\n".join(f"        {json.dumps(key)}: {json.dumps(value)}" for key, value in parts)
    inner = f"{{\n{lines}\n      }}" if lines else "{}"
    return f"{{\n      {head},\n      {json.dumps(name)}: {inner}\n    }}"
