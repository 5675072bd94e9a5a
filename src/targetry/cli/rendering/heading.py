"""Heading of a printed decision: visitor, client and time."""

from __future__ import annotations

from rich.text import Text

from targetry.device.logic.facts import bucketing_id
from targetry.humanize.figures import format_time
from targetry.humanize.text import truncate_text
from targetry.models import DeliveryRequest


def heading(client: str, request: DeliveryRequest, now_ms: int, *more: str) -> Text:
    """Return the visitor's id, which reproduces the decision, and the other facts below it."""
    facts = [f"client {client}", format_time(now_ms), *more]
    return Text.assemble(
        "visitor ",
        (truncate_text(bucketing_id(request.id)), "bold"),
        ("\n" + truncate_text(" · ".join(facts)), "dim"),
    )
