"""`targetry activities compile` and `lock`: write artifacts and the lock."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from targetry.activities.compile.compiler import artifact_bytes
from targetry.activities.compile.loading import LoadedFolder, load_folder
from targetry.activities.lint.token_rules import derived_tokens
from targetry.activities.model.files import LOCK_FILE, ActivityFolder
from targetry.activities.model.lock_file import Lock
from targetry.cli.activities.folder import (
    DEFAULT_FOLDER,
    EnvironmentOption,
    FolderArgument,
    Purpose,
    PurposeOption,
    check_lock,
    only_compiler,
    write_file,
    write_lock,
)
from targetry.cli.inputs.activity_folder import chosen_environment, compiled_files, compiled_folder, fail_with
from targetry.cli.inputs.git_revision import lock_at
from targetry.cli.rendering.output import print_notes
from targetry.device.obfuscation import obfuscate

_SOURCES: Final = (".yaml", ".yml", ".lock")


def compile_command(
    folder: FolderArgument = DEFAULT_FOLDER,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-O",
            metavar="FILE",
            help="The artifact, whose folder is created if it is missing; '-' is stdout.",
            show_default=False,
        ),
    ] = None,
    environment: EnvironmentOption = None,
    all_environments: Annotated[
        Path | None,
        typer.Option(
            "--all-environments",
            metavar="OUTDIR",
            help="Folder for the artifacts of all environments.",
            show_default=False,
        ),
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Fail if targetry.lock is out of date, and never write it.")
    ] = False,
    is_obfuscated: Annotated[bool, typer.Option("--bin", help="Write the format rules.bin.")] = False,
    organization_id: Annotated[
        str | None,
        typer.Option("--organization-id", metavar="ID", help="The …@AdobeOrg of --bin.", show_default=False),
    ] = None,
    purpose: PurposeOption = Purpose.EDGE,
    generated_at: Annotated[
        str | None,
        typer.Option(
            "--generated-at",
            metavar="TIME",
            help="Time in the artifact. Default: none, so that equal files give equal bytes.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compile activities to the artifact that the SDKs of Target read.

    \b
    [bold]Examples[/]
      targetry activities compile -O rules.json
      targetry activities compile --locked --environment staging -O staging.json
      targetry activities compile --all-environments build
    """
    if (output is None) == (all_environments is None):
        raise typer.BadParameter("give one of --output and --all-environments", param_hint="'--output'")
    if environment is not None and all_environments is not None:
        raise typer.BadParameter("give one of --environment and --all-environments")
    if output is not None and output.suffix in _SOURCES:
        raise typer.BadParameter(
            f"must not be named as a file of activities is, {output.suffix}", param_hint="'--output'"
        )
    if generated_at is not None:
        _check_time(generated_at)
    if is_obfuscated and organization_id is None:
        raise typer.BadParameter("--bin needs the organization", param_hint="'--organization-id'")
    activities = ActivityFolder(folder)
    if locked:
        loaded, result = compiled_folder(activities, generated_at=generated_at)
        _check_tokens(folder, loaded, purpose)
        check_lock(activities, loaded, result.lock)
    else:
        with only_compiler(activities):
            loaded, result = compiled_folder(activities, generated_at=generated_at)
            _check_tokens(folder, loaded, purpose)
            if write_lock(activities, loaded, result.lock):
                print_notes([f"{activities.lock_path} was written; commit it"])

    def encoded(name: str) -> bytes:
        text = artifact_bytes(result.artifacts[name])
        return obfuscate(text, organization_id) if is_obfuscated and organization_id else text

    if output is not None:
        content = encoded(chosen_environment(result, environment))
        if str(output) == "-":
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            write_file(output, content)
    elif all_environments is not None:
        suffix = "bin" if is_obfuscated else "json"
        for name in result.artifacts:
            write_file(all_environments / f"{name}.{suffix}", encoded(name))


def _check_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a time such as 2026-11-27T18:00:00Z, not {text!r}", param_hint="'--generated-at'"
        ) from None


def _check_tokens(folder: Path, loaded: LoadedFolder, purpose: Purpose) -> None:
    if purpose is Purpose.ADOBE_REPORTING and loaded.activities is not None:
        fail_with(folder, derived_tokens(loaded.activities))


def lock_command(
    folder: FolderArgument = DEFAULT_FOLDER,
    relayout: Annotated[
        list[str] | None,
        typer.Option(
            "--relayout",
            metavar="KEY",
            help="Lay out an activity or a group afresh, which moves visitors; repeatable.",
            show_default=False,
        ),
    ] = None,
    release: Annotated[
        list[str] | None,
        typer.Option(
            "--release",
            metavar="KEY",
            help="Free the slice of an activity that has left its group; repeatable.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REF",
            help="Git revision whose lock is the start, for example after a conflict.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring targetry.lock up to date: ids, and the windows of experiences.

    \b
    [bold]Examples[/]
      targetry activities lock
      targetry activities lock --relayout hero
      targetry activities lock --base main
    """
    activities = ActivityFolder(folder)
    with only_compiler(activities):
        loaded = load_folder(activities)
        lock = loaded.lock if base is None else lock_at(base, activities)
        if base is not None:  # the lock of the folder can have marks of a conflict
            loaded.findings[:] = [one for one in loaded.findings if one.file != LOCK_FILE]
        for key in release or ():
            lock = _without_slice(lock, key)
        known = [*_keys(loaded), *((lock or Lock()).groups)]
        for key in relayout or ():
            if key not in known:
                raise typer.BadParameter(
                    f"there is no activity and no group {key!r}", param_hint="'--relayout'"
                )
        result = compiled_files(folder, loaded, lock=lock or Lock(), relayout=relayout or ())
        if not write_lock(activities, loaded, result.lock):
            print_notes([f"{activities.lock_path} is up to date"])


def _keys(loaded: LoadedFolder) -> list[str]:
    return [one.key for one in loaded.activities.activities] if loaded.activities is not None else []


def _without_slice(lock: Lock | None, key: str) -> Lock:
    groups = {} if lock is None else lock.groups
    name = next((name for name, group in groups.items() if key in group.rest), None)
    if lock is None or name is None:
        raise typer.BadParameter(f"no group has a slice of {key!r}", param_hint="'--release'")
    rest = {other: windows for other, windows in groups[name].rest.items() if other != key}
    activities = {other: one for other, one in lock.activities.items() if other != key}
    group = msgspec.structs.replace(groups[name], rest=rest)
    return msgspec.structs.replace(lock, activities=activities, groups=groups | {name: group})
