"""Impression window: repeated impressions of one flag for one visitor are reported once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from typing import Final

from targetry.errors import OptionError

DEFAULT_WINDOW_S: Final = 60.0
MAX_ENTRIES: Final = 100_000


class ImpressionWindow:
    """Impressions reported within the last `seconds`; evicts the oldest of 100,000 entries.

    There is no lock, as a signal handler can interrupt any call; two threads that report the same
    entry at the same time can both succeed.
    """

    def __init__(self, seconds: float = DEFAULT_WINDOW_S) -> None:
        self._seconds = seconds
        # The oldest key of a plain dict is behind the places of all that were deleted before it.
        self._reported: OrderedDict[Hashable, float] = OrderedDict()

    def is_open(self, entry: Hashable, now: float) -> bool:
        """Return whether an impression is due, as none was noted within the window.

        `now` is in seconds, monotonic.
        """
        noted = self._reported.get(entry)
        return noted is None or not 0 <= now - noted < self._seconds

    def admit(self, entry: Hashable, now: float) -> bool:
        """Return whether an impression is due, and note it if so."""
        noted = self._reported.get(entry)
        if noted is not None and 0.0 <= now - noted < self._seconds:
            return False
        self.note(entry, now)
        return True

    def note(self, entry: Hashable, now: float) -> None:
        """Note an impression, which opens a new window."""
        reported = self._reported
        reported.pop(entry, None)  # keeps the entries in the order of their times
        reported[entry] = now
        if len(reported) > MAX_ENTRIES:
            with suppress(KeyError):  # other threads evicted all
                reported.popitem(last=False)

    def __len__(self) -> int:
        return len(self._reported)


def checked_window(value: object) -> float:
    """Return the option `impression_window`, in seconds.

    Raises `OptionError` unless it is a positive number.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise OptionError("impression_window", "must be a number of seconds above 0")
