"""Folders of activities as commands take them: loaded, compiled, and their mistakes printed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.text import Text

from targetry.activities.compile.compiler import Compilation, compile_activities
from targetry.activities.compile.loading import LoadedFolder, load_folder
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import Lock
from targetry.cli.rendering.output import console
from targetry.humanize.text import escape_control_characters


def compiled_folder(
    folder: ActivityFolder,
    *,
    shown: str | None = None,
    lock: Lock | None = None,
    relayout: Iterable[str] = (),
    generated_at: str | None = None,
) -> tuple[LoadedFolder, Compilation]:
    """Return a folder's files and its compilation.

    Args:
        folder: The folder.
        shown: The folder in messages. Default: its path.
        lock: The lock in place of the folder's.
        relayout: Keys and groups that are laid out afresh.
        generated_at: The time in the artifact.

    Raises:
        Exit: The files have errors, which were printed.
    """
    loaded = load_folder(folder)
    return loaded, compiled_files(
        shown or folder.path, loaded, lock=lock, relayout=relayout, generated_at=generated_at
    )


def compiled_artifact(path: Path, environment: str | None, *, shown: str | None = None) -> dict[str, Any]:
    """Return the artifact of a folder in an environment.

    Args:
        path: The folder.
        environment: The environment. Default: the only one, or production.
        shown: The folder in messages. Default: its path.

    Raises:
        Exit: The files have errors, which were printed.
        BadParameter: There is no such environment.
    """
    _, result = compiled_folder(ActivityFolder(path), shown=shown)
    return result.artifacts[chosen_environment(result, environment)]


def compiled_files(
    shown: str | Path,
    loaded: LoadedFolder,
    *,
    lock: Lock | None = None,
    relayout: Iterable[str] = (),
    generated_at: str | None = None,
) -> Compilation:
    """Return the compilation of loaded files; arguments and errors as of `compiled_folder`."""
    fail_with(shown, loaded.findings)
    assert loaded.activities is not None  # it would be a finding
    result = compile_activities(
        loaded.activities, lock or loaded.lock, relayout=relayout, generated_at=generated_at
    )
    fail_with(shown, result.findings)
    return result


def located(shown: str | Path, finding: Finding) -> Finding:
    """Return a finding with the folder in the name of its file."""
    return msgspec.structs.replace(finding, file=(Path(shown) / finding.file).as_posix())


def fail_with(shown: str | Path, findings: Iterable[Finding]) -> None:
    """Print findings to stderr, with their folder as it is shown; raise `Exit` if there is one."""
    found = sorted(
        (located(shown, one) for one in findings), key=lambda one: (one.file, one.line, one.column)
    )
    out = console(stderr=True)
    for finding in found:
        out.print(Text(escape_control_characters(str(finding))), soft_wrap=True)
    if found:
        raise typer.Exit(1)


def chosen_environment(result: Compilation, name: str | None) -> str:
    """Return the environment that an option selects. Raises `BadParameter`."""
    names = list(result.artifacts)
    chosen = name or ("production" if "production" in names else names[0] if len(names) == 1 else "")
    if chosen not in names:
        message = f"environments are {', '.join(names)}"
        raise typer.BadParameter(message, param_hint="'--environment'")
    return chosen
