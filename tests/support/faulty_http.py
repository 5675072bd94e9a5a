"""Malformed HTTP on a raw connection, and the responses to it."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

_LONGEST_S: Final = 10.0
_QUIET_S: Final = 0.015

GOOD = (
    b"POST /rest/v1/delivery?client=acme&sessionId=s1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: 70\r\n\r\n"
    b'{"context":{"channel":"web"},"execute":{"mboxes":[{"name":"hero"}]}}  '
)
CHUNKED = (
    b"POST /rest/v1/delivery?client=acme&sessionId=s1 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    b'1e\r\n{"context":{"channel":"web"}} \r\n0\r\n\r\n'
)
PIECES = (
    b"\r\n", b"\x00", b"\xff", b"0", b"-1", b"99999999999999999999", b" ", b"\t", b":", b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n", b"upgrade: websocket\r\nconnection: upgrade\r\n",
    b"HTTP/9.9", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"connection: close\r\n", b"%", b"\xc3\x28",
)  # fmt: skip


def malformed_pieces(seed: int) -> list[bytes]:
    """Return the pieces of noise, or of valid requests with a few bytes changed."""
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return [chance.randbytes(chance.randint(1, 2000))]
    requests = chance.choices([GOOD, CHUNKED], k=chance.randint(1, 4))
    for _ in range(chance.randint(1, 2)):
        position = chance.randrange(len(requests))
        requests[position] = _damaged(requests[position], chance)
    text = b"".join(requests)
    cut = chance.randrange(len(text) + 1)
    return [text[:cut], text[cut:]]


def _damaged(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    end = start + chance.choice([0, 0, 1, 5, 40])
    return text[:start] + chance.choice([*PIECES, chance.randbytes(3)]) + text[end:]


def exchange(host: str, parts: list[bytes]) -> bytes:
    """Return all bytes received until the edge closes the connection after the end of the input."""
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=_LONGEST_S) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            received += _until_quiet(connection)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            raise
        except OSError:
            pass  # it may close before it has read all that we send
        return received


def _until_quiet(connection: socket.socket) -> bytes:
    """Read while bytes arrive, as requests in progress get no response after the input ends."""
    received = b""
    connection.settimeout(_QUIET_S)
    with contextlib.suppress(TimeoutError):
        while chunk := connection.recv(65536):
            received += chunk
    connection.settimeout(_LONGEST_S)
    return received


def check_answers(host: str, seeds: range) -> int:
    """Check that each response is HTTP and no 5xx; return the number of responses with 200."""
    good = 0
    for seed in seeds:
        received = exchange(host, malformed_pieces(seed))
        assert received[:9] in (b"", b"HTTP/1.1 "), (seed, received[:100])
        assert b"HTTP/1.1 5" not in received, (seed, received)
        good += received.count(b"HTTP/1.1 200")
    return good
