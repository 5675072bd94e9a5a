"""Between our requests, answers and errors and those of httpcore2: plain functions, the same for both twins."""

from __future__ import annotations

import base64
import gzip
import os
import socket
import ssl
import zlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

import httpcore2

from targetry.errors import DeadlineError, TransportError
from targetry.http.connector import DEFAULT_PORTS
from targetry.http.deadline import Attempt
from targetry.http.errors import StaleConnectionError, UnusableError
from targetry.http.pool import Origin
from targetry.http.protocol import HttpRequest, HttpResponse, shown_url
from targetry.http.proxies import NoWayError

_SAFE: Final = "%/:?#[]@!$&'()*+,;=-._~"  # everything that RFC 3986 lets stand in path and query
_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNPACKED: Final = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_STEP_BYTES: Final = 256 * 1024  # unpacked at a time: about a millisecond's work

# What is sent and received when a transport is prepared.
REHEARSED_REQUEST: Final = HttpRequest("POST", "http://localhost/", {}, b"{}")
REHEARSED_RESPONSE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n" + gzip.compress(b"{}")
)

RawHeaders = Sequence[tuple[bytes, bytes]]


class Prepared:
    """A request, ready to be sent as often as needed."""

    __slots__ = ("_body", "_headers", "_method", "_url", "origin", "shown_origin")

    def __init__(self, request: HttpRequest) -> None:
        """Raises `TransportError` when the request cannot be put on the wire."""
        try:
            parts = urlsplit(request.url)
            default_port = DEFAULT_PORTS[parts.scheme]
            host, port = _ascii_host(parts.hostname), parts.port or default_port
            self._method = request.method.encode("ascii")
            self._url = httpcore2.URL(
                scheme=parts.scheme,
                host=host,
                port=None if port == default_port else port,
                target=_target(parts.path, parts.query),
            )
            self._headers = _raw_headers(
                request, parts, _authority(host, None if port == default_port else port)
            )
        except (ValueError, KeyError):
            shown = "it" if "@" in request.url else repr(shown_url(request.url))  # it may be a password's end
            raise TransportError(reason=f"the URL cannot be asked: {shown} is not an HTTP URL") from None
        self._body = request.body
        self.origin: Origin = (parts.scheme, host, port)
        self.shown_origin = f"{parts.scheme}://{_authority(host, port)}"

    def request(self, attempt: Attempt) -> httpcore2.Request:
        return httpcore2.Request(
            self._method,
            self._url,
            headers=self._headers,
            content=self._body,
            extensions={"timeout": attempt.timeouts},
        )


def _ascii_host(host: str | None) -> str:
    if not host:
        raise ValueError
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _target(path: str, query: str) -> str:
    target = f"{path or '/'}?{query}" if query else path or "/"
    return target if target.isascii() and " " not in target else quote(target, safe=_SAFE)


def _authority(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _raw_headers(request: HttpRequest, url: SplitResult, authority: str) -> list[tuple[bytes, bytes]]:
    headers = {
        b"host": authority.encode("ascii"),
        b"user-agent": b"targetry",
        b"accept-encoding": b"gzip",
    }
    if url.username is not None:
        pair = unquote_to_bytes(url.username) + b":" + unquote_to_bytes(url.password or "")
        headers[b"authorization"] = b"Basic " + base64.b64encode(pair)
    if request.body is not None or request.method not in ("GET", "HEAD"):
        headers[b"content-length"] = b"%d" % len(request.body or b"")
    for name, value in request.headers.items():
        headers[name.lower().encode("utf-8", "replace")] = value.encode("utf-8", "surrogatepass")
    return list(headers.items())


class Answer:
    """An answer that arrives in pieces; they are unpacked as they come, and never grow past `max_bytes`."""

    def __init__(self, response: httpcore2.Response, max_bytes: int | None) -> None:
        self._status = response.status
        self._reason: bytes | None = response.extensions.get("reason_phrase")
        self._headers = _joined(response.headers)
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._has_more = False  # the last step filled its room, so there may be more without more input
        self._encoding = self._headers.get("content-encoding", "").strip().lower()
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if self._encoding in _UNPACKED else None

    def feed(self, data: bytes) -> Iterator[None]:
        """Take a piece of the body in; yields after each step, since a small piece may unpack to a lot.

        Raises `UnusableError` when there is too much, or what came is not what its encoding says.
        """
        if self._inflate is None:
            if self._encoding not in ("", "identity"):
                raise UnusableError(
                    f"the answer is packed as {self._encoding[:40]!r}, which was not asked for"
                )
            self._add(data)
            yield
            return
        try:
            while data or self._has_more:
                data = self._unpack(data, self._inflate)
                yield
        except zlib.error as error:
            raise UnusableError("the answer cannot be unpacked") from error

    @property
    def size(self) -> int:
        """Bytes of the body so far, unpacked."""
        return self._size

    def ends_connection(self, *, is_kept: bool) -> bool:
        """Return whether nothing more must be read on its connection, since the end of the response is in doubt.

        Raises `StaleConnectionError` when the response is about the connection: many servers say 408 to one that is idle.
        """
        if is_kept and self._status == HTTPStatus.REQUEST_TIMEOUT:
            raise StaleConnectionError("the server waited no longer for a request")
        return "transfer-encoding" in self._headers and "content-length" in self._headers

    def response(self) -> HttpResponse:
        """The whole, once everything was fed. Raises `UnusableError` when its end is missing."""
        if self._inflate is not None and not self._inflate.eof and self._pieces:
            raise UnusableError("the answer was cut short: the end of what was packed is missing")
        reason = _phrase(self._status) if self._reason is None else self._reason.decode("latin-1")
        return HttpResponse(self._status, reason, self._headers, b"".join(self._pieces))

    def _unpack(self, data: bytes, inflate: zlib._Decompress) -> bytes:
        """Unpack some of `data`, to at most one byte more than `max_bytes`, and return what is left of it."""
        if inflate.eof:
            if not data.startswith(_GZIP_MAGIC):
                return b""  # padding after the end
            self._inflate = inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        room = _STEP_BYTES
        if self._max_bytes is not None:
            room = min(room, self._max_bytes - self._size + 1)
        unpacked = inflate.decompress(data, room)
        self._add(unpacked)
        self._has_more = len(unpacked) == room and not inflate.eof
        return inflate.unused_data if inflate.eof else inflate.unconsumed_tail

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise UnusableError(f"the answer (status {self._status}) is larger than {self._max_bytes} bytes")
        self._pieces.append(data)


def _joined(headers: RawHeaders) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def was_stale(error: Exception, attempt: Attempt) -> bool:
    """Whether a kept connection failed because its server was closing it as the request was on its way.

    Nothing was heard on it, so nothing was processed, as far as this end can tell. Browsers repeat in this case
    too, and what Targetry sends carries ids, so a repetition is counted once.
    """
    if attempt.opened is not None or attempt.is_over():
        return False
    if isinstance(error, httpcore2.ConnectionNotAvailable | StaleConnectionError):
        return True
    return not attempt.heard and isinstance(
        error, (OSError, httpcore2.RemoteProtocolError, httpcore2.WriteError)
    )


def failure(error: Exception, attempt: Attempt, origin: str, timeout: float) -> TransportError:
    """What the caller gets for `error`; to be raised from it. No text of the request gets into it."""
    late = isinstance(error, TimeoutError) and (error.errno is None or attempt.is_over())
    failed: TransportError
    if late or isinstance(error, httpcore2.TimeoutException):
        failed = DeadlineError(reason=f"{origin}: no answer within {timeout:g} s (while {attempt.doing})")
    else:
        failed = TransportError(reason=f"{origin}: {_what(error, attempt)}")
    failed.unsent = attempt.doing.startswith(("looking up", "connecting"))
    return failed


def _what(error: Exception, attempt: Attempt) -> str:
    root = error.__cause__ if isinstance(error, httpcore2.WriteError) and error.__cause__ else error
    match root:
        case UnusableError() | NoWayError():
            return str(root)
        case socket.gaierror() | UnicodeError():
            return f"the host name is not known (while {attempt.doing})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {getattr(root, 'verify_message', root.strerror)}"
        case ssl.SSLError():
            return f"TLS failed: {getattr(root, 'reason', None) or root.strerror} (while {attempt.doing})"
        case OSError():
            what = os.strerror(root.errno) if root.errno else str(root)
            return f"{what} (while {attempt.doing})"
        case httpcore2.ProxyError():
            return f"the proxy refused: {root}"
        case httpcore2.RemoteProtocolError():
            return f"the answer is not HTTP, or was cut short: {root}"
        case httpcore2.LocalProtocolError():
            return "the request cannot be sent as HTTP: a header or the URL holds what may not be there"
        case _:
            return f"{type(root).__name__} (while {attempt.doing})"
