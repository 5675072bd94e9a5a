"""Translation of requests, responses and errors to and from HTTP libraries."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from targetry.errors import DeadlineError, TransportError
from targetry.http.connector import DEFAULT_PORTS
from targetry.http.deadline import Deadline
from targetry.http.inbound import InvalidResponseError, StaleConnectionError
from targetry.http.pool import Origin
from targetry.http.protocol import HttpRequest, HttpResponse, shown_url
from targetry.http.proxies import ProxyConfigurationError

NOT_HTTP: Final = "the response is not HTTP, or was cut short"
CANNOT_BE_SENT: Final = "the request cannot be sent as HTTP: a header or the URL holds a forbidden character"
_MAX_SERVERS: Final = 256  # kept parsed; a visitor's cookie can name a host
# Scheme and authority, path, query: of visible ASCII characters only, which need no quoting.
_PLAIN_URL: Final = re.compile(r"(https?://[!\"$-.0->@-~]+)(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))?(?:#[!-~]*)?\Z")
_SAFE: Final = "%/:?#[]@!$&'()*+,;=-._~"  # all that RFC 3986 allows in path and query
_GZIP_MAGIC: Final = b"\x1f\x8b"
_COMPRESSIONS: Final = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_STEP_BYTES: Final = 256 * 1024  # decompressed at a time: about a millisecond's work

RawHeaders = Sequence[tuple[bytes, bytes]]


class WireRequest:
    """A request in the terms of HTTP/1.1, for any number of attempts.

    `target` begins with a slash, and the names in `headers` are lower-case.
    """

    __slots__ = ("body", "headers", "method", "server", "target")

    def __init__(self, request: HttpRequest) -> None:
        """Raise `TransportError` if the request cannot be expressed in HTTP."""
        try:
            base, path, query = _split(request.url)
            server = _server(base)
            request.method.encode("ascii")
        except (ValueError, KeyError):
            shown = "it" if "@" in request.url else repr(shown_url(request.url))  # it may end a password
            raise TransportError(reason=f"the URL cannot be requested: {shown} is not an HTTP URL") from None
        self.method = request.method
        self.server = server
        self.target = _target(path, query)
        self.headers = _headers(request, server)
        self.body = request.body

    @property
    def url(self) -> str:
        return self.server.url + self.target


class Server(NamedTuple):
    """The part of a URL before its path."""

    scheme: str
    host: str  # ASCII
    port: int | None  # None where it is the scheme's own
    authority: str  # host and port, as the `Host` header has them
    url: str  # without user and password
    origin: Origin
    shown_origin: str
    authorization: str | None


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme and authority, path, and query of a URL. Raises `ValueError`."""
    if plain := _PLAIN_URL.match(url):
        return plain[1], plain[2] or "", plain[3] or ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path, parts.query


@lru_cache(_MAX_SERVERS)
def _server(base: str) -> Server:
    """Return the server of `scheme://authority`. Raises `ValueError` or `KeyError`."""
    parts = urlsplit(base)
    default_port = DEFAULT_PORTS[parts.scheme]
    host, number = _ascii_host(parts.hostname), parts.port or default_port
    port = None if number == default_port else number
    authorization = None
    if parts.username is not None:
        pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        authorization = "Basic " + base64.b64encode(pair).decode()
    return Server(
        scheme=parts.scheme,
        host=host,
        port=port,
        authority=_authority(host, port),
        url=f"{parts.scheme}://{_authority(host, port)}",
        origin=(parts.scheme, host, number),
        shown_origin=f"{parts.scheme}://{_authority(host, number)}",
        authorization=authorization,
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


def _headers(request: HttpRequest, server: Server) -> dict[str, str]:
    headers = {"host": server.authority, "user-agent": "targetry", "accept-encoding": "gzip"}
    if server.authorization is not None:
        headers["authorization"] = server.authorization
    if request.body is not None or request.method not in ("GET", "HEAD"):
        headers["content-length"] = str(len(request.body or b""))
    for name, value in request.headers.items():
        headers[name.lower()] = value
    return headers


class ResponseReader:
    """Assembles a response from pieces and decompresses them, up to `max_bytes`."""

    def __init__(self, status: int, reason: str | None, headers: RawHeaders, max_bytes: int | None) -> None:
        self._status = status
        self._reason = reason
        self._headers = _joined(headers)
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self.size = 0  # bytes of the body so far, decompressed
        self._has_more = False  # the last step filled its room, so more may follow without more input
        self._encoding = self._headers.get("content-encoding", "").strip().lower()
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if self._encoding in _COMPRESSIONS else None

    def feed(self, data: bytes) -> Iterator[None]:
        """Add a piece of the body; yield after each step of decompression.

        Raises `InvalidResponseError` when the body is too large or is not encoded as its header
        says.
        """
        if self._inflate is None:
            if self._encoding not in ("", "identity"):
                raise InvalidResponseError(
                    f"the response is compressed as {self._encoding[:40]!r}, which was not requested"
                )
            self._add(data)
            yield
            return
        try:
            while data or self._has_more:
                data = self._decompress(data, self._inflate)
                yield
        except zlib.error as error:
            raise InvalidResponseError("the response cannot be decompressed") from error

    def ends_connection(self, *, is_reused: bool) -> bool:
        """Return whether its connection must be closed, since the end of the response is in doubt.

        Raises `StaleConnectionError` when the response is about the connection: many servers send
        408 to an idle one.
        """
        if is_reused and self._status == HTTPStatus.REQUEST_TIMEOUT:
            raise StaleConnectionError("the server stopped waiting for a request")
        return "transfer-encoding" in self._headers and "content-length" in self._headers

    def response(self) -> HttpResponse:
        """Return the response, once fed. Raises `InvalidResponseError` if its end is missing."""
        if self._inflate is not None and not self._inflate.eof and self._pieces:
            raise InvalidResponseError(
                "the response was cut short: the end of the compressed data is missing"
            )
        reason = _phrase(self._status) if self._reason is None else self._reason
        return HttpResponse(self._status, reason, self._headers, b"".join(self._pieces))

    def _decompress(self, data: bytes, inflate: zlib._Decompress) -> bytes:
        """Decompress some of `data`, at most one byte beyond `max_bytes`; return the rest."""
        if inflate.eof:
            if not data.startswith(_GZIP_MAGIC):
                return b""  # padding after the end
            self._inflate = inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        room = _STEP_BYTES
        if self._max_bytes is not None:
            room = min(room, self._max_bytes - self.size + 1)
        decompressed = inflate.decompress(data, room)
        self._add(decompressed)
        self._has_more = len(decompressed) == room and not inflate.eof
        return inflate.unused_data if inflate.eof else inflate.unconsumed_tail

    def _add(self, data: bytes) -> None:
        self.size += len(data)
        if self._max_bytes is not None and self.size > self._max_bytes:
            raise InvalidResponseError(
                f"the response (status {self._status}) is larger than {self._max_bytes} bytes"
            )
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


def was_stale(error: Exception, deadline: Deadline, *, is_disconnect: bool) -> bool:
    """Return whether a reused connection failed because its server was closing it.

    `is_disconnect` says whether the HTTP library's `error` means that the connection broke. Nothing
    was received on it, so the server has most likely processed nothing. Browsers
    repeat a request in this case too, and Targetry's requests carry ids, so a repetition is counted
    once.
    """
    if deadline.opened is not None or deadline.is_over():
        return False
    if isinstance(error, StaleConnectionError):
        return True
    return not deadline.has_received and (is_disconnect or isinstance(error, OSError))


def transport_error(
    error: Exception, deadline: Deadline, origin: str, timeout_s: float, library_reason: str | None = None
) -> TransportError:
    """Return the error to raise from `error`; it repeats no text of the request.

    `library_reason` describes an error of an HTTP library; without it, the type of `error` decides.
    """
    failed: TransportError
    if isinstance(error, TimeoutError) and (error.errno is None or deadline.is_over()):
        reason = f"{origin}: no response within {timeout_s:g} s (while {deadline.phase})"
        failed = DeadlineError(reason=reason)
    else:
        failed = TransportError(reason=f"{origin}: {library_reason or _reason(error, deadline.phase)}")
    failed.unsent = deadline.phase.startswith(("looking up", "connecting"))
    return failed


def _reason(error: Exception, phase: str) -> str:
    match error:
        case InvalidResponseError() | ProxyConfigurationError():
            return str(error)
        case socket.gaierror() | UnicodeError():
            return f"the host name is not known (while {phase})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {getattr(error, 'verify_message', error.strerror)}"
        case ssl.SSLError():
            return f"TLS failed: {getattr(error, 'reason', None) or error.strerror} (while {phase})"
        case OSError():
            what = os.strerror(error.errno) if error.errno else str(error)
            return f"{what} (while {phase})"
        case _:
            return f"{type(error).__name__} (while {phase})"
