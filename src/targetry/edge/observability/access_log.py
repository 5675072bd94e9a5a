"""Every request is counted, timed and logged, whichever way it goes.

While there are few, at once, each as a record of its own. While there are many, twenty times a second, all lines in one record: a counter
that is raised and a record that is made for each request take as long together as a decision.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from targetry.edge.observability.log_format import Lines, RequestLine, request_fields
from targetry.edge.observability.metrics import Metrics

_TOGETHER_S: Final = 0.05
_MOST_TOGETHER: Final = 1_000
_LINES: Final = 20  # in one record: what is written at once to a pipe is not mixed with what other processes write, up to 4 KB
_QUIET: Final = frozenset({"recent_requests"})  # asked every two seconds by each page that is open


class RequestNotes:
    """Of one edge; belongs to its event loop."""

    def __init__(self, metrics: Metrics, log: logging.Logger) -> None:
        self._metrics = metrics
        self._log = log
        self._waiting: list[RequestLine] = []
        self._written = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def note(self, route: str, method: str, path: str, status: int, seconds: float) -> None:
        now = time.time()
        self._waiting.append((now, route, method, path, status, seconds))
        if now - self._written >= _TOGETHER_S or len(self._waiting) >= _MOST_TOGETHER:
            self.flush()
        elif self._due is None or self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
            self._due = self._loop.call_later(_TOGETHER_S, self.flush)

    def flush(self) -> None:
        """Count and log what waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        lines, self._waiting = self._waiting, []
        if lines:
            self._written = lines[-1][0]
            self._count(lines)
            self._tell_all(logging.INFO, [line for line in lines if line[1] not in _QUIET])
            self._tell_all(logging.DEBUG, [line for line in lines if line[1] in _QUIET])

    def _count(self, lines: Iterable[RequestLine]) -> None:
        answers: Counter[tuple[str, int]] = Counter()
        for _, route, _, _, status, seconds in lines:
            answers[route, status] += 1
            self._metrics.seconds.labels(route).observe(seconds)
        for (route, status), count in answers.items():
            self._metrics.requests.labels(route, str(status)).inc(count)

    def _tell_all(self, level: int, lines: list[RequestLine]) -> None:
        if self._log.isEnabledFor(level):
            for start in range(0, len(lines), _LINES):
                self._tell(level, lines[start : start + _LINES])

    def _tell(self, level: int, lines: list[RequestLine]) -> None:
        if len(lines) > 1:
            self._log.log(level, "%s", Lines(lines), extra={"requests": lines})
            return
        fields = request_fields(lines[0])
        self._log.log(level, "%(method)s %(path)s %(status)s %(ms)s ms", fields, extra={"fields": fields})
