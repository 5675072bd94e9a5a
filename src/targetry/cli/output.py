"""What is printed and where: results on stdout, everything else on stderr; colours for terminals only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

_SHOWN_CHARACTERS = 400


class TextOrJson(StrEnum):
    TEXT = "text"
    JSON = "json"


class TableOrJson(StrEnum):
    TABLE = "table"
    JSON = "json"


def console(*, stderr: bool = False) -> Console:
    """Where text goes. Nothing that is printed is markup: names and contents are other people's."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print JSON and nothing else; msgspec's structs are written with the names of the wire."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=encoding != "utf8")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know besides the result."""
    out = console(stderr=True)
    for note in dict.fromkeys(notes):
        out.print(Text.assemble(("note: ", "yellow"), visible(note)))


def print_error(message: str) -> None:
    console(stderr=True).print(Text.assemble(("error: ", "bold red"), visible(message)), soft_wrap=True)


def visible(text: str) -> str:
    """The text without what a terminal would take for commands."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def shortened(text: str) -> str:
    """The text, or its beginning and how much there is of it."""
    text = visible(text)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def compact(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)
