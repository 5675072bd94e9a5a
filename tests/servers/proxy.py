"""Proxy servers: a forward proxy for absolute targets and `CONNECT`, and a SOCKS5 proxy."""

from __future__ import annotations

import base64
import select
import socket
import ssl
from urllib.parse import urlsplit

from servers.faulty import RequestReader
from servers.threaded import ThreadedServer


class ForwardProxy(ThreadedServer):
    """A forward proxy; `asked` lists requests: `GET http://host/path` or `CONNECT host:port`."""

    def __init__(
        self, user: str | None = None, password: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.asked: list[str] = []
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._expected = None if user is None else f"Basic {pair}"
        super().__init__(tls)

    def serve(self, sock: socket.socket, number: int) -> None:
        reader = RequestReader(sock)
        while (asked := reader.read()) is not None:
            method, target, headers, body = asked
            self.asked.append(f"{method} {target}")
            if self._expected not in (None, headers.get("proxy-authorization")):
                sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif method == "CONNECT":
                host, _, port = target.rpartition(":")
                self._tunnel(sock, host, int(port))
                return
            else:
                self._forward(sock, method, target, headers, body)
                return

    def _tunnel(self, sock: socket.socket, host: str, port: int) -> None:
        with socket.create_connection((host, port)) as upstream:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _copy_both_ways(sock, upstream)

    def _forward(
        self, sock: socket.socket, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> None:
        parts = urlsplit(url)
        kept = {name: value for name, value in headers.items() if not name.startswith("proxy-")}
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        with socket.create_connection((parts.hostname, parts.port or 80)) as upstream:
            upstream.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            upstream.shutdown(socket.SHUT_WR)
            while data := upstream.recv(65536):
                sock.sendall(data)


class SocksProxy(ThreadedServer):
    """A SOCKS5 proxy for user `me` with password `secret`; `asked` lists the targets."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__()

    def serve(self, sock: socket.socket, number: int) -> None:
        with sock.makefile("rb") as reader:
            methods = reader.read(reader.read(2)[1])
            assert b"\x02" in methods, "no user and password were offered"
            sock.sendall(b"\x05\x02")
            reader.read(1)
            user, password = (reader.read(reader.read(1)[0]) for _ in range(2))
            known = (user, password) == (b"me", b"secret")
            sock.sendall(b"\x01\x00" if known else b"\x01\x01")
            if not known:
                return
            kind = reader.read(4)[3]
            host = socket.inet_ntoa(reader.read(4)) if kind == 1 else reader.read(reader.read(1)[0]).decode()
            port = int.from_bytes(reader.read(2), "big")
        self.asked.append(f"{host}:{port}")
        with socket.create_connection((host, port)) as upstream:
            sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
            _copy_both_ways(sock, upstream)


def _copy_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Copy until either side ends; TLS can buffer bytes that `select` does not see."""
    while True:
        ready = [sock for sock in (one, other) if isinstance(sock, ssl.SSLSocket) and sock.pending()]
        for source in ready or select.select((one, other), (), ())[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
