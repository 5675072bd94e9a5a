"""Log of requests and responses, to compare on-device decisions with those of the Delivery API.

Each line is a JSON object with `time` (epoch ms), `request` and `response`; `targetry shadow` reads
it. `RequestRecorder` is a hook that logs what the Delivery API decides for an application:

    recorder = RequestRecorder("requests.jsonl", share=0.01)
    client = TargetClient.create(client="acme", organization_id="…", hooks=[recorder])
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry._runtime.files import open_private
from targetry._runtime.lazy_import import importing
from targetry.errors import OptionError
from targetry.hooks import CallEnded, Hook
from targetry.models import DecisioningMethod, DeliveryRequest, VisitorId

__all__ = ["RequestLog", "RequestRecorder"]

MAX_BYTES: Final = 100_000_000
_HASH_BYTES: Final = 16


class RequestLog:
    """File to which requests are appended, each by one write, so that processes can share it.

    Attributes:
        recorded: Number of recorded requests.
        dropped: Number of requests that were to be recorded and are not: the file is full, or
            cannot be written.

    Args:
        path: The file; it is created for this user alone.
        share: Share of the requests that are recorded, 0 to 1.
        max_bytes: Size of the file at which recording ends.
        hash_ids: Replace the ids of visitors by hashes with a key that is not kept. Splits of these
            visitors cannot be compared.
        chance: Returns random numbers, 0 to 1.

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
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise OptionError("share", f"must be a number from 0 to 1, not {share!r}")
        if type(max_bytes) is not int or max_bytes < 0:
            raise OptionError("max_bytes", f"must be a number of bytes, not {max_bytes!r}")
        self.recorded = self.dropped = 0
        self._share = share
        self._max_bytes = max_bytes
        self._key = os.urandom(_HASH_BYTES) if hash_ids else None
        self._chance = chance
        try:
            self._file = open_private(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except (OSError, ValueError) as error:
            raise OptionError("path", f"{os.fspath(path)} cannot be opened: {error}") from error

    def record(self, now_ms: int, request: DeliveryRequest, response: bytes) -> None:
        """Append a request and the JSON of its response. Never raises.

        Args:
            now_ms: Time of the decision, epoch milliseconds.
            request: The request with the ids by which it was decided.
            response: JSON of the response.
        """
        if self._share < 1 and self._chance() >= self._share:
            return
        try:
            hashed = b""
            if self._key is not None:
                request, response, hashed = *self._without_ids(request, response), b'"hashed":true,'
            text = request.to_json().encode()
            line = b'{"time":%d,%b"request":%b,"response":%b}\n' % (now_ms, hashed, text, response)
            if os.fstat(self._file).st_size + len(line) > self._max_bytes:
                self.dropped += 1
            else:
                os.write(self._file, line)
                self.recorded += 1
        except Exception:  # a log of requests must not break the calls
            self.dropped += 1

    def _without_ids(self, request: DeliveryRequest, response: bytes) -> tuple[DeliveryRequest, bytes]:
        document: dict[str, Any] = msgspec.json.decode(response)
        document.pop("id", None)
        known = request.id or VisitorId()
        names = ("tnt_id", "third_party_id", "marketing_cloud_visitor_id")
        hashed: dict[str, Any] = {
            name: self._hash(value) for name in names if (value := getattr(known, name))
        }
        return msgspec.structs.replace(request, id=VisitorId(**hashed)), msgspec.json.encode(document)

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


class RequestRecorder(Hook):
    """Hook that records what the Delivery API decides in `get_offers`.

    Args:
        path: As of `RequestLog`.
        share: As of `RequestLog`.
        max_bytes: As of `RequestLog`.
        hash_ids: As of `RequestLog`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        share: float = 0.01,
        max_bytes: int = MAX_BYTES,
        hash_ids: bool = False,
    ) -> None:
        self.log = RequestLog(path, share=share, max_bytes=max_bytes, hash_ids=hash_ids)

    def after_decision(self, call: CallEnded) -> None:
        """Record a call of `get_offers` that the Delivery API decided."""
        result = call.result
        if call.kind != "get_offers" or result is None or call.decided_by != DecisioningMethod.SERVER_SIDE:
            return
        request, response = result["request"], result["response"]
        self.log.record(int(time.time() * 1000), request, response.to_json().encode())

    def close(self) -> None:
        """Close the file; what is called afterwards is counted as dropped."""
        self.log.close()
