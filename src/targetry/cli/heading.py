"""The lines above every answer: who asked, and when."""

from __future__ import annotations

from rich.text import Text

from targetry.device.logic.facts import visitor_of
from targetry.humanize.figures import shown_time
from targetry.humanize.text import shortened
from targetry.models import DeliveryRequest


def heading(client: str, request: DeliveryRequest, now_ms: int, *more: str) -> Text:
    """The visitor's id, with which the same question gets the same answer, and below it what else it depends on."""
    facts = [f"client {client}", shown_time(now_ms), *more]
    return Text.assemble(
        "visitor ",
        (shortened(visitor_of(request.id)), "bold"),
        ("\n" + shortened(" · ".join(facts)), "dim"),
    )
