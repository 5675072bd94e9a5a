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

from targetry.humanize.text import escape_control_characters


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
        out.print(Text.assemble(("note: ", "yellow"), escape_control_characters(note)))


def print_error(message: str) -> None:
    console(stderr=True).print(
        Text.assemble(("error: ", "bold red"), escape_control_characters(message)), soft_wrap=True
    )
