"""`targetry replay`: answers recorded requests again, and shows what differs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from targetry.cli.batch.arguments import OrganizationId, errors_exit, progress
from targetry.cli.batch.tables import Output, ReportFormat, print_table
from targetry.cli.inputs.artifact_source import is_url, read_text
from targetry.cli.inputs.percentages import parse_percentage
from targetry.cli.rendering.output import print_json, print_notes
from targetry.errors import OptionError


def replay(
    log: Annotated[Path, typer.Argument(help="Requests and responses, as JSON Lines.", show_default=False)],
    edge: Annotated[
        str | None,
        typer.Option("--edge", metavar="URL", help="Send the requests to this edge.", show_default=False),
    ] = None,
    artifact: Annotated[
        Path | None,
        typer.Option(
            "--artifact",
            "-a",
            metavar="FILE",
            help="Decide the requests by a rules.json or rules.bin, at their time.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="URL|FILE",
            help="Compare with the answers of this edge or artifact. Default: the recorded responses.",
            show_default=False,
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            "--client",
            metavar="CODE",
            help="The client code. Default: that of the recorded responses.",
            show_default=False,
        ),
    ] = None,
    organization_id: OrganizationId = None,
    at_least: Annotated[
        str,
        typer.Option("--at-least", metavar="PERCENT", help="Share of the answers that have to be the same."),
    ] = "100%",
    examples: Annotated[int, typer.Option("--examples", min=0, help="Lines to name of each difference.")] = 3,
    output: Output = ReportFormat.TABLE,
) -> None:
    """Answer recorded requests again, and show which answers differ from the recorded ones.

    An edge answers as of now, and counts impressions if it records events. The exit status is 0,
    2 if fewer answers are the same than --at-least, and 1 for an error.

    \b
    [bold]Examples[/]
      targetry replay requests.jsonl --edge http://localhost:8080
      targetry replay requests.jsonl --artifact rules.json --at-least 99%
      targetry replay requests.jsonl -a new.json --baseline live.json -o markdown
    """
    with errors_exit(), ExitStack() as parts:
        from targetry.recording import replay as compare

        limit = parse_percentage("--at-least", at_least)
        if (edge is None) == (artifact is None):
            raise OptionError("--edge", "pass either --edge or --artifact")
        if edge is not None and not is_url(edge):
            raise OptionError("--edge", f"must be a URL such as http://localhost:8080, not {edge!r}")
        answers = _answers(edge or str(artifact), client, organization_id, parts)
        before = None if baseline is None else _answers(baseline, client, organization_id, parts)
        with progress("replaying") as show:
            found = compare(log, answers, baseline=before, examples=examples, progress=show)
        if not found.locations and not found.failed:
            raise OptionError("log", f"{log} has no request that can be compared{_reasons(found)}")
    if output is ReportFormat.JSON:
        print_json({**msgspec.to_builtins(found), "same_share": found.same_share})
    else:
        _print(found, output)
    print_notes(found.errors)
    if found.skipped:
        print_notes(
            [f"{found.skipped:,} requests with hashed ids were skipped: pass --baseline to compare them"]
        )
    if found.same_share < limit:
        raise typer.Exit(2)


def _answers(source: str, client: str | None, organization_id: str | None, parts: ExitStack) -> Any:
    from targetry.recording import ArtifactAnswers, EdgeAnswers

    if not is_url(source):
        return ArtifactAnswers(read_text(source, organization_id), client=client)
    edge = EdgeAnswers(source, client=client)
    parts.callback(edge.close)
    return edge


def _reasons(found: Any) -> str:
    reasons = [f"hashed ids need --baseline ({found.skipped:,} lines)"] if found.skipped else []
    return "".join(f"; {reason}" for reason in (*reasons, *found.errors))


def _print(found: Any, output: ReportFormat) -> None:
    heads = ("Location", "Same", "Content", "Experience", "Gained", "Lost")
    rows = [
        (one.location, *(f"{count:,}" for count in msgspec.structs.astuple(one)[1:]))
        for one in found.locations
    ]
    title = f"{found.lines:,} requests, {found.same_share:.2f} % of the answers are the same"
    if found.failed:
        title += f"; {found.failed:,} requests failed"
    if found.lines_with_error:
        title += f"; {found.lines_with_error:,} lines have an error"
    print_table(title, heads, rows, output, right=range(1, 6))
    differences = [
        (
            one.location,
            one.outcome,
            _named(one.before),
            _named(one.after),
            f"{one.requests:,}",
            ", ".join(map(str, one.examples)),
        )
        for one in found.differences
    ]
    if differences:
        sides = ("Location", "Difference", "Before", "After", "Requests", "Lines")
        print_table("Differences", sides, differences, output, right=(4,))


def _named(experiences: tuple[tuple[str, str], ...] | None) -> str:
    if experiences is None:
        return "content without response tokens"
    return ", ".join(f"activity {one}, experience {other}" for one, other in experiences) or "nothing"
