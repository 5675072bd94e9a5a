"""Limits of connections and requests, counted in metrics and logged at most once a minute each."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from targetry._runtime.rate_limited_log import LogLimiter

if TYPE_CHECKING:
    from targetry.edge.observability.metrics import Metrics

MAX_CONNECTIONS: Final = 4096  # of each worker
IDLE_TIMEOUT_S: Final = 30.0
REQUEST_TIMEOUT_S: Final = 10.0
LONGEST_TIMEOUT_S: Final = 86_400
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 128
MAX_BODY_BYTES: Final = 1_000_000  # before and after unzipping
MAX_REQUEST_BYTES: Final = 8 * MAX_BODY_BYTES  # as sent: chunks of one byte each take six

MAX_UNSENT_BYTES: Final = 256_000_000  # of answers to all connections

Limit = Literal[
    "connections",
    "busy",
    "idle",
    "slow",
    "head",
    "body",
    "unread",
    "host",
    "work",
    "heavy",
    "streams",
    "unsent",
    "not_http",
]

_MESSAGES: Final[dict[Limit, str]] = {
    "connections": "connections closed: the limit of {connections} was reached, and they had waited longest; raise --max-connections",
    "busy": "connections answered with 503: all {connections} are being served; raise --max-connections",
    "idle": "connections closed: no request for {idle_s:g} s; raise --idle-timeout to keep them longer",
    "slow": "requests answered with 408: incomplete after {request_s:g} s; raise --request-timeout for slow clients",
    "head": f"requests answered with 431: the head has more than {MAX_HEAD_BYTES:,} bytes or {MAX_FIELDS} fields",
    "body": f"requests answered with 413: the body has more than {MAX_BODY_BYTES:,} bytes",
    "unread": "connections closed: the client read nothing of its response for {idle_s:g} s; raise --idle-timeout for slow clients",
    "host": "requests answered with 400: no Host field, several, or another one than the request target's",
    "work": "requests answered with 413: they ask for more than one request is allowed to cost",
    "heavy": "large requests answered with 503: too many were waiting",
    "streams": "event streams answered with 503: half of {connections} connections are streams; raise --max-connections",
    "unsent": "connections closed: clients had left more than {unsent_bytes:,} bytes of responses unread",
    "not_http": "connections closed with 400: the client sent no valid HTTP/1.1",
}
_LOGGED_AT_INFO: Final = frozenset({"idle"})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one process.

    Attributes:
        connections: Open at a time.
        idle_s: Seconds without a request, or without reading any of a response.
        request_s: Seconds for a head to arrive, and for a body.
        unsent_bytes: Size of the responses that all clients together have not read yet.
    """

    connections: int = MAX_CONNECTIONS
    idle_s: float = IDLE_TIMEOUT_S
    request_s: float = REQUEST_TIMEOUT_S
    unsent_bytes: int = MAX_UNSENT_BYTES


def limit_messages(limits: Limits) -> dict[Limit, str]:
    """Return the log line of each limit."""
    values = msgspec.structs.asdict(limits)
    return {name: text.format(**values) for name, text in _MESSAGES.items()}


class LimitMonitor:
    """Counts ends at limits; logs each limit at once, then at most once a minute."""

    def __init__(
        self,
        limits: Limits,
        metrics: Metrics,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = metrics.limits
        self._log = log
        self._limiter = LogLimiter(clock)
        self._messages = limit_messages(limits)
        self._unlogged: Counter[Limit] = Counter()

    def record(self, limit: Limit) -> None:
        """Count one end at a limit, and log it if a line is due."""
        self._count.labels(limit).inc()
        self._unlogged[limit] += 1
        self.log_due()

    def log_due(self) -> None:
        """Log the limits for which a line is due."""
        for limit in [one for one in self._unlogged if self._limiter.admit(one) is not None]:
            level = logging.INFO if limit in _LOGGED_AT_INFO else logging.WARNING
            self._log.log(level, "%s: %d", self._messages[limit], self._unlogged.pop(limit))
