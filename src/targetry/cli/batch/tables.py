"""Tables of reports, on a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from targetry.cli.rendering.output import console
from targetry.humanize.text import escape_control_characters


class ReportFormat(StrEnum):
    """Output as a table, JSON or Markdown."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


Output = Annotated[ReportFormat, typer.Option("--output", "-o", help="Output format.")]


def print_table(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    output: ReportFormat,
    right: Sequence[int] = (),
) -> None:
    """Print a table; `right` are the numbers of its columns that are aligned to the right."""
    if output is ReportFormat.MARKDOWN:
        _print_markdown(title, heads, rows, right)
        return
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape_control_characters, row))
    console().print(table)


def _print_markdown(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]
) -> None:
    lines = [f"**{_cell(title)}**", "", _line(heads)]
    lines.append(_line(["---:" if number in right else "---" for number in range(len(heads))]))
    lines += [_line([_cell(cell) for cell in row]) for row in rows]
    typer.echo("\n".join([*lines, ""]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    for sign in ("\\", "|", "<", "`", "*", "_", "["):
        text = text.replace(sign, "\\" + sign)
    return escape_control_characters(text)
