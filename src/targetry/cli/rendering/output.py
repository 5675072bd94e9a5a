"""Output of the commands: results on stdout, notes and errors on stderr, colors on terminals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from targetry.humanize.text import escape_control_characters


class TextOrJson(StrEnum):
    """Output as text or JSON."""

    TEXT = "text"
    JSON = "json"


class TableOrJson(StrEnum):
    """Output as a table or JSON."""

    TABLE = "table"
    JSON = "json"


TableFile = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        help="File to write: .parquet, .arrow, .csv or .jsonl.",
        show_default=False,
    ),
]


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text without markup: names and content are not trusted."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, structs with their JSON names."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=encoding != "utf8")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_notes(notes: Iterable[str]) -> None:
    """Print notes on the result to stderr, each once."""
    out = console(stderr=True)
    for note in dict.fromkeys(notes):
        out.print(Text.assemble(("note: ", "yellow"), escape_control_characters(note)))


def wrong_option(option: str, reason: str) -> typer.BadParameter:
    """Return the error of an option, such as `--time`, whose value is wrong."""
    return typer.BadParameter(reason, param_hint=f"'{option}'")


def print_error(message: str) -> None:
    """Print an error to stderr."""
    console(stderr=True).print(
        Text.assemble(("error: ", "bold red"), escape_control_characters(message)), soft_wrap=True
    )
