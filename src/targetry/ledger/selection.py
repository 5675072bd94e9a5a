"""Selection of a ledger's events by their time and activity."""

from __future__ import annotations

from typing import Final

import msgspec

from targetry.ledger.event import check_texts

MAX_MS: Final = 2**63 - 1


class EventSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Period and activities of the selected events.

    Attributes:
        since_ms: Time of the first event (epoch ms).
        until_ms: Time that all events precede (epoch ms); None for no end.
        activities: Ids of the activities; none for all events. The orders that count for an
            activity are those of its visitors, also without an activity of their own.
    """

    since_ms: int = 0
    until_ms: int | None = None
    activities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the activities. Raises `OptionError`."""
        check_texts("activities", self.activities)

    @property
    def bounds(self) -> tuple[int, int]:
        """The period as two inclusive times (epoch ms)."""
        return self.since_ms, MAX_MS if self.until_ms is None else self.until_ms - 1


ALL_EVENTS: Final = EventSelection()


def event_condition(table: str, selection: EventSelection, mark: str) -> tuple[str, list[object]]:
    """Return the SQL condition for the selected events, and its parameters.

    Args:
        table: Name of the table of events.
        selection: The selection.
        mark: Placeholder of a parameter.
    """
    condition = f"timestamp_ms BETWEEN {mark} AND {mark}"
    if not selection.activities:
        return condition, [*selection.bounds]
    among = f"activity_id IN ({', '.join([mark] * len(selection.activities))})"
    of_visitors = (
        f"kind = 'order' AND activity_id = '' AND EXISTS (SELECT 1 FROM {table} AS other "
        f"WHERE other.visitor = {table}.visitor AND other.kind IN ('impression', 'display') AND other.{among})"
    )
    parameters = [*selection.bounds, *selection.activities, *selection.activities]
    return f"{condition} AND ({among} OR ({of_visitors}))", parameters


def exposure_condition(selection: EventSelection, mark: str) -> tuple[str, list[object]]:
    """Return the SQL condition for the selected rows of `participation`, and its parameters."""
    condition = f"first_ms BETWEEN {mark} AND {mark}"
    if not selection.activities:
        return condition, [*selection.bounds]
    among = ", ".join([mark] * len(selection.activities))
    return f"{condition} AND participation.activity_id IN ({among})", [
        *selection.bounds,
        *selection.activities,
    ]
