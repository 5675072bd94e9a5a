"""Readers of mappings and sequences of any class, through their own methods.

Subclasses of dict and list can store other data than they show: Werkzeug's `MultiDict` and Django's
`QueryDict` store lists, `CombinedMultiDict` stores nothing at all. Code in C that reads the storage
directly gets that instead of what `items()` and `__iter__` give.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import Any, Final, cast

import msgspec

_PLAIN: Final = frozenset({str, int, float, bool, type(None), datetime})

MAX_ENTRIES: Final = 100_000
"""Bound of iterators, which can be endless; no request that the API accepts has nearly as many."""


class TooManyEntriesError(ValueError):
    """Error of an iterator with more than `MAX_ENTRIES`; its text is a reason without a path."""

    def __init__(self) -> None:
        super().__init__(f"must not have more than {MAX_ENTRIES} entries")


def read_mapping(value: object) -> dict[Any, Any] | None:
    """Return the entries of a mapping as a new dict, None for anything else.

    If `items()` lists several values of a name, the mapping's own `[name]` decides.

    Raises:
        TooManyEntriesError: There are more than `MAX_ENTRIES`.
        Exception: Any that the mapping raises.
    """
    if type(value) is dict:
        return dict(value)
    if not issubclass(type(value), Mapping):
        return None
    mapping = cast(Mapping[Any, Any], value)
    entries: dict[Any, Any] = {}
    for key, item in _bounded(mapping.items()):
        entries[key] = mapping[key] if key in entries else item
    return entries


def read_sequence(value: object) -> list[Any] | None:
    """Return the items of a sequence as a new list, None for anything else, and for texts.

    Raises:
        TooManyEntriesError: There are more than `MAX_ENTRIES`.
        Exception: Any that the sequence raises.
    """
    if type(value) is list or type(value) is tuple:
        return list(value)
    if issubclass(type(value), Sequence) and not issubclass(
        type(value), str | bytes | bytearray | memoryview
    ):
        return read_iterable(cast(Sequence[Any], value))
    return None


def read_iterable(value: Iterable[Any]) -> list[Any]:
    """Return the items of an iterable as a new list.

    Raises:
        TooManyEntriesError: There are more than `MAX_ENTRIES`.
        Exception: Any that the iterable raises.
    """
    return list(value) if type(value) is list or type(value) is tuple else list(_bounded(value))


def holds_plain_data(document: Any) -> bool:
    """Return whether a document consists of exactly dicts, lists and scalars, for code in C."""
    try:
        marshal.dumps(document)  # it writes no subclass, and looks at every value at the speed of C
    except ValueError:
        return False
    return True


def holds_plain_values(value: object) -> bool:
    """Return whether a model consists of exactly dicts, lists, scalars and enum members."""
    kind = type(value)
    if kind in _PLAIN or issubclass(kind, Enum):
        return True
    if kind is list or kind is tuple:
        items: Any = value
        return all(map(holds_plain_values, items))
    if kind is dict:
        entries: Any = value
        return all(map(holds_plain_values, entries.values()))
    if not isinstance(value, msgspec.Struct):
        return False
    return all(holds_plain_values(getattr(value, name, None)) for name in value.__struct_fields__)


def _bounded(items: Iterable[Any]) -> Iterable[Any]:
    iterator = iter(items)
    yield from islice(iterator, MAX_ENTRIES)
    for _ in iterator:
        raise TooManyEntriesError
