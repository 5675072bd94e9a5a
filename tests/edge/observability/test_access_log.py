"""Requests in metrics and log, singly and in bursts."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from support.late import LATE_S
from targetry.edge.observability.access_log import AccessLog
from targetry.edge.observability.log_format import HumanLines, JsonLines
from targetry.edge.observability.metrics import COUNTED, Metrics

LOG = logging.getLogger("targetry.edge")


async def noted(count: int, *, route: str = "delivery") -> AccessLog:
    log = AccessLog(Metrics(list, lambda: (0,) * len(COUNTED)), LOG)
    for number in range(count):
        log.add(route, "POST", f"/{number}", 200, 0.001 * number)
    return log


async def all_noted(count: int, **options: str) -> AccessLog:
    log = await noted(count, **options)
    log.flush()
    return log


def metric(log: AccessLog, name: str, **labels: str) -> float | None:
    return log._metrics.registry.get_sample_value(f"targetry_edge_{name}", labels)


def test_first_request_is_logged_at_once_and_a_burst_together(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "targetry.edge")
    asyncio.run(all_noted(100))
    first, *bursts = caplog.records
    assert first.getMessage() == "POST /0 200 0.0 ms"
    assert first.__dict__["fields"] == {"method": "POST", "path": "/0", "status": 200, "ms": 0.0}
    lines = [line for burst in bursts for line in burst.getMessage().splitlines()]
    assert lines == [f"POST /{n} 200 {n}.0 ms" for n in range(1, 100)]
    assert len(bursts) < len(lines) / 2, "one, but for a busy machine"


def test_burst_is_logged_by_a_timer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "targetry.edge")

    async def wait() -> None:
        await noted(3)
        while len(caplog.records) < 2:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(wait(), LATE_S))


def test_requests_of_a_closed_event_loop_are_logged_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "targetry.edge")
    log = asyncio.run(noted(3))

    async def go_on() -> None:
        log.add("delivery", "POST", "/last", 200, 0.0)
        while "/last" not in caplog.text:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(go_on(), LATE_S))
    assert "POST /2 " in caplog.text


def test_every_request_is_counted() -> None:
    log = asyncio.run(all_noted(2500))
    assert metric(log, "requests_total", route="delivery", status="200") == 2500
    assert metric(log, "request_seconds_count", route="delivery") == 2500


def test_requests_of_open_dashboards_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "targetry.edge")
    log = asyncio.run(all_noted(5, route="recent"))
    assert caplog.records == []
    assert metric(log, "requests_total", route="recent", status="200") == 5


def lines_of(form: logging.Formatter, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO, "targetry.edge")
    asyncio.run(all_noted(4))
    return [line for record in caplog.records for line in form.format(record).splitlines()]


def test_burst_has_the_same_json_lines(caplog: pytest.LogCaptureFixture) -> None:
    lines = [json.loads(line) for line in lines_of(JsonLines(), caplog)]
    assert [(line["path"], line["message"]) for line in lines] == [
        (f"/{n}", f"POST /{n} 200 {n}.0 ms") for n in range(4)
    ]
    assert all(line.keys() == lines[0].keys() for line in lines)


def test_burst_has_the_same_human_lines(caplog: pytest.LogCaptureFixture) -> None:
    lines = lines_of(HumanLines(), caplog)
    assert [line.partition(" ")[2] for line in lines] == [f"POST /{n} 200 {n}.0 ms" for n in range(4)]
    assert {line[2] + line[5] for line in lines} == {"::"}
