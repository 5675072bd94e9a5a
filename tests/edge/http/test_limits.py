from __future__ import annotations

import logging
import re
import signal
import socket
from typing import get_args

import pytest

from support.edge_process import address, process, rest_of
from targetry.edge.http.limits import Limit, LimitMonitor, Limits
from targetry.edge.observability.metrics import Metrics


class Told:
    """LimitMonitor, a clock that is set by hand, and the lines that were logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "targetry.edge")
        self.now = 0.0
        self.metrics = Metrics(list, lambda: (0, 0))
        log = logging.getLogger("targetry.edge")
        self.monitor = LimitMonitor(Limits(connections=7), self.metrics, log, lambda: self.now)
        self._caplog = caplog

    def lines(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


@pytest.mark.parametrize("limit", get_args(Limit))
def test_each_limit_is_counted_and_has_its_line(told: Told, limit: Limit) -> None:
    told.monitor.record(limit)
    (line,) = told.lines()
    assert line.endswith(": 1")
    assert "{" not in line
    assert f'targetry_edge_limits_total{{limit="{limit}"}} 1.0' in told.metrics.text().decode()


def test_a_limit_is_told_at_once_and_then_once_a_minute_with_how_often(told: Told) -> None:
    told.monitor.record("connections")
    (line,) = told.lines()
    assert line.endswith("raise --max-connections: 1")
    for second in range(1, 59):
        told.now = second
        told.monitor.record("connections")
    assert told.lines() == []
    told.now = 60
    told.monitor.log_due()
    assert [line.rpartition(" ")[2] for line in told.lines()] == ["58"]
    told.now = 180
    told.monitor.log_due()
    assert told.lines() == [], "nothing happened since"


def test_limits_do_not_silence_each_other(told: Told) -> None:
    told.monitor.record("head")
    told.monitor.record("body")
    assert len(told.lines()) == 2


def test_limits_are_those_that_were_asked_for() -> None:
    limits = {"TARGETRY_EDGE_IDLE_TIMEOUT": "0.2", "TARGETRY_EDGE_MAX_CONNECTIONS": "2"}
    with process(TARGETRY_EDGE_REQUEST_TIMEOUT="0.3", **limits) as running:
        found = re.fullmatch(r"http://(.*):(\d+)", address(running))
        assert found is not None
        where = (found[1], int(found[2]))
        with socket.create_connection(where, timeout=5) as idle:
            assert idle.recv(100) == b""
        with socket.create_connection(where, timeout=5) as slow:
            slow.sendall(b"GET / HT")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        connections = [socket.create_connection(where, timeout=5) for _ in range(3)]
        assert connections[0].recv(100) == b"", "the third has its place"
        for connection in connections:
            connection.close()
        running.send_signal(signal.SIGTERM)
        _, err = rest_of(running)
    assert [word in err for word in ("--idle-timeout", "--request-timeout", "--max-connections")] == [
        True
    ] * 3
