"""TCP server on a free loopback port, with a thread per connection and a clean stop."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_LONG = 60.0  # time limit in seconds of waits that must succeed


class ThreadedServer:
    """A server that calls `serve` for each connection.

    `connections` counts all of them, `open_connections` the open ones.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.open_connections = 0
        self.stopping = threading.Event()
        self._tls = tls
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self._tls is None else f"https://localhost:{self.port}"

    def serve(self, sock: socket.socket, number: int) -> None:
        """Serve the `number`th connection until its end; `OSError` ends it too."""
        raise NotImplementedError

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds for this server; fail after a time limit."""
        with self._changed:
            assert self._changed.wait_for(condition, _LONG), "the server never came to the expected state"

    def changed(self) -> None:
        """Wake `wait_until` after a change of state."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Close everything and wait for the threads. Can be called twice."""
        self.stopping.set()
        with socket.socket() as waker:  # accept() does not notice that its socket was closed
            waker.connect_ex(("127.0.0.1", self.port))
        self._listener.close()
        for sock in tuple(self._sockets):
            _shut(sock)
        for thread in self._threads:
            thread.join(_LONG)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections += 1
                self.open_connections += 1
                self._sockets.add(sock)
            self._start(self._talk, sock, self.connections)

    def _talk(self, plain: socket.socket, number: int) -> None:
        sock = plain
        try:
            with contextlib.suppress(OSError):
                if self._tls is not None:
                    sock = self._tls.wrap_socket(plain, server_side=True)
                    self._sockets.add(sock)
                self.serve(sock, number)
        finally:
            sock.close()
            with self._changed:
                self._sockets.difference_update((plain, sock))
                self.open_connections -= 1
                self._changed.notify_all()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"test-server-{self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already
        sock.shutdown(socket.SHUT_RDWR)


class SilentPort:
    """A port with a full accept queue, so that connecting to it never ends."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._fillers = [socket.socket() for _ in range(4)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (*self._fillers, self._listener):
            sock.close()


def unused_port() -> int:
    """Return a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
