"""`targetry activities format`: the order of keys."""

from __future__ import annotations

from typing import Annotated

import typer

from targetry.activities.model.files import SETTINGS_FILE, ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.activities.model.formatter import format_file
from targetry.activities.model.yaml_values import YamlError
from targetry.cli.activities.folder import DEFAULT_FOLDER, FolderArgument, write_file
from targetry.cli.inputs.activity_folder import fail_with
from targetry.cli.rendering.output import console


def format_command(
    folder: FolderArgument = DEFAULT_FOLDER,
    is_check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file would change.")
    ] = False,
) -> None:
    """Sort the keys of the files in the order of the reference; comments move with their keys.

    \b
    [bold]Examples[/]
      targetry activities format
      targetry activities format --check
    """
    activities = ActivityFolder(folder)
    findings: list[Finding] = []
    changed: dict[str, str] = {}
    for name in activities.names():
        text = activities.read_text(name)
        try:
            formatted = format_file(text, is_settings=name == SETTINGS_FILE)
        except YamlError as error:
            findings.append(
                Finding(
                    code="TA001",
                    level="error",
                    message=f"not usable as YAML: {error}",
                    file=name,
                    line=error.line,
                    column=error.column,
                )
            )
            continue
        if formatted != text:
            changed[name] = formatted
    fail_with(folder, findings)
    for name, text in changed.items():
        if not is_check:
            write_file(activities.path / name, text)
        console().print(f"{name} {'would change' if is_check else 'was changed'}", soft_wrap=True)
    if is_check and changed:
        raise typer.Exit(1)
