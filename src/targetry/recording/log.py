"""Log of requests and responses: one line each, of a sample, up to a size."""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry._runtime.files import open_private
from targetry._runtime.lazy_import import importing
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.errors import OptionError
from targetry.models import DeliveryRequest, VisitorId

MAX_BYTES: Final = 100_000_000
_HASH_BYTES: Final = 16


class RequestLog:
    """File to which requests are appended, each by one write, so that processes can share it.

    Requests for a preview (`trace`, `qa_mode`, `preview`) and those without `execute` and
    `prefetch` are not recorded.

    Attributes:
        recorded: Number of recorded requests.
        dropped: Number of requests that were to be recorded and are not: the file is full, or
            cannot be written. The logger says why.

    Args:
        path: The file; it is created for this user alone.
        share: Share of the requests that are recorded, 0 to 1.
        max_bytes: Size of the file at which recording ends. It continues when the file is smaller
            again.
        hash_ids: Replace the ids of visitors by hashes with a key that is not kept, and leave out
            IP addresses, customer ids, and what the Experience Cloud knows. Splits of these
            visitors cannot be compared.
        key: Key of the hashes, for processes that share the file. Default: a random one.
        chance: Returns random numbers, 0 to 1.
        log: Logger of what is dropped. Default: `targetry.recording`.

    Raises:
        OptionError: An option is wrong, or the file cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        share: float = 1.0,
        max_bytes: int = MAX_BYTES,
        hash_ids: bool = False,
        key: bytes | None = None,
        chance: Callable[[], float] = random.random,
        log: logging.Logger | None = None,
    ) -> None:
        check_log_options(share, max_bytes)
        self.recorded = self.dropped = 0
        self._share = share
        self._max_bytes = max_bytes
        self._key = (key or new_key()) if hash_ids else None
        self._chance = chance
        self._log = log or logging.getLogger("targetry.recording")
        self._limited_log = RateLimitedLog(self._log)
        self._name = os.fspath(path)
        self._is_full = self._is_torn = False
        try:
            self._file = open_private(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise OptionError("path", f"{self._name} cannot be opened: {reason}") from error

    def record(self, now_ms: int, request: DeliveryRequest, response: bytes) -> None:
        """Append a request and the JSON of its response. Never raises.

        Args:
            now_ms: Time of the decision, epoch milliseconds.
            request: The request with the ids by which it was decided.
            response: JSON of the response.
        """
        if self._share < 1 and self._chance() >= self._share:
            return
        if not _is_recordable(request):
            return
        try:
            line = self._line(now_ms, request, response)
            size = os.fstat(self._file).st_size
            if size + len(line) > self._max_bytes:
                self._drop_at_limit(size)
                return
            written = os.write(self._file, line)
        except Exception as error:  # a log of requests must not break the calls
            self._drop(error)
            return
        self._is_torn = written < len(line)
        if self._is_torn:
            self._drop(OSError(0, "the line was written in part"))
            return
        self._is_full = False
        self.recorded += 1

    def _line(self, now_ms: int, request: DeliveryRequest, response: bytes) -> bytes:
        more = b""
        if self._key is not None:
            request, response = self._without_ids(request, response)
            more = b'"hashed":true,'
        text = request.to_json().encode()
        start = b"\n" if self._is_torn else b""
        return b'%b{"time":%d,%b"request":%b,"response":%b}\n' % (start, now_ms, more, text, response)

    def _drop_at_limit(self, size: int) -> None:
        self.dropped += 1
        if not self._is_full:
            self._is_full = True
            self._log.warning(
                "requests are no longer recorded: %s has %d of %d bytes; truncate it or raise the limit",
                self._name,
                size,
                self._max_bytes,
            )

    def _drop(self, error: Exception) -> None:
        """Count a request that could not be recorded, and log why without its content."""
        self.dropped += 1
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        self._limited_log.warning(
            reason, "a request was not recorded in %s: %s; the response is not affected", self._name, reason
        )

    def _without_ids(self, request: DeliveryRequest, response: bytes) -> tuple[DeliveryRequest, bytes]:
        document: dict[str, Any] = msgspec.json.decode(response)
        document.pop("id", None)
        known = request.id or VisitorId()
        names = ("tnt_id", "third_party_id", "marketing_cloud_visitor_id")
        hashed: dict[str, Any] = {
            name: self._hash(value) for name in names if (value := getattr(known, name))
        }
        context = request.context
        if context is not None and context.geo is not None:
            context = msgspec.structs.replace(
                context, geo=msgspec.structs.replace(context.geo, ip_address=None)
            )
        request = msgspec.structs.replace(
            request, id=VisitorId(**hashed), context=context, experience_cloud=None
        )
        return request, msgspec.json.encode(document)

    def _hash(self, text: str) -> str:
        with importing():
            import hashlib

        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=_HASH_BYTES, key=self._key or b"").hexdigest()

    def close(self) -> None:
        """Close the file; calling it twice is allowed."""
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):
                os.close(file)


def check_log_options(share: float, max_bytes: int) -> None:
    """Check the options of a log that need no file.

    Raises:
        OptionError: An option is wrong.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise OptionError("share", f"must be a number from 0 to 1, not {share!r}")
    if type(max_bytes) is not int or max_bytes < 0:
        raise OptionError("max_bytes", f"must be a number of bytes, not {max_bytes!r}")


def new_key() -> bytes:
    """Return a random key for the hashes of visitor ids."""
    return os.urandom(_HASH_BYTES)


def _is_recordable(request: DeliveryRequest) -> bool:
    """Return whether a request asks for offers of a visitor, and not for a preview of them."""
    asks = request.execute is not None or request.prefetch is not None
    return asks and request.trace is None and request.qa_mode is None and request.preview is None
