"""`targetry activities check`: mistakes in the files of activities."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from targetry.activities.lint.catalog import RULES
from targetry.activities.lint.checker import check_folder
from targetry.activities.lint.formats import FORMATS
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.cli.activities.folder import DEFAULT_FOLDER, FolderArgument, Purpose, PurposeOption
from targetry.cli.inputs.activity_folder import located
from targetry.cli.rendering.output import console
from targetry.humanize.text import escape_control_characters

_COLORS: Final = {"error": "bold red", "warning": "yellow"}


class FindingsFormat(StrEnum):
    """Output of findings."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


_Codes = Annotated[
    list[str] | None,
    typer.Option(
        "--select", metavar="CODE", help="Only rules that start with CODE; repeatable.", show_default=False
    ),
]


def check(
    folder: FolderArgument = DEFAULT_FOLDER,
    strict: Annotated[bool, typer.Option("--strict", help="Fail with warnings too.")] = False,
    output: Annotated[
        FindingsFormat, typer.Option("--output", "-o", help="Output format.")
    ] = FindingsFormat.TEXT,
    select: _Codes = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore", metavar="CODE", help="No rules that start with CODE; repeatable.", show_default=False
        ),
    ] = None,
    purpose: PurposeOption = Purpose.EDGE,
) -> None:
    """Find mistakes in the files of activities. Nothing is written.

    The exit status is 1 with an error, and with `--strict` with a warning.

    \b
    [bold]Examples[/]
      targetry activities check
      targetry activities check --strict --ignore TA211
      targetry activities check -o github
      targetry activities check -o sarif > findings.sarif
    """
    chosen, left_out = _codes("--select", select), _codes("--ignore", ignore)
    findings = check_folder(
        ActivityFolder(folder),
        int(time.time() * 1000),
        is_for_adobe=purpose is Purpose.ADOBE_REPORTING,
    )
    found = [
        located(folder, one)
        for one in findings
        if one.code.startswith(chosen or ("TA",)) and not one.code.startswith(left_out)
    ]
    if output is FindingsFormat.TEXT:
        _print(folder, found)
    else:
        sys.stdout.write(FORMATS[output.value](found))
        sys.stdout.flush()
    if any(strict or one.level == "error" for one in found):
        raise typer.Exit(1)


def _codes(option: str, given: Sequence[str] | None) -> tuple[str, ...]:
    codes = tuple(code.strip() for one in given or () for code in one.split(","))
    for code in codes:
        if not code or not any(rule.startswith(code) for rule in RULES):
            raise typer.BadParameter(f"no rule starts with {code!r}", param_hint=f"'{option}'")
    return codes


def _print(folder: Path, findings: list[Finding]) -> None:
    out = console()
    for one in findings:
        place, level, text = str(one).partition(f"{one.level} {one.code}")
        parts = (
            escape_control_characters(place),
            (level, _COLORS[one.level]),
            escape_control_characters(text),
        )
        out.print(Text.assemble(*parts), soft_wrap=True)
    counts = [_count(sum(one.level == level for one in findings), level) for level in _COLORS]
    console(stderr=True).print(f"{folder}: {', '.join(counts)}", soft_wrap=True)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
