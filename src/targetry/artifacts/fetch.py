"""One request for the artifact, and the meaning of its response.

Every result is returned as a value. Nothing is stored: the caller passes the `ETag` of the artifact
that it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from targetry._runtime.retry import retry_after_s
from targetry.artifacts.poll_schedule import Pace, pace_of_status
from targetry.errors import ArtifactError, DeadlineError, TransportError
from targetry.http.protocol import HttpRequest, HttpResponse, Transport, hide_secrets

_TOO_LARGE: Final = " is larger than "  # in the message of a transport about `max_bytes`
_NOT_AUTHORIZED: Final = (
    "Artifact request is not authorized. This is likely due to On-Device-Decisioning being disabled in "
    "Admin settings.  Please enable and try again."
)


class Downloaded(msgspec.Struct, frozen=True):
    """Status 200: the undecoded bytes; `elapsed_ms` is the duration of the exchange."""

    body: bytes
    etag: str | None
    headers: Mapping[str, str]
    elapsed_ms: float


class NotModified(msgspec.Struct, frozen=True):
    """Status 304: the caller has the current artifact."""


class Failed(msgspec.Struct, frozen=True):
    """A failure. `reason` is the key for counting, one of few; `error` has the message."""

    error: ArtifactError
    reason: str
    pace: Pace
    retry_after_s: float | None = None


Outcome = Downloaded | NotModified | Failed


def fetch(
    transport: Transport,
    url: str,
    *,
    etag: str | None,
    timeout_s: float,
    max_bytes: int,
    now: float,
    past_caches: bool = False,
    timer: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Request the artifact. Never raises.

    An unconditional request with the response 304, as from a cache in between, is repeated once
    with `Cache-Control: no-cache`.

    Args:
        transport: Sends the request.
        url: Location of the artifact.
        etag: The `ETag` of the caller's artifact; None makes the request unconditional.
        timeout_s: Deadline of each request in seconds.
        max_bytes: Limit on the size of the artifact.
        now: Wall clock in epoch seconds, for `Retry-After`.
        past_caches: Whether the first request has `Cache-Control: no-cache`.
        timer: Clock in seconds for the duration of the download.
    """
    headers = {"if-none-match": etag} if etag is not None else {}
    if past_caches:
        headers["cache-control"] = "no-cache"
    started = timer()
    try:
        response = transport.send(HttpRequest("GET", url, headers), timeout=timeout_s, max_bytes=max_bytes)
        if response.status == 304 and etag is None:
            started = timer()
            again = HttpRequest("GET", url, {"cache-control": "no-cache"})
            response = transport.send(again, timeout=timeout_s, max_bytes=max_bytes)
    except Exception as error:  # a transport of the user can raise anything
        return _without_response(error, url)
    elapsed_ms = (timer() - started) * 1000
    return read(response, elapsed_ms, conditional=etag is not None, max_bytes=max_bytes, now=now)


def read(
    response: HttpResponse, elapsed_ms: float, *, conditional: bool, max_bytes: int, now: float
) -> Outcome:
    """Return the meaning of a response.

    Args:
        response: The response.
        elapsed_ms: Duration of the exchange.
        conditional: Whether the request had an `ETag`, so that a 304 is valid.
        max_bytes: Limit on the size of the artifact.
        now: Wall clock in epoch seconds, for `Retry-After`.
    """
    status = response.status
    if status == 200:
        if len(response.body) > max_bytes:
            error = ArtifactError(f"the response is larger than {max_bytes} bytes")
            return Failed(error, "too_large", Pace.POLL)
        return Downloaded(response.body, response.headers.get("etag"), response.headers, elapsed_ms)
    if status == 304 and conditional:
        return NotModified()
    text = f"Non-200 status code response from artifact request: {status}"
    return Failed(
        ArtifactError(_NOT_AUTHORIZED if status == 403 else text),
        f"status_{status}",
        pace_of_status(status),
        retry_after_s(response.headers.get("retry-after"), now),
    )


def _without_response(cause: Exception, url: str) -> Failed:
    text = (cause.reason if isinstance(cause, TransportError) else None) or str(cause) or type(cause).__name__
    error = ArtifactError(hide_secrets(text, url))
    if not any(_shows_secrets(link, url) for link in _chain(cause)):  # tracebacks show the whole chain
        error.__cause__ = cause
    if _TOO_LARGE in text:
        return Failed(error, "too_large", Pace.POLL)
    reason = "timeout" if isinstance(cause, DeadlineError) else "connection"
    return Failed(error, reason, Pace.RETRY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error with its causes and contexts, as tracebacks do."""
    pending, seen = [error], set()
    while pending:
        link = pending.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += [next_one for next_one in (link.__cause__, link.__context__) if next_one is not None]


def _shows_secrets(error: BaseException, url: str) -> bool:
    text = f"{error} {error!r}"
    return hide_secrets(text, url) != text
