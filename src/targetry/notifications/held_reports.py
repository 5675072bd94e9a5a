"""Impressions that wait for the outcome of a web request, and are then sent or dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")


class HeldReports(Generic[T]):
    """Reports of one request. Any thread may add to them, also while they are handed on.

    Once they are handed on, later ones are handed on at once.

    Args:
        submit: Sends a report.
        drop: Counts a report as dropped.
    """

    __slots__ = ("_drop", "_handle", "_reports", "_submit")

    def __init__(self, submit: Callable[[T], object], drop: Callable[[T], object]) -> None:
        self._submit = submit
        self._drop = drop
        self._handle: Callable[[T], object] | None = None
        self._reports: deque[T] = deque()

    def add(self, report: T) -> None:
        """Hold a report."""
        self._reports.append(report)
        if self._handle is not None:
            self._hand_on(self._handle)

    def submit(self) -> None:
        """Send the reports, and later ones at once."""
        self._settle(self._submit)

    def drop(self) -> None:
        """Drop and count the reports; later ones are sent at once."""
        self._hand_on(self._drop)
        self._settle(self._submit)

    def discard(self) -> None:
        """Discard the reports and later ones, uncounted: the visitor did not agree to them."""
        self._settle(_nothing)

    def _settle(self, handle: Callable[[T], object]) -> None:
        self._handle = handle
        self._hand_on(handle)

    def _hand_on(self, handle: Callable[[T], object]) -> None:
        while self._reports:
            try:
                report = self._reports.popleft()
            except IndexError:  # another thread has taken it
                return
            handle(report)


def _nothing(_: object) -> None:
    return


HELD: Final[ContextVar[HeldReports[Any] | None]] = ContextVar("targetry_held_reports", default=None)
"""Where decisions of this task or thread put their impressions; None sends them at once."""
