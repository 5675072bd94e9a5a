"""HTTP server with scripted behavior, correct or faulty.

    with FaultyServer(json_answer({"status": 200}), HANG) as server:
        ...                                     # the first request gets a response, others hang
        server.requests[0].json()               # the first request

A *behavior* is the reaction to a request: a tuple of steps, which are plain data, or a function of
the request that returns one. Behaviors are used in order, and the last one repeats; `on` sets the
behavior of a path. The functions below return the usual behaviors and can be combined:
`drip(json_answer(...), every=0.01)`.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.threaded import ThreadedServer


@dataclass(frozen=True)
class Received:
    """A received request; names of `headers` are lower-case, `connection` counts from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Send:
    """A step that sends bytes: at once, or `size` of them each `every` seconds."""

    data: bytes = field(repr=False)
    every: float = 0.0
    size: int = 1


@dataclass(frozen=True)
class Hang:
    """A step that waits until the client disconnects or the server stops; reads unless `deaf`."""

    deaf: bool = False


@dataclass(frozen=True)
class Pause:
    """A step that waits for a number of seconds."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """A step that closes the connection, with `reset` by a TCP reset."""

    reset: bool = False


Step = Send | Hang | Pause | Close
Steps = tuple[Step, ...]
Behaviour = Steps | Callable[[Received], Steps]

HANG: Steps = (Hang(),)


def answer(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, reason: str = "Reason"
) -> Steps:
    """Return a well-formed response. `Content-Length` is added; 204 and 304 have none."""
    lines = {} if status in (204, 304) else {"Content-Length": str(len(body))}
    lines.update(headers or {})
    head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    return (Send(head.encode() + b"\r\n" + body),)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Steps:
    return answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def html_answer(status: int = 200) -> Steps:
    """Return the page of a captive portal or a load balancer."""
    return answer(status, b"<html><body>Sorry</body></html>", {"Content-Type": "text/html"})


def gzip_answer(body: bytes, headers: Mapping[str, str] | None = None) -> Steps:
    return answer(200, gzip.compress(body), {"Content-Encoding": "gzip", **(headers or {})})


def gzip_bomb(size: int) -> Steps:
    """Return a response that expands to `size` zeros, a multiple of 1 MiB."""
    zeros, count = bytes(1 << 20), size >> 20
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(zeros, checksum)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    body = head + piece * count + packer.flush() + struct.pack("<II", checksum, size)
    return answer(200, body, {"Content-Encoding": "gzip"})


def redirect_to_itself(received: Received) -> Steps:
    return answer(302, headers={"Location": received.target})


def garbage(data: bytes = b"\x00\xff\x16\x03 this is not HTTP\r\n\r\n") -> Steps:
    return (Send(data), Close())


def drip(steps: Steps, every: float, size: int = 1) -> Steps:
    """Return steps that send the same bytes, a few at a time."""
    return tuple(Send(step.data, every, size) if isinstance(step, Send) else step for step in steps)


def half(steps: Steps, then: Step) -> Steps:
    """Return steps that send the first half of a response and continue with `then`."""
    whole = b"".join(step.data for step in steps if isinstance(step, Send))
    return (Send(whole[: len(whole) // 2]), then)


def then_close(steps: Steps, reset: bool = False) -> Steps:
    """Return steps that send the whole response and close the connection without notice."""
    return (*steps, Close(reset))


class FaultyServer(ThreadedServer):
    """A server with scripted behavior, as the module describes it.

    Args:
        behaviors: The behaviors in order; the last one repeats.
        tls: The TLS context (`servers.certificates`).
        idle_seconds: Time after which a connection without a request is closed.
        at_connect: Steps on each new connection before its first request is read.
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float | None = None,
        at_connect: Steps = (),
    ) -> None:
        self.requests: list[Received] = []
        self._idle_seconds = idle_seconds
        self._at_connect = at_connect
        self._scripts: dict[str | None, list[Behaviour]] = {None: list(behaviours) or [answer()]}
        super().__init__(tls)

    def script(self, *behaviours: Behaviour) -> None:
        """Replace the script."""
        self._scripts[None] = list(behaviours)

    def on(self, path: str, *behaviours: Behaviour) -> None:
        """Set the behavior for requests of this path, without the query."""
        self._scripts[path] = list(behaviours)

    def serve(self, sock: socket.socket, number: int) -> None:
        reader = RequestReader(sock)
        alive = self._behave(sock, self._at_connect)
        while alive:
            sock.settimeout(self._idle_seconds)
            head = reader.read()
            if head is None:
                return
            method, target, headers, body = head
            received = Received(method, target, headers, body, number)
            self.requests.append(received)
            self.changed()
            sock.settimeout(None)
            alive = self._behave(sock, self._next(received))

    def _next(self, received: Received) -> Steps:
        script = self._scripts.get(received.path) or self._scripts[None]
        behaviour = script.pop(0) if len(script) > 1 else script[0]
        return behaviour(received) if callable(behaviour) else behaviour

    def _behave(self, sock: socket.socket, steps: Steps) -> bool:
        """Run the steps; return whether the connection stays open."""
        for step in steps:
            match step:
                case Send(data, every, size) if every:
                    for start in range(0, len(data), size):
                        sock.sendall(data[start : start + size])
                        if self.stopping.wait(every):
                            return False
                case Send(data):
                    sock.sendall(data)
                case Pause(seconds):
                    if self.stopping.wait(seconds):
                        return False
                case Hang(deaf=True):
                    self.stopping.wait()
                    return False
                case Hang():
                    while sock.recv(65536):
                        pass
                    return False
                case Close(reset):
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return False
        return True


class RequestReader:
    """Reader of requests from a connection: the head, and a body with the length in the head."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def read(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """Return method, target, headers and body; None at the end, or for anything but HTTP."""
        if not self._fill(lambda: b"\r\n\r\n" in self._buffer):
            return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        if first.count(" ") != 2:
            return None
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if not self._fill(lambda: len(self._buffer) >= length):
            return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        method, target, _ = first.split(" ")
        return method, target, headers, body

    def _fill(self, enough: Callable[[], bool]) -> bool:
        while not enough():
            data = self._sock.recv(65536)
            if not data:
                return False
            self._buffer += data
        return True
