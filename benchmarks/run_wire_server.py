"""Server with a fixed Delivery API response: at once on one port, after 50 ms on another.

The server supports requests with a Content-Length on persistent connections. It prints its counts
for each line on stdin, and ends at the end of stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from typing import Any

SLOW_S = 0.05
_OFFER = {
    "type": "html",
    "content": f"<div>{'Buy now. ' * 30}</div>",
    "responseTokens": {"activity.id": 1, "activity.name": "Activity 1", "experience.id": 0},
}
_RESPONSE: dict[str, Any] = {
    "status": 200,
    "requestId": "0123456789abcdef0123456789abcdef",
    "client": "acme",
    "id": {"tntId": "338e3c1e51f7416a8e1ccba4f81acea0.28_0"},
    "edgeHost": "edge.localhost",  # clients learn no cluster from this host
    "execute": {
        "mboxes": [
            {
                "index": 1,
                "name": "hero",
                "options": [_OFFER],
                "metrics": [{"type": "click", "eventToken": "2qipfsIHvVzTQxHolz2IpSCnQ9Y9OaLL2gsdrWQ"}],
            }
        ]
    },
}
_BODY = json.dumps(_RESPONSE).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json;charset=UTF-8\r\n"
    b"Vary: Origin\r\nX-Request-Id: 0123456789abcdef\r\nServer: jag\r\nContent-Length: %d\r\n\r\n%s"
) % (len(_BODY), _BODY)


class Counts:
    connections = 0
    requests = 0
    notifications = 0


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        Counts.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := _end_of_request(self._buffer)) is not None:
            Counts.requests += 1
            Counts.notifications += self._buffer.count(b'"type":"display"', 0, end)
            self._buffer = self._buffer[end:]
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)


def _end_of_request(buffer: bytes) -> int | None:
    """Return the end of the first request, None while it is incomplete."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    _, found, rest = buffer[: head + 2].lower().partition(b"\r\ncontent-length:")
    end = head + 4 + (int(rest.partition(b"\r\n")[0]) if found else 0)
    return end if len(buffer) >= end else None


def _counts() -> dict[str, Any]:
    return {
        "connections": Counts.connections,
        "requests": Counts.requests,
        "notifications": Counts.notifications,
        "cpu_s": time.process_time(),
    }


async def main() -> None:
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(partial(Answering, delay), "127.0.0.1", 0, backlog=2048)
        for delay in (0.0, SLOW_S)
    ]
    at_once, slow = (server.sockets[0].getsockname()[1] for server in servers)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while await commands.readline():
        ports = {"port": at_once, "slow_port": slow, "answer_bytes": len(ANSWER), "slow_s": SLOW_S}
        print(json.dumps({**_counts(), **ports}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
