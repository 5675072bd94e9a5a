"""Access log: every request is counted, timed and logged.

Single requests are logged at once, each in a record of its own. Bursts are logged twenty times a
second, all lines in one record, because raising a counter and making a record for each request
take as long as a decision.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final

from targetry.edge.observability.log_format import Lines, RequestLine, request_fields
from targetry.edge.observability.metrics import Metrics

_INTERVAL_S: Final = 0.05
_MAX_WAITING: Final = 1_000
_LOGGED_AT_DEBUG: Final = frozenset({"recent"})  # each open dashboard asks for it every two seconds

_route_and_status: Final = itemgetter(1, 4)


class AccessLog:
    """Access log of one edge; belongs to its event loop."""

    def __init__(self, metrics: Metrics, log: logging.Logger) -> None:
        self._metrics = metrics
        self._log = log
        self._waiting: list[RequestLine] = []
        self._flushed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, route: str, method: str, path: str, status: int, seconds: float) -> None:
        """Count and log a request: its route, method, path, status and duration in seconds."""
        now = time.time()
        self._waiting.append((now, route, method, path, status, seconds))
        if now - self._flushed_at >= _INTERVAL_S or len(self._waiting) >= _MAX_WAITING:
            self.flush()
        elif self._timer is None or self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(_INTERVAL_S, self.flush)

    def flush(self) -> None:
        """Count and log the requests that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._waiting = self._waiting, []
        if lines:
            self._flushed_at = lines[-1][0]
            self._count(lines)
            self._log_all(logging.INFO, [line for line in lines if line[1] not in _LOGGED_AT_DEBUG])
            self._log_all(logging.DEBUG, [line for line in lines if line[1] in _LOGGED_AT_DEBUG])

    def _count(self, lines: Iterable[RequestLine]) -> None:
        durations: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for route_and_status, group in groupby(lines, _route_and_status):
            durations[route_and_status] += [line[5] for line in group]
        for (route, status), seconds_each in durations.items():
            self._metrics.requests.labels(route, str(status)).inc(len(seconds_each))
            self._metrics.seconds.observe(route, seconds_each)

    def _log_all(self, level: int, lines: list[RequestLine]) -> None:
        if not lines or not self._log.isEnabledFor(level):
            return
        if len(lines) > 1:
            self._log.log(level, "%s", Lines(lines), extra={"requests": lines})
            return
        fields = request_fields(lines[0])
        self._log.log(level, "%(method)s %(path)s %(status)s %(ms)s ms", fields, extra={"fields": fields})
