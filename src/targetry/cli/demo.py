"""`targetry demo`: offers, split and decision time of the sample shop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Annotated, Final, NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from targetry import TargetClient
from targetry.cli.decide import open_client, read_source, rules_of
from targetry.cli.demo_edge import print_edge_demo
from targetry.cli.rendering.output import console
from targetry.humanize.summary import ActivitySummary, summarize_artifact
from targetry.models import (
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MboxResponse,
    Option,
    VisitorId,
)

DEMO_VISITORS: Final = 10_000
_MBOXES: Final = ("hero", "delivery-note", "checkout-flags")
_SPLIT: Final = "hero"
_MAX_TIMED: Final = 2_000
_BAR: Final = 30


class SampleVisitor(NamedTuple):
    """Visitor of the sample shop; `description` names browser and country."""

    name: str
    description: str
    user_agent: str
    country: str


_VISITORS: Final = (
    SampleVisitor(
        "Ada",
        "Firefox, Germany",
        "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0",
        "DE",
    ),
    SampleVisitor(
        "Bianca",
        "Chrome, United States",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
        "US",
    ),
    SampleVisitor(
        "Chiyo",
        "Safari, Japan",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
        "JP",
    ),
    SampleVisitor(
        "Davi",
        "Chrome, Brazil",
        "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
        "BR",
    ),
)


class SplitShare(NamedTuple):
    """Allocated and observed share of an experience, in percent."""

    experience: str
    asked: float
    got: float


def visitor_ids(number: int) -> Iterator[str]:
    """Yield the same ids in each run."""
    return (f"visitor-{i:05d}" for i in range(number))


def split(client: TargetClient, ids: Iterable[str]) -> list[SplitShare]:
    """Request the hero for each visitor, and count the visitors of each experience."""
    counts: Counter[str] = Counter()
    for visitor in ids:
        result = client.get_offers({"request": _request(visitor)})
        counts[_experience(result["response"].execute.mboxes[0])] += 1
    total = counts.total()
    return [
        SplitShare(str(one.name), one.share, 100 * counts[str(one.name)] / total)
        for one in _hero(client).experiences
    ]


def demo(
    visitors: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Visitors to count the split of; over HTTP at most 200."),
    ] = DEMO_VISITORS,
) -> None:
    """Demonstrate Targetry: offers of a few visitors, the split of many, the time of a decision.

    \b
    [bold]Examples[/]
      targetry demo
      targetry demo --visitors 500
    """
    print_demo(visitors)


def print_demo(visitors: int) -> None:
    """Print the demo; the split is over `visitors` visitors."""
    out = console()
    with open_client(read_source(None)) as client:
        _print_offers(out, client)
        shares = split(client, _with_progress(out, visitor_ids(visitors), visitors))
        _print_split(out, _hero(client), shares, visitors)
        timed = min(visitors, _MAX_TIMED)
        _print_time(out, _seconds_per_decision(client, timed), timed)
    print_edge_demo(out, visitors)
    out.print(Text("\nNext: targetry explain --mbox delivery-note --geo country=DE, or targetry edge", "dim"))


def _with_progress(out: Console, ids: Iterator[str], total: int) -> Iterable[str]:
    """Return the ids with a progress bar, which is shown on a terminal only."""
    screen = console(stderr=True)
    is_watched = out.is_terminal and screen.is_terminal
    return track(ids, "Asking", total=total, console=screen, transient=True, disable=not is_watched)


def _print_offers(out: Console, client: TargetClient) -> None:
    out.print(Text("Offers of four visitors of a sample shop, decided on this machine", "bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Visitor")
    for name in _MBOXES:
        table.add_column(name)
    for person in _VISITORS:
        table.add_row(f"{person.name}: {person.description}", *_offers(client, person))
    out.print(table)


def _offers(client: TargetClient, person: SampleVisitor) -> Iterator[str]:
    request = DeliveryRequest(
        id=VisitorId(tnt_id=person.name),
        context=Context(channel="web", user_agent=person.user_agent, geo=Geo(country_code=person.country)),
        execute=ExecuteRequest(mboxes=[MboxRequest(name=name) for name in _MBOXES]),
    )
    for mbox in client.get_offers({"request": request})["response"].execute.mboxes:
        yield _experience(mbox)


def _experience(mbox: MboxResponse) -> str:
    """Return the name of the experience, which is a response token of the sample's offers."""
    option = (mbox.options or [Option()])[0]
    return str((option.response_tokens or {})["experience.name"])


def _request(visitor: str) -> DeliveryRequest:
    return DeliveryRequest(
        id=VisitorId(tnt_id=visitor),
        context=Context(channel="web"),
        execute=ExecuteRequest(mboxes=[MboxRequest(name=_SPLIT)]),
    )


def _hero(client: TargetClient) -> ActivitySummary:
    activities = summarize_artifact(rules_of(client)).activities
    return next(one for one in activities if f"mbox {_SPLIT}" in one.experiences[0].locations)


def _print_split(out: Console, activity: ActivitySummary, shares: list[SplitShare], visitors: int) -> None:
    out.print()
    out.print(Text(f"The split of “{activity.name}” over {visitors:,} visitors", "bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Experience")
    table.add_column("Asked", justify="right")
    table.add_column("Got", justify="right")
    table.add_column("")
    for share in shares:
        bar = "█" * round(share.got * _BAR / 100)
        table.add_row(share.experience, f"{share.asked:.1f} %", f"{share.got:.1f} %", Text(bar, "cyan"))
    out.print(table)


def _seconds_per_decision(client: TargetClient, calls: int) -> float:
    """Return the median over `calls` calls of `get_offers`."""
    took = []
    for visitor in visitor_ids(calls):
        request = _request(visitor)
        started = time.perf_counter()
        client.get_offers({"request": request})
        took.append(time.perf_counter() - started)
    return median(took)


def _print_time(out: Console, seconds: float, calls: int) -> None:
    out.print()
    out.print(
        Text.assemble(
            "A call of get_offers took ",
            (f"{seconds * 1e6:.1f} µs", "bold"),
            f" (median of {calls:,}), about {float(f'{1 / seconds:.2g}'):,.0f} a second.",
        )
    )
