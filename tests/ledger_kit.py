"""What tests of the edge's ledger and report share: events in a few words."""

from __future__ import annotations

from typing import Any

from targetry.edge.event import Activity, Event, Experience

ACTIVITY = Activity("1", "Hero", "ab", (Experience("0", "A", 50.0), Experience("1", "B", 50.0)))


def event(key: str, kind: str = "impression", visitor: str = "ada", at: int = 1000, **more: Any) -> Event:
    """An event of experience 0 of activity 1; `more` replaces or adds fields."""
    fields: dict[str, Any] = {"activity_id": "1", "experience_id": "0", "location": "hero", "token": "t"}
    return Event(id=key, kind=kind, visitor=visitor, timestamp_ms=at, session_id="s", **{**fields, **more})  # type: ignore[arg-type]


def outcome(experience: str, visitors: int, conversions: int, activity: str = "1") -> list[Event]:
    """An impression of each of the visitors, and a click of so many of them."""
    events = []
    for number in range(visitors):
        visitor = f"{activity}-{experience}-{number}"
        whose = {"visitor": visitor, "activity_id": activity, "experience_id": experience}
        events.append(event(visitor, **whose))
        if number < conversions:
            events.append(event(f"{visitor}-click", "click", at=2000, **whose))
    return events
