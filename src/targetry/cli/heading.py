"""The lines above every answer: who asked, and when."""

from __future__ import annotations

from rich.text import Text

from targetry.device.logic.facts import bucketing_id
from targetry.humanize.figures import format_time
from targetry.humanize.text import truncate_text
from targetry.models import DeliveryRequest


def heading(client: str, request: DeliveryRequest, now_ms: int, *more: str) -> Text:
    """The visitor's id, with which the same question gets the same answer, and below it what else it depends on."""
    facts = [f"client {client}", format_time(now_ms), *more]
    return Text.assemble(
        "visitor ",
        (truncate_text(bucketing_id(request.id)), "bold"),
        ("\n" + truncate_text(" · ".join(facts)), "dim"),
    )
