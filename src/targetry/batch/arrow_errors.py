"""Reasons of errors of Arrow in plain words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final

_VALUES: Final = {
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


def reason_of(error: Exception, *, counts_rows: bool = False) -> str:
    """Return why a file could not be read or written.

    Arrow's texts of errors of the system have temporary paths and the number twice; those of JSON
    Lines have a notation of their own for fields.

    Args:
        error: Of Arrow, or of the system.
        counts_rows: Whether row numbers in the text are those of the file, not of a block of it.
    """
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return os.strerror(number)
    text = str(error)
    for pattern, in_words in _FORMS.items():
        if found := pattern.fullmatch(text):
            return in_words(found, counts_rows)
    return text


def _other_type(found: re.Match[str], counts_rows: bool) -> str:
    wanted, given = (_VALUES.get(found[name], found[name]) for name in ("wanted", "given"))
    if not found["field"]:
        return f"{_row(found, counts_rows)} is {given}, not {wanted}; write one object per line"
    field = found["field"].removeprefix("/").replace("/[]", "[]").replace("/", ".")
    row = _row(found, counts_rows)
    return f"{row} has {given} as {field!r}, not {wanted}; give the field one type in all rows"


def _not_json(found: re.Match[str], counts_rows: bool) -> str:
    reason = found["reason"].rstrip(". ")
    fault = f"{reason[:1].lower()}{reason[1:]}"
    return f"{_row(found, counts_rows)} is not JSON: {fault}; write one object per line"


def _empty(_found: re.Match[str], _counts_rows: bool) -> str:
    return "the file is empty"


def _row(found: re.Match[str], counts_rows: bool) -> str:
    return f"row {int(found['row']) + 1}" if counts_rows else "a row"


_FORMS: Final[dict[re.Pattern[str], Callable[[re.Match[str], bool], str]]] = {
    re.compile(
        r"JSON parse error: Column\((?P<field>.*)\) changed from (?P<wanted>\w+)"
        r" to (?P<given>\w+) in row (?P<row>\d+)",
        re.DOTALL,
    ): _other_type,
    re.compile(r"JSON parse error: (?P<reason>.*) in row (?P<row>\d+)", re.DOTALL): _not_json,
    re.compile(r"Empty (?:JSON stream|CSV file)"): _empty,
}
"""Forms of Arrow's texts with what they say; an unknown one stays as it is."""
