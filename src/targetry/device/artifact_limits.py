"""Limits on what an artifact holds, checked before the objects for it are made.

Bytes alone bound nothing: a packed artifact of some hundred kilobytes may hold millions of tiny rules. The checks scan
the JSON text for its structural characters, which is much cheaper than to decode it, and only where the text is so long that
it could exceed a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MAX_VALUES: Final = 4_000_000
"""JSON values of an artifact. Real ones have one in 15 to 30 bytes."""

MAX_ENTRIES: Final = 100_000
"""Rules, locations, names in one list, values of the artifact's meta, values of one rule, property tokens."""

MAX_COMPILED_NODES: Final = 100_000
"""Nodes of all conditions of different shape; one that differs from another in its literals only costs nothing."""

MAX_RULE_TOKENS: Final = 1_000
"""Property tokens of one rule."""

MAX_SURROGATES: Final = 1_000_000
"""Escaped halves of surrogate pairs, where some of them have to be replaced."""

_HARMLESS_VALUES: Final = 1_000_000  # may be decoded before they are counted exactly
_CHUNK: Final = 1 << 20
_NOT_A_BACKSLASH: Final = re.compile(rb"[^\\]")
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b"{}[],"))
_COMMA: Final = ord(",")
_OPENING: Final = frozenset(b"{[")


class LimitExceededError(Exception):
    """An artifact, or a rule of it, holds more than a limit allows; the text names the limit. Never leaves this package."""


def may_exceed_limits(text: bytes) -> bool:
    """Return whether decoding the whole text might take much memory. Counts characters within texts too."""
    if len(text) <= MAX_VALUES:
        return False
    return text.count(b",") + text.count(b"[") + text.count(b"{") > _HARMLESS_VALUES


def check_values(what: str, data: bytes | msgspec.Raw, limit: int) -> None:
    """Raise `LimitExceededError` if JSON text holds more than `limit` values."""
    if memoryview(data).nbytes <= limit:
        return
    values = 1
    for structure in _structures(data):
        values += structure.count(b",") + structure.count(b"[") + structure.count(b"{")
        if values > limit:
            raise LimitExceededError(f"{what} holds more than {limit} values")


def check_locations(holder: str, data: msgspec.Raw) -> None:
    """Raise `LimitExceededError` if an object of lists has too many members, or its lists too many items in all."""
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
        # A list has one item more than commas, or none: this is never more than there are.
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
        end = boundary.end() if boundary is not None else len(view)  # behind a character that escapes nothing
        chunk = view[start:end].tobytes()
        if b"\\" in chunk:
            chunk = chunk.replace(rb"\\", b"").replace(rb"\"", b"")
        pieces = chunk.split(b'"')
        yield b"".join(pieces[is_string::2]).translate(None, _NOT_STRUCTURE)
        is_string ^= len(pieces) % 2 == 0
        start = end
