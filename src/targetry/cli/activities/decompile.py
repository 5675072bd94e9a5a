"""`targetry activities decompile`: files from an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.decompile import decompile
from targetry.activities.compile.loading import load_folder
from targetry.activities.compile.rule_parts import same_json
from targetry.activities.model.documents import documents
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.schema import SCHEMA_FILE, schema_text
from targetry.cli.activities.folder import DEFAULT_FOLDER, new_folder, write_file, write_lock
from targetry.cli.inputs.activity_folder import fail_with
from targetry.cli.inputs.artifact_source import SourceError, read_text
from targetry.cli.inputs.options import OrganizationIdOption
from targetry.cli.rendering.output import console, print_notes
from targetry.device.artifact import read_artifact, read_json
from targetry.errors import ArtifactError, TargetError


def decompile_command(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A rules.json or rules.bin: a file, a URL, git:REF:FILE, or '-' for stdin.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-O", metavar="DIR", help="The folder, which must be new or empty.")
    ] = DEFAULT_FOLDER,
    is_single: Annotated[
        bool, typer.Option("--single-file", help="Write all activities to one file.")
    ] = False,
    organization_id: OrganizationIdOption = None,
) -> None:
    """Write the files that compile to an artifact, and prove that they do.

    \b
    [bold]Examples[/]
      targetry activities decompile rules.json -O activities
      targetry activities decompile https://assets.adobetarget.com/acme/production/v1/rules.json
    """
    text = read_text(artifact, organization_id)
    try:
        read_artifact(text)
        document = read_json(text)
    except ArtifactError as error:
        raise SourceError(f"{artifact}: {error}") from error
    result = decompile(document)
    files = documents(result.settings, result.activities, is_single=is_single)
    with new_folder(output) as written:
        for name, content in files.items():
            write_file(written / name, content)
        write_file(written / SCHEMA_FILE, schema_text())
        _prove(written, document)
    count = len(result.activities)
    activities = "1 activity; compiled, it is" if count == 1 else f"{count:,} activities; compiled, they are"
    console().print(f"{output} has {activities} equal to the artifact", soft_wrap=True)
    print_notes(
        f"the rules of {kind} {name!r} are kept in the artifact's form" for kind, name in result.verbatim
    )


def _prove(output: Path, document: object) -> None:
    """Compile the written files and compare them with the artifact. Raises `TargetError`."""
    folder = ActivityFolder(output)
    loaded = load_folder(folder)
    fail_with(output, loaded.findings)
    assert loaded.activities is not None  # it would be a finding
    compiled = compile_activities(loaded.activities)
    fail_with(output, compiled.findings)
    if not same_json(next(iter(compiled.artifacts.values())), document):
        raise TargetError("the files do not compile to the artifact; report it with the artifact")
    write_lock(folder, loaded, compiled.lock)
