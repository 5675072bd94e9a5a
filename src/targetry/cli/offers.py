"""`targetry offers`: prints the offers of a visitor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from targetry.cli.arguments import RequestArguments, with_request_arguments
from targetry.cli.decide import OfferDecision, decide_offers
from targetry.cli.rendering.heading import heading
from targetry.cli.rendering.output import TableOrJson, console, print_json, print_notes
from targetry.humanize.explanation import describe_experience
from targetry.humanize.text import compact_json, truncate_text
from targetry.models import MboxResponse, Option, PageLoadResponse, PrefetchMboxResponse, View

_Part = MboxResponse | PrefetchMboxResponse | PageLoadResponse | View


@with_request_arguments
def offers(
    arguments: RequestArguments,
    output: Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")] = TableOrJson.TABLE,
) -> None:
    """Get a visitor's offers, decided on this machine by an artifact.

    \b
    [bold]Examples[/]
      targetry offers --mbox hero --mbox checkout-flags
      targetry offers --mbox hero --tnt-id 3f9c -o json
      targetry offers --page-load --url https://acme.example/
      targetry offers --mbox delivery-note --geo country=US,region=CA
      targetry offers --mbox greeting -p member.tier=gold -p user=Ada
      targetry offers --mbox promo --time 2026-11-27T18:00
      targetry offers --view '*' --tnt-id 3f9c
    """
    decision = decide_offers(arguments)
    if output is TableOrJson.JSON:
        print_offers_json(decision)
    else:
        print_offers(decision)


def print_offers(decision: OfferDecision) -> None:
    """Print a table with a row for each option."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, leading=1)
    table.add_column("Location", max_width=18, overflow="fold")
    table.add_column("Activity › experience", max_width=24)
    table.add_column("Offer", overflow="fold", ratio=1)
    for location, part in _parts(decision):
        for experience, offer in _rows(part):
            table.add_row(Text(truncate_text(location)), Text(truncate_text(experience)), offer)
    out = console()
    out.print(heading(decision.client, decision.request, decision.now_ms))
    out.print()
    out.print(table)
    print_notes(decision.notes)


def print_offers_json(decision: OfferDecision) -> None:
    """Print the response in the JSON of the Delivery API, and the meta data of the decision."""
    print_json({"response": json.loads(decision.response.to_json()), "meta": decision.meta})


def _parts(decision: OfferDecision) -> Iterator[tuple[str, _Part]]:
    """Yield the locations of the response with their names in the table."""
    for mode, parts in (("", decision.response.execute), ("prefetch ", decision.response.prefetch)):
        if parts is None:
            continue
        for mbox in parts.mboxes or ():
            yield f"{mode}{mbox.name}", mbox
        if parts.page_load is not None:
            yield f"{mode}page load", parts.page_load
    prefetch = decision.response.prefetch
    for view in (prefetch.views if prefetch is not None else None) or ():
        yield f"view {view.name}", view


def _rows(part: _Part) -> Iterator[tuple[str, Text]]:
    if not part.options:
        is_blank = part.options is not None and not isinstance(part, PageLoadResponse)
        yield "", Text("default content" if is_blank else "nothing", "dim")
    for option in part.options or ():
        yield describe_experience(option.response_tokens or {}), _offer(option)


def _offer(option: Option) -> Text:
    if option.type is None and option.content is None:
        return Text("default content", "dim")
    if option.type == "actions" and isinstance(option.content, list):
        return Text("\n".join(_action(action) for action in option.content))
    content = option.content if isinstance(option.content, str) else compact_json(option.content)
    return Text(truncate_text(content))


def _action(action: Any) -> str:
    if not isinstance(action, dict):
        return truncate_text(compact_json(action))
    content = action.get("content")
    content = content if isinstance(content, str) else compact_json(content)
    return truncate_text(f"{action.get('type')} {action.get('selector')}: {content}")
