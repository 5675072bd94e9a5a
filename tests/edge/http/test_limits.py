from __future__ import annotations

import logging
import re
import signal
import socket
from typing import get_args

import pytest

from support.edge_process import address, process, rest_of
from support.late import LATE_S
from targetry.edge.http.limits import Limit, LimitMonitor, Limits
from targetry.edge.observability.metrics import COUNTED, Metrics


class MonitoredLog:
    """A monitor with a clock that is set by hand, and the lines that were logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "targetry.edge")
        self.now = 0.0
        self.metrics = Metrics(list, lambda: (0,) * len(COUNTED))
        log = logging.getLogger("targetry.edge")
        self.monitor = LimitMonitor(Limits(connections=7), self.metrics, log, lambda: self.now)
        self._caplog = caplog

    def lines(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def monitored(caplog: pytest.LogCaptureFixture) -> MonitoredLog:
    return MonitoredLog(caplog)


@pytest.mark.parametrize("limit", get_args(Limit))
def test_each_limit_is_counted_and_logged(monitored: MonitoredLog, limit: Limit) -> None:
    monitored.monitor.record(limit)
    (line,) = monitored.lines()
    assert line.endswith(": 1")
    assert "{" not in line
    assert f'targetry_edge_limits_total{{limit="{limit}"}} 1.0' in monitored.metrics.text().decode()


def test_limit_is_logged_at_once_and_then_once_a_minute_with_its_count(monitored: MonitoredLog) -> None:
    monitored.monitor.record("connections")
    (line,) = monitored.lines()
    assert line.endswith("raise --max-connections: 1")
    for second in range(1, 59):
        monitored.now = second
        monitored.monitor.record("connections")
    assert monitored.lines() == []
    monitored.now = 60
    monitored.monitor.log_due()
    assert [line.rpartition(" ")[2] for line in monitored.lines()] == ["58"]
    monitored.now = 180
    monitored.monitor.log_due()
    assert monitored.lines() == [], "nothing happened since"


def test_limits_do_not_suppress_each_other(monitored: MonitoredLog) -> None:
    monitored.monitor.record("head")
    monitored.monitor.record("body")
    assert len(monitored.lines()) == 2


def test_limits_come_from_the_environment() -> None:
    limits = {"TARGETRY_EDGE_IDLE_TIMEOUT": "0.2", "TARGETRY_EDGE_MAX_CONNECTIONS": "2"}
    with process(TARGETRY_EDGE_REQUEST_TIMEOUT="0.3", **limits) as running:
        found = re.fullmatch(r"http://(.*):(\d+)", address(running))
        assert found is not None
        where = (found[1], int(found[2]))
        with socket.create_connection(where, timeout=LATE_S) as idle:
            assert idle.recv(100) == b""
        with socket.create_connection(where, timeout=LATE_S) as slow:
            slow.sendall(b"GET / HT")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        connections = [socket.create_connection(where, timeout=LATE_S) for _ in range(3)]
        assert connections[0].recv(100) == b"", "the third has its place"
        for connection in connections:
            connection.close()
        running.send_signal(signal.SIGTERM)
        _, err = rest_of(running)
    assert "incomplete after 0.3 s" in err
    assert [word in err for word in ("--idle-timeout", "--request-timeout", "--max-connections")] == [
        True
    ] * 3
