"""Limits on the contents of an artifact, checked before objects are created.

The size in bytes bounds nothing: a compressed artifact of some hundred kilobytes can hold millions
of tiny rules. The checks scan the JSON text for its structural characters, which is much cheaper
than decoding, and only if the text is long enough to exceed a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MAX_VALUES: Final = 4_000_000
"""JSON values of an artifact. Real ones have one in 15 to 30 bytes."""

MAX_ENTRIES: Final = 100_000
"""Rules, locations, property tokens, names in one list, values of one rule or of the meta."""

MAX_COMPILED_NODES: Final = 100_000
"""Nodes of all conditions of different shape.

Conditions that differ in literals only count once.
"""

MAX_RULE_TOKENS: Final = 1_000
"""Property tokens of one rule."""

MAX_SURROGATES: Final = 1_000_000
"""Escaped surrogates in a text in which some have to be replaced."""

_HARMLESS_VALUES: Final = 1_000_000  # decoded without an exact count
_CHUNK: Final = 1 << 20
_NOT_A_BACKSLASH: Final = re.compile(rb"[^\\]")
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b"{}[],"))
_COMMA: Final = ord(",")
_OPENING: Final = frozenset(b"{[")


class LimitExceededError(Exception):
    """An artifact or a rule exceeds a limit; the text names it.

    Callers turn it into `ArtifactError`.
    """


def may_exceed_limits(text: bytes) -> bool:
    """Return whether decoding the text might take much memory; an overestimate."""
    if len(text) <= MAX_VALUES:
        return False
    return text.count(b",") + text.count(b"[") + text.count(b"{") > _HARMLESS_VALUES


def check_values(what: str, data: bytes | msgspec.Raw, limit: int) -> None:
    """Raise `LimitExceededError` if the JSON text `data` has more than `limit` values."""
    if memoryview(data).nbytes <= limit:
        return
    values = 1
    for structure in _structures(data):
        values += structure.count(b",") + structure.count(b"[") + structure.count(b"{")
        if values > limit:
            raise LimitExceededError(f"{what} holds more than {limit} values")


def check_locations(holder: str, data: msgspec.Raw) -> None:
    """Raise `LimitExceededError` if an object of lists has too many members or items in total."""
    depth = locations = rules = 0
    for structure in _structures(data):
        for character in structure:
            if character == _COMMA:
                locations += depth == 1
                rules += depth == 2
            elif character in _OPENING:
                depth += 1
            else:
                depth -= 1
        check_count(holder, locations, "locations")
        # A list has one item more than commas, or none, so this is a lower bound.
        check_count(holder, rules - locations, "rules")


def check_count(holder: str, count: int, things: str, limit: int = MAX_ENTRIES) -> None:
    """Raise `LimitExceededError` if `count` is more than `limit`."""
    if count > limit:
        raise LimitExceededError(f"{holder} more than {limit} {things}")


def _structures(data: bytes | msgspec.Raw) -> Iterator[bytes]:
    """Yield the brackets, braces and commas of JSON text that are outside of its strings."""
    view = memoryview(data)
    start, is_string = 0, False
    while start < len(view):
        boundary = _NOT_A_BACKSLASH.search(view, min(start + _CHUNK, len(view)) - 1)
        end = boundary.end() if boundary is not None else len(view)  # after a character that is no backslash
        chunk = view[start:end].tobytes()
        if b"\\" in chunk:
            chunk = chunk.replace(rb"\\", b"").replace(rb"\"", b"")
        pieces = chunk.split(b'"')
        yield b"".join(pieces[is_string::2]).translate(None, _NOT_STRUCTURE)
        is_string ^= len(pieces) % 2 == 0
        start = end
