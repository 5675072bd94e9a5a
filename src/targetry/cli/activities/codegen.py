"""`targetry activities codegen`: a typed Python module for the application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from targetry.activities.model.files import ActivityFolder
from targetry.activities.review.codegen import generate_module
from targetry.cli.activities.folder import DEFAULT_FOLDER, FolderArgument, write_file
from targetry.cli.inputs.activity_folder import compiled_folder
from targetry.errors import TargetError


def codegen(
    output: Annotated[Path, typer.Option("--output", "-O", metavar="FILE.py", help="The module.")],
    folder: FolderArgument = DEFAULT_FOLDER,
    is_check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the module is out of date.")
    ] = False,
) -> None:
    """Write a Python module with the types of mboxes, keys and JSON offers, for type checkers.

    \b
    [bold]Examples[/]
      targetry activities codegen -O shop/activities.py
      targetry activities codegen -O shop/activities.py --check
    """
    loaded, result = compiled_folder(ActivityFolder(folder))
    assert loaded.activities is not None  # it compiles
    text = generate_module(loaded.activities, result.layout)
    if not is_check:
        write_file(output, text)
        return
    try:
        current = output.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        current = None
    if current != text:
        raise TargetError(f"{output} is out of date; run targetry activities codegen -O {output}")
