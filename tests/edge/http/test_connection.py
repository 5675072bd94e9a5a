"""Idle, slow, greedy and malformed connections over real sockets, while others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from support.edge import HERO, QUERY
from support.edge_sockets import (
    HEALTH,
    OpenEdge,
    open_connections,
    open_edge,
    post,
    read_response,
    read_until_closed,
    statuses,
    wait_until,
)
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import MAX_REQUEST_BYTES, Limits
from targetry.edge.http.request_body import read_body
from targetry.ledger.event import LedgerEvent
from targetry.samples import shop

IMPATIENT = Limits(connections=20, idle_s=0.2, request_s=0.2)


@pytest.fixture(scope="module")
def patient() -> Iterator[OpenEdge]:
    with open_edge() as here:
        yield here


@pytest.fixture(scope="module")
def impatient() -> Iterator[OpenEdge]:
    with open_edge(IMPATIENT) as here:
        yield here


class SlowLedger:
    """Ledger that records nothing until `may` is set."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.may = threading.Event()

    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        self.asked.release()
        assert self.may.wait(10)
        return [True] * len(events)

    def close(self) -> None: ...


# Time

HALF_A_BODY = post()[:-5]
CHUNKED = (
    b"POST /rest/v1/delivery?%b HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    % QUERY.encode()
)


@pytest.mark.parametrize(
    ("sent", "answers", "limit"),
    [
        (b"", [], "idle"),
        (b"\r\n\r\n", [], "idle"),
        (HEALTH, [200], "idle"),
        (b"GET / HTTP/1.1\r\nhost:", [408], "slow"),
        (HEALTH + b"GET / HT", [200, 408], "slow"),
        (HALF_A_BODY, [408], "slow"),
        (post() + HALF_A_BODY, [200, 408], "slow"),
        (CHUNKED + b"5\r\n{", [408], "slow"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n1234", [200], "slow"),
    ],
    ids=[
        "nothing",
        "blank lines",
        "nothing after a request",
        "half a head",
        "half of a second head",
        "half a body",
        "half of a second body",
        "half a chunk",
        "half a body of a GET",
    ],
)
def test_incomplete_request_is_ended(
    impatient: OpenEdge, sent: bytes, answers: list[int], limit: str
) -> None:
    before = impatient.times_reached(limit)
    assert statuses(impatient.send_and_read(sent)) == answers
    assert impatient.times_reached(limit) == before + 1


def test_connection_serves_many_requests(patient: OpenEdge) -> None:
    with patient.connect() as connection:
        for _ in range(5):
            for request in (HEALTH, post()):
                connection.sendall(request)
                assert read_response(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("ends_input", [False, True], ids=["open", "half-closed"])
def test_requests_after_the_last_one_keep_no_connection_open(impatient: OpenEdge, ends_input: bool) -> None:
    with impatient.connect() as connection:
        connection.sendall(post().replace(b"localhost", b"local host") + post() + HALF_A_BODY)
        if ends_input:
            connection.shutdown(socket.SHUT_WR)
        assert statuses(read_until_closed(connection)) == [400]
        wait_until(lambda: not impatient.connections(), "the end of the connection")


def of_visitor(number: int) -> bytes:
    return post({**HERO, "id": {"tntId": f"visitor{number}"}})


def in_chunks(*pieces: bytes) -> list[bytes]:
    return [CHUNKED, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


BODY = json.dumps({**HERO, "id": {"tntId": "visitor1"}}).encode()


@pytest.mark.parametrize(
    ("pieces", "visitors"),
    [
        ([of_visitor(1)], 1),
        ([of_visitor(1)[:-5], of_visitor(1)[-5:]], 1),
        ([of_visitor(1)[:-9], of_visitor(1)[-9:-4], of_visitor(1)[-4:]], 1),
        ([of_visitor(1).removesuffix(BODY), BODY], 1),
        ([b"".join(in_chunks(BODY))], 1),
        ([b"".join(in_chunks(BODY[:20], BODY[20:]))], 1),
        (in_chunks(BODY[:20], BODY[20:40], BODY[40:]), 1),
        ([of_visitor(1), of_visitor(2)], 2),
        ([of_visitor(1) + of_visitor(2) + of_visitor(3)], 3),
        ([of_visitor(1) + of_visitor(2)[:-5], of_visitor(2)[-5:] + of_visitor(3)], 3),
    ],
    ids=[
        "whole request",
        "body in two pieces",
        "body in three pieces",
        "body after the head",
        "one chunk",
        "two chunks together",
        "chunks one by one",
        "two requests",
        "three requests together",
        "second of three in two pieces",
    ],
)
def test_each_request_is_answered_by_its_own_body(
    patient: OpenEdge, pieces: list[bytes], visitors: int
) -> None:
    answered = b""
    with patient.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            threading.Event().wait(0.01)  # so that the pieces arrive apart, which changes no response
        connection.shutdown(socket.SHUT_WR)
        answered = read_until_closed(connection)
    assert statuses(answered) == [200] * visitors
    found = re.findall(rb'"tntId":"visitor(\d)', answered)
    assert found == [b"%d" % (number + 1) for number in range(visitors)]


def test_response_is_sent_in_one_piece(patient: OpenEdge) -> None:
    with patient.connect() as connection:
        for _ in range(20):
            connection.sendall(post())
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert head.endswith(b"content-length: %d" % len(body))
            assert len(body) > 100


def test_client_that_reads_nothing_is_disconnected() -> None:
    artifact = shop()
    artifact["meta"]["padding"] = "x" * 30_000_000  # more than the system keeps for a socket
    with open_edge(IMPATIENT, artifact=artifact) as here, here.connect() as connection:
        connection.sendall(b"GET /acme/production/v1/rules.json HTTP/1.1\r\nhost: localhost\r\n\r\n")
        wait_until(lambda: here.times_reached("unread") and not here.connections())


def test_unread_responses_of_all_clients_are_bounded() -> None:
    artifact = shop()
    artifact["meta"]["padding"] = "x" * 30_000_000
    limits = Limits(idle_s=10, request_s=2, unsent_bytes=60_000_000)
    with open_edge(limits, artifact=artifact) as here, open_connections(here, 4) as connections:
        for connection in connections:
            connection.sendall(b"GET /acme/production/v1/rules.json HTTP/1.1\r\nhost: localhost\r\n\r\n")
        wait_until(lambda: here.times_reached("unsent"))
        assert here.is_serving()
        assert 1 <= here.times_reached("unsent") <= 3


def test_slow_reader_gets_its_whole_response() -> None:
    artifact = shop()
    artifact["meta"]["padding"] = "x" * 10_000_000
    with open_edge(IMPATIENT, artifact=artifact) as here, here.connect() as connection:
        connection.sendall(b"GET /acme/production/v1/rules.json HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answered = bytearray()
        while len(answered) < 10_000_000:
            answered += connection.recv(1_000_000)
            threading.Event().wait(0.05)  # all of it takes longer than a connection may do nothing
        assert here.times_reached("unread") == 0


def test_body_that_does_not_arrive_is_408() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(RequestRejected) as rejected:
        asyncio.run(read_body(never, {}, timeout_s=0.01))
    assert rejected.value.status == 408


def test_body_of_a_client_that_disconnects_is_400() -> None:
    async def disconnected() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(RequestRejected) as rejected:
        asyncio.run(read_body(disconnected, {}, timeout_s=1.0))
    assert rejected.value.status == 400


# Number


def room_for(count: int) -> None:
    """Raise the limit of open files, or skip."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard < count:
            pytest.skip(f"this system allows {hard} open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def test_others_are_served_next_to_1000_idle_and_slow_connections() -> None:
    room_for(2600)
    with open_edge() as here, open_connections(here, 1000) as connections:
        for connection in connections[:200]:
            connection.sendall(b"POST /rest/v1/delivery HTTP/1.1\r\nx-slow: ")
        wait_until(lambda: here.connections() == 1000)
        with here.connect() as mine:
            for _ in range(50):
                mine.sendall(post())
                assert read_response(mine).startswith(b"HTTP/1.1 200 ")
            for connection in connections[:200]:
                connection.sendall(b"l")


@pytest.mark.parametrize("sent", [b"", HEALTH[:20], HALF_A_BODY], ids=["idle", "slow heads", "slow bodies"])
def test_longest_idle_connections_are_evicted_at_the_limit(sent: bytes) -> None:
    with open_edge(Limits(connections=20)) as here, open_connections(here, 50) as connections:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(sent)
        wait_until(lambda: here.times_reached("connections") == 30)
        assert here.is_serving()
        assert here.connections() <= 20
        for connection in connections[:30]:
            with contextlib.suppress(ConnectionResetError):
                assert read_until_closed(connection) == b""


def test_connection_with_a_request_being_served_is_not_evicted() -> None:
    ledger = SlowLedger()
    with open_edge(Limits(connections=3), ledger=ledger) as here, here.connect() as first:
        first.sendall(post())
        ledger.asked.acquire()
        with open_connections(here, 10):
            wait_until(lambda: here.times_reached("connections") >= 8)
            ledger.may.set()
            assert read_response(first).startswith(b"HTTP/1.1 200 ")


def test_new_connection_gets_503_when_all_are_being_served() -> None:
    ledger = SlowLedger()
    with open_edge(Limits(connections=2), ledger=ledger) as here, open_connections(here, 2) as connections:
        for connection in connections:
            connection.sendall(post())
            ledger.asked.acquire()
        assert statuses(here.send_and_read()) == [503]
        assert here.times_reached("busy") == 1
        ledger.may.set()
        for connection in connections:
            assert read_response(connection).startswith(b"HTTP/1.1 200 ")


# Size


@pytest.mark.parametrize(
    ("parts", "status", "limit"),
    [
        ([b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 100_000, b"\r\n"], 431, "head"),
        ([b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 200, b"\r\n"], 431, "head"),
        ([b"GET / HTTP/1.1\r\na: ", *[b"x" * 1000] * 70], 431, "head"),
        ([b"GET /", b"x" * 70_000], 431, "head"),
        ([b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"], 431, "head"),
        ([post(b"x" * 1_000_001)], 413, "body"),
        ([post(b"x" * 5_000_000)], 413, "body"),
        ([CHUNKED, *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 20], 413, "body"),
        (
            [b"POST /rest/v1/delivery HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n"],
            413,
            "body",
        ),
    ],
    ids=[
        "10⁵ fields",
        "200 fields",
        "long field",
        "long path",
        "whole long path",
        "1 MB",
        "5 MB",
        "1.3 MB in chunks",
        "1 GB",
    ],
)
def test_too_large_request_gets_a_response_and_is_closed(
    patient: OpenEdge, parts: list[bytes], status: int, limit: str
) -> None:
    before = patient.times_reached(limit)
    answered = b""
    with patient.connect() as connection, contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
        answered = read_until_closed(connection)
    assert statuses(answered) == [status]
    assert b"connection: close" in answered
    assert patient.times_reached(limit) == before + 1
    assert patient.is_serving()


def test_body_of_a_gigabyte_is_not_read(patient: OpenEdge) -> None:
    sent = 0
    with patient.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(
            b"POST /rest/v1/delivery?x=y HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n"
        )
        while sent < 1_000_000_000:
            sent += connection.send(b"x" * 1_000_000)
    assert sent < 4 * MAX_REQUEST_BYTES  # with what the system has buffered
    assert patient.is_serving()


@pytest.mark.parametrize(
    ("chunk", "rest"),
    [(b"1;" + b"x" * 100_000, b""), (b"0\r\nx-trailer: ", b"x" * 100_000)],
    ids=["an endless extension", "an endless trailer"],
)
def test_chunk_extensions_and_trailers_are_bounded(patient: OpenEdge, chunk: bytes, rest: bytes) -> None:
    before = patient.times_reached("body")
    with patient.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(CHUNKED + chunk)
        for _ in range(2 * MAX_REQUEST_BYTES // 100_000):
            connection.sendall(rest or b"x" * 100_000)
    wait_until(lambda: patient.times_reached("body") == before + 1)


# Sense


def test_garbage_after_a_request_is_400_after_its_response(patient: OpenEdge) -> None:
    for request in (HEALTH, post()):
        assert statuses(patient.send_and_read(request + b"\x16\x03\x01 garbage\r\n\r\n")) == [200, 400]


def test_garbage_after_a_slow_request_waits_for_its_response() -> None:
    ledger = SlowLedger()
    with open_edge(ledger=ledger) as here, here.connect() as connection:
        connection.sendall(post())
        ledger.asked.acquire()
        connection.sendall(b"\x00" * 100)
        wait_until(lambda: here.times_reached("not_http"))
        ledger.may.set()
        assert statuses(read_until_closed(connection)) == [200, 400]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /rest/v1/delivery HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /rest/v1/delivery HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"hello\r\n\r\n",
    ],
    ids=["TLS", "HTTP/2", "two lengths", "a length and chunks", "a broken chunk", "a word"],
)
def test_invalid_http_is_400(patient: OpenEdge, sent: bytes) -> None:
    before = patient.times_reached("not_http")
    answered = patient.send_and_read(sent)
    assert statuses(answered) == [400]
    assert json.loads(answered.partition(b"\r\n\r\n")[2])["status"] == 400
    assert patient.times_reached("not_http") == before + 1


@pytest.mark.parametrize("recorded", [True, False])
def test_pipelined_requests_get_responses_in_order(recorded: bool) -> None:
    asked = [post({**HERO, "requestId": f"r{number}"}) for number in range(20)]
    mixed = [part for number, one in enumerate(asked) for part in ([HEALTH, one] if number % 3 else [one])]
    with open_edge() as here:
        if not recorded:
            here.edge.delivery._recorder._write = None
        last = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        answered = here.send_and_read(b"".join(mixed) + last)
    assert statuses(answered) == [200] * (len(mixed) + 1)
    order = [b"ok" if mixed[number] is HEALTH else b"r" for number in range(len(mixed))]
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answered.split(b"HTTP/1.1 ")[1:]]
    assert [b"ok" if b'"ok"' in body else b"r" for body in bodies[:-1]] == order
    returned = [json.loads(body)["requestId"] for body in bodies if b"requestId" in body]
    assert returned == [f"r{number}" for number in range(20)]


def test_client_that_sends_without_reading_is_slowed_down(patient: OpenEdge) -> None:
    """Check that its responses are bounded, and others are served."""
    with patient.connect() as connection:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.sendall(HEALTH * 1_000_000)
        assert patient.is_serving()


@pytest.mark.parametrize("request_", [HEALTH, post()], ids=["GET", "POST"])
def test_offered_upgrade_is_declined(patient: OpenEdge, request_: bytes) -> None:
    head, _, body = request_.partition(b"\r\n\r\n")
    offer = (
        head
        + b"\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"
        + body
    )
    with patient.connect() as connection:
        for sent in (offer, offer, request_):
            connection.sendall(sent)
            assert read_response(connection).startswith(b"HTTP/1.1 200 ")


def test_connect_is_rejected(patient: OpenEdge) -> None:
    assert statuses(
        patient.send_and_read(b"CONNECT x:443 HTTP/1.1\r\nhost: localhost\r\n\r\n\x16\x03\x01...\r\n\r\n")
    ) == [400]


# Ends


@pytest.mark.parametrize("sent", [post(), HEALTH], ids=["POST", "GET"])
def test_connection_close_is_honored_after_the_response(patient: OpenEdge, sent: bytes) -> None:
    head, _, body = sent.partition(b"\r\n\r\n")
    answered = patient.send_and_read(head + b"\r\nconnection: close\r\n\r\n" + body)
    assert statuses(answered) == [200]
    assert b"connection: close" in answered.partition(b"\r\n\r\n")[0]


def test_request_in_progress_completes_before_shutdown() -> None:
    ledger = SlowLedger()
    with open_edge(ledger=ledger) as here, here.connect() as connection, here.connect() as idle:
        wait_until(lambda: here.connections() == 2)
        connection.sendall(post())
        ledger.asked.acquire()
        here.server.stop()
        assert read_until_closed(idle) == b""
        ledger.may.set()
        answered = read_until_closed(connection)
        assert statuses(answered) == [200]


def test_early_disconnect_has_no_effect() -> None:
    ledger = SlowLedger()
    with open_edge(ledger=ledger) as here:
        with here.connect() as connection:
            connection.sendall(post())
            ledger.asked.acquire()
        ledger.may.set()
        wait_until(lambda: here.connections() == 0)
        assert here.is_serving()


@pytest.mark.parametrize("sent", [post(), HEALTH, post() + HEALTH + post()], ids=["POST", "GET", "several"])
def test_half_closed_client_gets_a_response(patient: OpenEdge, sent: bytes) -> None:
    with patient.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_until_closed(connection)) == [200] * sent.count(b" HTTP/1.1\r\n")


def test_limit_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "targetry.edge"), open_edge(IMPATIENT) as here:
        for _ in range(5):
            assert statuses(here.send_and_read(b"junk\r\n\r\n")) == [400]
        assert here.times_reached("not_http") == 5
    logged = [record.getMessage() for record in caplog.records if "no valid HTTP" in record.getMessage()]
    assert logged == ["connections closed with 400: the client sent no valid HTTP/1.1: 1"]


def test_responses_do_not_wait_for_acknowledgements(patient: OpenEdge) -> None:
    with patient.connect() as connection:
        assert connection.family == socket.AF_INET
        for _ in range(3):
            connection.sendall(HEALTH)
            read_response(connection)
