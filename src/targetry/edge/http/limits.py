"""What connections may take of an edge, and what is told of those that wanted more (RELIABILITY B7 and rule 9)."""

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
    "unsent",
    "not_http",
]

# What a line says of each, before how many there were.
_TEXTS: Final[dict[Limit, str]] = {
    "connections": "connections closed that had waited longest, to make room for others, as there may be {connections} (--max-connections)",
    "busy": "connections turned away with 503, as all {connections} are at work (--max-connections)",
    "idle": "connections closed after {idle_s:g} s without a request (--idle-timeout)",
    "slow": "requests ended with 408 that had not arrived after {request_s:g} s (--request-timeout)",
    "head": f"requests refused with 431 whose head has more than {MAX_HEAD_BYTES:,} bytes or {MAX_FIELDS} fields",
    "body": f"requests refused with 413 whose body has more than {MAX_BODY_BYTES:,} bytes",
    "unread": "connections ended whose client took nothing of its answer for {idle_s:g} s (--idle-timeout)",
    "host": "requests refused with 400 that had no Host field, several, or not the one of their target",
    "work": "requests refused with 413 that ask for more than one request may cost",
    "heavy": "large requests turned away with 503, as too many were waiting",
    "unsent": "connections ended, as clients had left more than {unsent_bytes:,} bytes of answers unread",
    "not_http": "connections ended with 400 that said what is not HTTP",
}
_IS_USUAL: Final = frozenset({"idle"})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`connections` at a time; `idle_s` without a request, or without taking any of an answer; `request_s` for a head, and for a body;
    `unsent_bytes` of answers that all clients together have not taken yet."""

    connections: int = MAX_CONNECTIONS
    idle_s: float = IDLE_TIMEOUT_S
    request_s: float = REQUEST_TIMEOUT_S
    unsent_bytes: int = MAX_UNSENT_BYTES


class Breaches:
    """Counts what is ended at a limit, and tells of each limit at most once a minute: at once, and later how often since."""

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
        self._texts = {name: text.format(**msgspec.structs.asdict(limits)) for name, text in _TEXTS.items()}
        self._untold: Counter[Limit] = Counter()

    def note(self, limit: Limit) -> None:
        self._count.labels(limit).inc()
        self._untold[limit] += 1
        self.tell()

    def tell(self) -> None:
        """Say what is to be said by now."""
        for limit in [one for one in self._untold if self._limiter.admit(one) is not None]:
            level = logging.INFO if limit in _IS_USUAL else logging.WARNING
            self._log.log(level, "%s: %d", self._texts[limit], self._untold.pop(limit))
