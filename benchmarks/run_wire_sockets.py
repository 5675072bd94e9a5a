"""Contestant of `wire.py`: plain sockets, for the least cost of a client and the server's limit."""

from __future__ import annotations

import json
import selectors
import socket
import time
from typing import Any

from measure import by_turns
from run_targetry import main
from run_wire import asked


def bare_socket(command: dict[str, Any]) -> dict[str, Any]:
    """Measure writing the same bytes to a socket and reading the response without parsing it."""
    data = _wire_bytes(command["port"])
    with socket.create_connection(("127.0.0.1", command["port"])) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def call() -> None:
            sock.sendall(data)
            _read(sock, command["answer_bytes"])

        return {"timings": by_turns({"socket": call}, command)}


def flood(command: dict[str, Any]) -> dict[str, Any]:
    """Return the server's maximum rate: each connection sends again after a response."""
    data, answer_bytes = _wire_bytes(command["port"]), command["answer_bytes"]
    selector = selectors.DefaultSelector()
    left: dict[socket.socket, int] = {}
    for _ in range(command["tasks"]):
        sock = socket.create_connection(("127.0.0.1", command["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        sock.sendall(data)
        left[sock] = answer_bytes
    count, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < command["seconds"]:
        for key, _ in selector.select(1):
            assert isinstance(key.fileobj, socket.socket)
            sock = key.fileobj
            left[sock] -= len(sock.recv(65536))
            if not left[sock]:
                count += 1
                sock.sendall(data)
                left[sock] = answer_bytes
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    selector.close()
    for sock in left:
        sock.close()
    return {"per_s": count / seconds, "share": cpu / seconds}


def _wire_bytes(port: int) -> bytes:
    """Return a request with headers and body as the clients send them."""
    body = json.dumps(asked(), separators=(",", ":")).encode()
    head = (
        f"POST /rest/v1/delivery?imsOrgId=ABC%40AdobeOrg&sessionId=s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "User-Agent: socket\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _read(sock: socket.socket, count: int) -> None:
    while count:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        count -= len(data)


if __name__ == "__main__":
    main({"bare_socket": bare_socket, "flood": flood})
