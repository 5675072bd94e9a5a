"""`targetry shadow`: compares logged responses with decisions on device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from targetry.cli.batch.arguments import (
    ArtifactFile,
    OrganizationId,
    errors_exit,
    progress,
    read_artifact_text,
)
from targetry.cli.batch.tables import Output, ReportFormat, print_table
from targetry.cli.inputs.options import ClientOption
from targetry.cli.inputs.percentages import parse_percentage
from targetry.cli.rendering.output import print_json, print_notes
from targetry.errors import OptionError


def shadow(
    log: Annotated[Path, typer.Argument(help="Requests and responses, as JSON Lines.", show_default=False)],
    artifact: ArtifactFile = None,
    client: ClientOption = None,
    organization_id: OrganizationId = None,
    at_least: Annotated[
        str, typer.Option("--at-least", metavar="PERCENT", help="Share of the answers that have to agree.")
    ] = "0%",
    examples: Annotated[int, typer.Option("--examples", min=0, help="Lines to name of each difference.")] = 3,
    output: Output = ReportFormat.TABLE,
) -> None:
    """Compare logged responses of the Delivery API with what an artifact decides on device.

    The exit status is 0, 2 if fewer answers agree than --at-least, and 1 for an error.

    \b
    [bold]Examples[/]
      targetry shadow requests.jsonl --artifact rules.json
      targetry shadow requests.jsonl -a rules.json --at-least 99.9% -o json
    """
    with errors_exit():
        from targetry.batch import shadow as compare

        limit = parse_percentage("--at-least", at_least)
        text, code = read_artifact_text(artifact, client, organization_id)
        with progress("comparing") as show:
            found = compare(log, text, client=code, examples=examples, progress=show)
        if not found.locations:
            reasons = "".join(f"; {one}" for one in found.errors)
            raise OptionError("log", f"{log} has no request that can be compared{reasons}")
    if output is ReportFormat.JSON:
        print_json({**msgspec.to_builtins(found), "agreed_share": found.agreed_share})
    else:
        _print(found, output)
    print_notes(found.errors)
    if found.differences:
        print_notes(["activities that need the profile, or that are not in the artifact, differ by nature"])
    if found.agreed_share < limit:
        raise typer.Exit(2)


def _print(found: Any, output: ReportFormat) -> None:
    heads = ("Location", "Agreed", "Other", "Only server", "Only device", "Unknown", "Remote")
    rows = [
        (one.location, *(f"{count:,}" for count in msgspec.structs.astuple(one)[1:]))
        for one in found.locations
    ]
    title = f"{found.lines:,} requests, {found.agreed_share:.2f} % of the comparable answers agree"
    if found.lines_with_error:
        title += f"; {found.lines_with_error:,} lines have an error"
    print_table(title, heads, rows, output, right=range(1, 7))
    differences = [
        (
            one.location,
            _named(one.server),
            _named(one.device),
            f"{one.lines:,}",
            ", ".join(map(str, one.examples)),
            "; ".join(one.reasons),
        )
        for one in found.differences
    ]
    if differences:
        sides = ("Location", "Delivery API", "On device", "Requests", "Lines", "Reason")
        print_table("Differences", sides, differences, output, right=(3,))


def _named(given: tuple[str, str | None] | None) -> str:
    return "nothing" if given is None else f"activity {given[0]}, experience {given[1]}"
