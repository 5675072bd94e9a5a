"""`targetry artifact`: prints the summary of an artifact."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from targetry.cli.arguments import OrganizationId
from targetry.cli.decide import open_client, read_source, rules_of
from targetry.cli.rendering.output import TextOrJson, console, print_json
from targetry.delivery.hosts import artifact_url
from targetry.humanize.audience import EVERY_VISITOR
from targetry.humanize.figures import format_iso_time, pluralize
from targetry.humanize.kinds import describe_activity_type
from targetry.humanize.summary import ActivitySummary, ArtifactSummary, ExperienceSummary, summarize_artifact
from targetry.humanize.text import escape_control_characters, truncate_text

_RULES_OF_A_CAUSE: Final = 20  # `-o json` has all of them


def artifact(
    file: Annotated[
        str | None,
        typer.Argument(
            help="A rules.json or rules.bin: a file, a URL, git:REF:FILE, or '-' for stdin. Default: the shop that comes with Targetry.",
            show_default=False,
        ),
    ] = None,
    organization_id: OrganizationId = None,
    client: Annotated[
        str | None,
        typer.Option(
            "--client",
            metavar="CODE",
            help="Get the artifact of a client from Adobe's CDN instead of a file.",
            show_default=False,
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", metavar="NAME", help="The environment on the CDN.")
    ] = "production",
    property_token: Annotated[
        str | None,
        typer.Option("--property", metavar="TOKEN", help="The property on the CDN.", show_default=False),
    ] = None,
    cdn: Annotated[
        str | None,
        typer.Option(
            "--cdn", metavar="URL", help="Another CDN, such as an edge. Default: Adobe's.", show_default=False
        ),
    ] = None,
    output: Annotated[TextOrJson, typer.Option("--output", "-o", help="Output format.")] = TextOrJson.TEXT,
) -> None:
    """Show an artifact: activities with split and audiences, remote locations, unusable rules.

    \b
    [bold]Examples[/]
      targetry artifact
      targetry artifact -o json
      targetry artifact --client acme
    """
    if client is not None:
        if file is not None:
            raise typer.BadParameter("give a file or a client, not both", param_hint="'--client'")
        file = artifact_url(client, environment=environment, property_token=property_token, cdn_base_path=cdn)
    source = read_source(file, organization_id=organization_id)
    with open_client(source) as opened:
        summary = summarize_artifact(rules_of(opened))
    if output is TextOrJson.JSON:
        print_summary_json(summary)
    else:
        print_summary(source.name, summary)


def print_summary(name: str, summary: ArtifactSummary) -> None:
    """Print a summary as text."""
    out = console()
    out.print(_heading(name, summary))
    out.print(Text(_counts(summary), "dim"))
    for activity in summary.activities:
        out.print()
        _print_activity(out, activity)
    _print_remote(out, summary)
    _print_unusable_rules(out, summary)


def print_summary_json(summary: ArtifactSummary) -> None:
    """Print a summary as JSON."""
    print_json(summary)


def _heading(name: str, summary: ArtifactSummary) -> Text:
    facts = [f"version {summary.version}"]
    facts += [f"client {summary.client_code}"] if summary.client_code else []
    facts += [summary.environment] if summary.environment else []
    facts += [f"generated {format_iso_time(summary.generated_at)}"] if summary.generated_at else []
    return Text.assemble(
        (escape_control_characters(name), "bold"),
        *(f" · {escape_control_characters(fact)}" for fact in facts),
    )


def _counts(summary: ArtifactSummary) -> str:
    return " · ".join(
        (
            pluralize(len(summary.activities), "activity", "activities"),
            pluralize(len(summary.locations), "location"),
            pluralize(summary.rules, "rule"),
            "geo targeting" if summary.geo_targeting_enabled else "no geo targeting",
        )
    )


def _print_activity(out: Console, activity: ActivitySummary) -> None:
    kind = describe_activity_type(activity.type) or "unknown type"
    name = activity.name if activity.name is not None else "an activity without a name"
    out.print(Text.assemble((truncate_text(name), "bold"), f" · {kind} · {activity.id}"))
    audiences = {_audience(one) for one in activity.experiences}
    if len(audiences) == 1:
        audience = audiences.pop()
        out.print(
            Text(
                truncate_text(
                    f"for {audience}" if audience.startswith(EVERY_VISITOR) else f"where {audience}"
                )
            )
        )
    out.print(_experiences(activity, with_audience=bool(audiences)))


def _experiences(activity: ActivitySummary, *, with_audience: bool) -> Table:
    with_share = activity.type == "ab" or any(one.share != 100 for one in activity.experiences)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    if with_share:
        table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("Experience", max_width=26)
    if with_audience:
        table.add_column("Audience", ratio=1, overflow="fold")
    table.add_column("Location", overflow="fold")
    for one in activity.experiences:
        cells = [f"{one.share:g} %"] if with_share else []
        cells.append(one.name if one.name is not None else str(one.id))
        cells += [_audience(one)] if with_audience else []
        cells.append("\n".join(one.locations))
        table.add_row(*(Text(truncate_text(cell)) for cell in cells))
    return table


def _audience(experience: ExperienceSummary) -> str:
    tokens = ", ".join(experience.property_tokens)
    return f"{experience.audience}, of property {tokens}" if tokens else experience.audience


def _print_remote(out: Console, summary: ArtifactSummary) -> None:
    remote = [location for location in summary.locations if location.is_remote]
    if not remote:
        return
    out.print()
    out.print(Text("Only the Delivery API decides", "bold"))
    for location in remote:
        also = f", though {pluralize(location.rules, 'rule is', 'rules are')} here" if location.rules else ""
        out.print(Text(truncate_text(f"  {location.type} {location.name}{also}")))


def _print_unusable_rules(out: Console, summary: ArtifactSummary) -> None:
    if not summary.unusable_rules:
        return
    out.print()
    out.print(Text("Not used", "bold red"))
    counts = Counter(rule.reason for rule in summary.unusable_rules)
    listed: Counter[str] = Counter()
    for rule in summary.unusable_rules:
        if listed[rule.reason] < _RULES_OF_A_CAUSE:
            listed[rule.reason] += 1
            out.print(Text(truncate_text(f"  {rule.location}, rule {rule.position}: {rule.reason}")))
    for reason, count in counts.items():
        if count > listed[reason]:
            out.print(Text(truncate_text(f"  and {count - listed[reason]:,} more rules: {reason}")))
