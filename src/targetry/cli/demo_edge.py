"""Second part of `targetry demo`: the sample shop over HTTP, with an edge in this process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from targetry import TargetClient
from targetry._runtime.lazy_import import importing_extra
from targetry.errors import MissingExtraError
from targetry.models import (
    Context,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    MboxRequest,
    Notification,
    NotificationMbox,
    VisitorId,
)

if TYPE_CHECKING:
    from targetry.ledger.event import LedgerEvent

_MAX_VISITORS: Final = 200
_MBOX: Final = "hero"
_METHODS: Final = ("server-side", "on-device", "hybrid")
_CLICKS: Final = {"Everyday": 10, "Autumn sale": 5, "Free delivery": 7}  # every nth visitor clicks


class EdgeCounts(NamedTuple):
    """Counts of the edge: visitors, impressions and clicks by experience.

    `agreed` counts those of the `visitors` for whom all methods returned the same experience.
    """

    counts: dict[str, tuple[int, int, int]]
    visitors: int
    agreed: int


def run_shop_over_http(visitors: int = _MAX_VISITORS) -> EdgeCounts:
    """Run an edge, decide each visitor with every method, send some clicks, and count the events.

    Raises:
        MissingExtraError: The extra `edge` is not installed.
    """
    with importing_extra("edge"):
        from targetry.edge.in_process import edge

    names: dict[str, str] = {}
    agreed = 0
    with edge() as here:
        with ExitStack() as stack:
            clients = [
                stack.enter_context(TargetClient.create(**here.client_options(decisioning_method=method)))
                for method in _METHODS
            ]
            for number in range(visitors):
                request = _request(f"visitor-{number:03d}")
                answers = [client.get_offers({"request": request})["response"] for client in clients]
                shown = [_experience(answer) for answer in answers]
                agreed += len(set(shown)) == 1
                names[shown[0][0]] = shown[0][1]
                if number % _CLICKS[shown[0][1]] == 0:
                    _click(clients[0], request, answers[0])
        return EdgeCounts(_counted(here.events, names), visitors, agreed)


def print_edge_demo(out: Console, visitors: int) -> None:
    """Print what an edge counted for `visitors` visitors, but for at most 200."""
    out.print()
    out.print(Text("The same shop over HTTP, against an edge on this machine", "bold"))
    try:
        outcome = run_shop_over_http(min(visitors, _MAX_VISITORS))
    except MissingExtraError as error:
        out.print(Text(f"Left out: {error}", "dim"))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Experience")
    for column in ("Visitors", "Impressions", "Clicks", "Rate"):
        table.add_column(column, justify="right")
    for name, (visitors, impressions, clicks) in outcome.counts.items():
        table.add_row(name, str(visitors), str(impressions), str(clicks), f"{100 * clicks / visitors:.1f} %")
    out.print(table)
    methods = ", ".join(_METHODS)
    out.print(f"{methods}: the same experience for {outcome.agreed} of {outcome.visitors} visitors.")


def _request(visitor: str) -> DeliveryRequest:
    return DeliveryRequest(
        id=VisitorId(tnt_id=visitor),
        context=Context(channel="web"),
        execute=ExecuteRequest(mboxes=[MboxRequest(index=0, name=_MBOX)]),
    )


def _experience(response: DeliveryResponse) -> tuple[str, str]:
    """Return id and name of the hero's experience, from the response tokens."""
    mboxes = response.execute.mboxes if response.execute is not None else None
    options = mboxes[0].options if mboxes else None
    tokens = (options[0].response_tokens if options else None) or {}
    return str(tokens["experience.id"]), str(tokens["experience.name"])


def _click(client: TargetClient, request: DeliveryRequest, response: DeliveryResponse) -> None:
    mboxes = response.execute.mboxes if response.execute is not None else None
    metrics = (mboxes[0].metrics if mboxes else None) or []
    notification = Notification(
        id=str(uuid.uuid4()),
        type="click",
        timestamp=int(time.time() * 1000),
        tokens=[metric.event_token for metric in metrics if metric.event_token],
        mbox=NotificationMbox(_MBOX),
    )
    client.send_notifications(
        request=DeliveryRequest(id=request.id, context=request.context, notifications=[notification])
    )


def _counted(events: Iterable[LedgerEvent], names: dict[str, str]) -> dict[str, tuple[int, int, int]]:
    """Return the counts of each experience, in the order of the ids."""
    events = list(events)
    counts = {}
    for experience_id in sorted(names):
        own = [event for event in events if event.experience_id == experience_id]
        impressions = [event for event in own if event.kind == "impression" or event.kind == "display"]
        clicks = [event for event in own if event.kind == "click"]
        visitors = {event.visitor for event in impressions}
        counts[names[experience_id]] = len(visitors), len(impressions), len(clicks)
    return counts
