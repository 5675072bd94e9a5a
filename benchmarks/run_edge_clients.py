"""Clients of `edge.py`: sockets in one thread that request an mbox for changing visitors.

Connections are persistent. Only the status and length of a response are read, so that a client
needs less time than the server.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections import deque
from itertools import cycle
from typing import Any

from measure import percentile
from run_targetry import main

VISITORS = 5_000
_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
_HEAD = "POST /rest/v1/delivery?imsOrgId=0123456789ABCDEF01234567%40AdobeOrg&sessionId={session} HTTP/1.1\r\n"
_FIELDS = (
    "Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nX-EXC-SDK: TargetNode\r\n"
    "Accept: application/json\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n\r\n"
)


class Clients:
    """`count` connections to a port; `ask` sends a request on one, `wait` returns responses."""

    def __init__(self, port: int, count: int, asks: str) -> None:
        question = {"delivery": _question, "flag": _flag_question, "all flags": _all_flags_question}[asks]
        self._questions = cycle([question(port, number) for number in range(VISITORS)])
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._missing: dict[int, int] = {}
        self.body_bytes = 0
        for _ in range(count):
            made = socket.create_connection(("127.0.0.1", port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[made.fileno()] = made
            self._poll.register(made.fileno(), select.EPOLLIN)
        self.all = list(self._sockets)

    def ask(self, client: int) -> None:
        self._sockets[client].sendall(next(self._questions))

    def wait(self, seconds: float) -> list[int]:
        """Return the clients whose response is complete."""
        return [client for client, _ in self._poll.poll(seconds) if self._is_answered(client)]

    def close(self) -> None:
        self._poll.close()
        for one in self._sockets.values():
            one.close()

    def _is_answered(self, client: int) -> bool:
        data = self._sockets[client].recv(65536)
        missing = self._missing.pop(client, None)
        if missing is None:
            head, _, body = data.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"answered {data[:200]!r}")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.body_bytes = length
            missing = length - len(body)
        else:
            missing -= len(data)
        if missing > 0 and data:
            self._missing[client] = missing
            return False
        if missing:
            raise ConnectionError("the server hung up")
        return True


def flood(command: dict[str, Any]) -> dict[str, Any]:
    """Return the maximum rate: each client sends again after its response. Latencies are in ms."""
    clients = _clients(command)
    asked = dict.fromkeys(clients.all, time.perf_counter())
    for client in clients.all:
        clients.ask(client)
    windows: list[dict[str, Any]] = []
    answered = 0
    for window in range(command["windows"] + 1):  # the first warms up
        latencies: list[float] = []
        started, cpu = time.perf_counter(), time.process_time()
        end = started + (command["seconds"] if window else command["warm_up_s"])
        while (now := time.perf_counter()) < end:
            for client in clients.wait(1):
                now = time.perf_counter()
                latencies.append(now - asked[client])
                asked[client] = now
                clients.ask(client)
        windows.append(_window(latencies, now - started, time.process_time() - cpu))
        answered += len(latencies)
    clients.close()
    return {"windows": windows[1:], "answered": answered, "body_bytes": clients.body_bytes}


def steady(command: dict[str, Any]) -> dict[str, Any]:
    """Send `rate` requests a second; a latency counts from the time at which a request was due."""
    clients = _clients(command)
    free, due_of = deque(clients.all), dict.fromkeys(clients.all, 0.0)
    gap, latencies = 1 / command["rate"], []
    started, cpu = time.perf_counter(), time.process_time()
    due, end = started, started + command["seconds"]
    while (now := time.perf_counter()) < end:
        while due <= now and free:
            client = free.popleft()
            due_of[client] = due
            clients.ask(client)
            due += gap
        for client in clients.wait(0):
            latencies.append(time.perf_counter() - due_of[client])
            free.append(client)
    result = _window(latencies[len(latencies) // 10 :], now - started, time.process_time() - cpu)
    clients.close()
    return {**result, "per_s": len(latencies) / (now - started)}


def _clients(command: dict[str, Any]) -> Clients:
    if command["core"] is not None:
        os.sched_setaffinity(0, {command["core"]})
        if command.get("yields"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return Clients(command["port"], command["connections"], command["asks"])


def _window(latencies: list[float], seconds: float, cpu_s: float) -> dict[str, Any]:
    return {
        "per_s": len(latencies) / seconds,
        "p50_ms": percentile(latencies, 0.5) * 1e3,
        "p99_ms": percentile(latencies, 0.99) * 1e3,
        "share": cpu_s / seconds,
    }


def _flag_question(port: int, number: int) -> bytes:
    return _flags_question(port, number, "/hero")


def _all_flags_question(port: int, number: int) -> bytes:
    return _flags_question(port, number, "")


def _flags_question(port: int, number: int, key: str) -> bytes:
    context = {"targetingKey": f"{number:08x}9c1d4e5fa0b1c2d3e4f50617", "userAgent": _USER_AGENT}
    body = json.dumps({"context": context}, separators=(",", ":"))
    head = f"POST /ofrep/v1/evaluate/flags{key} HTTP/1.1\r\n"
    return (head + _FIELDS.format(port=port, length=len(body)) + body).encode()


def _question(port: int, number: int) -> bytes:
    visitor = f"{number:08x}9c1d4e5fa0b1c2d3e4f50617"
    body = json.dumps(
        {
            "id": {"tntId": visitor},
            "context": {"channel": "web", "userAgent": _USER_AGENT},
            "execute": {"mboxes": [{"index": 0, "name": "hero"}]},
        },
        separators=(",", ":"),
    )
    head = _HEAD.format(session=f"s{visitor}") + _FIELDS.format(port=port, length=len(body))
    return (head + body).encode()


if __name__ == "__main__":
    main({"flood": flood, "steady": steady})
