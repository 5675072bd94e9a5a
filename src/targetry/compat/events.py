"""Event provider and logger of the official `target_tools`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targetry._runtime.logger import Log
from targetry.events import Events, Handler


def target_event(event_type: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an event as handlers get it: its payload, with the event's name as `type`."""
    return {"type": event_type, **(payload or {})}


class EventProvider:
    """Registry of subscriptions by event name, independent of a client."""

    def __init__(self, events: Mapping[str, Handler] | None = None) -> None:
        self._events = Events(events, Log())

    @property
    def subscriptions(self) -> dict[str, dict[str, Handler]]:
        """Handlers by event name and subscription number; a new dict each time."""
        return self._events.subscriptions()

    @property
    def subscription_count(self) -> int:
        """Number of subscriptions."""
        return sum(map(len, self.subscriptions.values()))

    def subscribe(self, event_name: str, callback_func: Handler) -> str:
        """Call `callback_func` at each event of this name; return the id for `unsubscribe`."""
        return self._events.subscribe(event_name, callback_func)

    def unsubscribe(self, event_id: str) -> None:
        """Remove a subscription; an unknown id is ignored."""
        self._events.unsubscribe(event_id)

    def emit(self, event_name: str, payload: Mapping[str, Any] | None = None) -> None:
        """Call the subscribers in their order. A subscriber that raises is logged."""
        self._events.emit(event_name, **(payload or {}))


def get_logger(logger: Any = None) -> Any:
    """Return the given logger, or `adobe.target`."""
    return Log(logger).logger
