"""Recorder of a client's events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from support.late import LATE_S
from targetry.events import EVENT_NAMES, Event


class Listener:
    """Recorder of events; `handlers` is the option `events`, `times` and `last` read the record."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.handlers: dict[str, Callable[[Event], None]] = dict.fromkeys(EVENT_NAMES, self._hear)
        self._changed = threading.Condition()

    @property
    def names(self) -> list[str]:
        return [event["type"] for event in self.events]

    def times(self, name: str) -> int:
        return self.names.count(name)

    def last(self, name: str) -> Any:
        return next(event for event in reversed(self.events) if event["type"] == name)

    def wait_for(self, name: str, times: int = 1) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: self.times(name) >= times, LATE_S)
        assert came, f"{name} was not emitted {times} times, only {self.names}"

    def _hear(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()
