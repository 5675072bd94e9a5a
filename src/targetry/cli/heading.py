"""The lines above every answer: who asked, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from targetry.device.facts import visitor_of
from targetry.models import DeliveryRequest

from .output import shortened


def heading(client: str, request: DeliveryRequest, now_ms: int, *more: str) -> Text:
    """The visitor's id, with which the same question gets the same answer, and below it what else it depends on."""
    facts = [f"client {client}", shown_time(now_ms), *more]
    return Text.assemble(
        "visitor ",
        (shortened(visitor_of(request.id)), "bold"),
        ("\n" + shortened(" · ".join(facts)), "dim"),
    )


def shown_time(epoch_ms: float) -> str:
    """`Fri 2026-11-27 18:00 UTC`; the number itself where the calendar does not reach."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%a %Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms:g}"
