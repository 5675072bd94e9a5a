"""Writer of YAML documents that `parse_yaml` reads back as the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_INDENT: Final = "  "
_LONGEST_KEY: Final = 100  # characters; YAML allows short keys only where no `?` stands before them
_PLAIN: Final = re.compile(r"[A-Za-z_(/][^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]*")
_RESERVED: Final = frozenset({"null", "true", "false"})
_PRINTABLE: Final = re.compile(
    r"[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffd]*"
)


def write_yaml(value: Any) -> str:
    """Return a document of maps, lists, texts, numbers, booleans and nulls."""
    return "".join(f"{line}\n" for line in _block(value))


def _block(value: Any) -> Iterator[str]:
    """Yield the lines of a value that stands on lines of its own."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _entry(_key(key), one)
    elif isinstance(value, (list, tuple)) and value:
        for one in value:
            yield from _item(one)
    else:
        first, *rest = _scalar_lines(value)
        yield first
        yield from rest


def _key(key: str) -> str:
    text = _scalar(key)
    return f"? {text}\n:" if len(key) > _LONGEST_KEY else f"{text}:"


def _entry(head: str, value: Any) -> Iterator[str]:
    if "\n" in head:
        mark, head = head.split("\n")
        yield mark
    if _is_nested(value):
        yield head
        indent = "" if isinstance(value, (list, tuple)) and head != ":" else _INDENT
        yield from (f"{indent}{line}" if line else line for line in _block(value))
    else:
        first, *rest = _scalar_lines(value)
        yield f"{head} {first}"
        yield from (f"{_INDENT}{line}" if line else line for line in rest)


def _item(value: Any) -> Iterator[str]:
    lines = list(_block(value)) if _is_nested(value) else _scalar_lines(value)
    yield f"- {lines[0]}"
    yield from (f"{_INDENT}{line}" if line else line for line in lines[1:])


def _is_nested(value: Any) -> bool:
    """Return whether a value needs lines of its own; lists of numbers do not."""
    return isinstance(value, (dict, list, tuple)) and bool(value) and not _is_short(value)


def _is_short(value: Any) -> bool:
    if isinstance(value, (list, tuple)) and len(value) <= 8:
        return all(_is_short(one) or isinstance(one, (int, float)) for one in value)
    return False


def _scalar_lines(value: Any) -> list[str]:
    """Return the lines of a scalar, the first without indentation; several for a block of text."""
    if isinstance(value, str) and "\n" in value and _fits_block(value):
        end = (
            ""
            if value.endswith("\n") and not value.endswith("\n\n")
            else "+"
            if value.endswith("\n")
            else "-"
        )
        text = value[:-1] if value.endswith("\n") else value
        return [f"|{end}", *text.split("\n")]
    return [_scalar(value)]


def _fits_block(text: str) -> bool:
    return text[0] not in " \t\n" and text.strip() != "" and _PRINTABLE.fullmatch(text) is not None


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_scalar, value))}]"
    return "{}"


def _text(text: str) -> str:
    is_plain = (
        _PLAIN.fullmatch(text) is not None
        and text not in _RESERVED
        and ": " not in text
        and " #" not in text
        and not text.endswith((":", " "))
        and _PRINTABLE.fullmatch(text) is not None
    )
    if is_plain:
        return text
    if "\n" not in text and "\t" not in text and _PRINTABLE.fullmatch(text) is not None:
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if _PRINTABLE.fullmatch(character) is not None:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
