"""Log lines at INFO and above have no data of visitors, also of requests that fail."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.edge_sockets import OpenEdge, open_edge
from targetry import TargetClient
from targetry.edge.in_process import edge
from targetry.samples import shop

SECRET = "s3cret"
MBOX = {"name": "hero", "parameters": {SECRET: SECRET}, "profileParameters": {SECRET: SECRET}}
CONTEXT = {
    "channel": "web",
    "userAgent": SECRET,
    "address": {"url": f"https://{SECRET}.example/?{SECRET}"},
    "geo": {"ipAddress": SECRET, "city": SECRET},
    "clientHints": {"browserUAWithMajorVersion": SECRET},
}
WHOLE = {
    "context": CONTEXT,
    "requestId": SECRET,
    "id": {"tntId": SECRET, "thirdPartyId": SECRET},
    "execute": {"mboxes": [MBOX]},
    "notifications": [{"id": SECRET, "type": "click", "timestamp": 1, "tokens": [SECRET]}],
}
NAMELESS = {**WHOLE, "execute": {"mboxes": [{**MBOX, "name": ""}]}}
WRONG = {**WHOLE, "notifications": [{"id": SECRET, "type": SECRET, "timestamp": SECRET}]}
TOO_LONG = {**WHOLE, "id": {"tntId": SECRET * 100}}
HEADERS = {
    "cookie": f"mbox={SECRET}",
    "user-agent": SECRET,
    "x-forwarded-for": SECRET,
    "referer": f"https://{SECRET}.example/",
    "authorization": SECRET,
}
DELIVERY = f"/rest/v1/delivery?client=acme&sessionId={SECRET}&x={SECRET}"


def broken_rule() -> dict[str, Any]:
    """Return the shop with a hero rule that fails."""
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    rule["condition"] = {"*": []}
    document["rules"]["mboxes"]["hero"] = [rule]
    return document


class Failing:
    """Ledger whose error quotes its events."""

    def record(self, events: Any) -> list[bool]:
        raise ValueError(f"cannot store {events!r}")

    def close(self) -> None: ...


def failing_id() -> str:
    raise LookupError(SECRET)


EDGES: dict[str, dict[str, Any]] = {
    "usual": {},
    "recorder": {"ledger": Failing()},
    "rule": {"artifact": broken_rule()},
    "place": {"locate": {}.get},
    "bug": {"new_id": failing_id},
}


@pytest.fixture(scope="module")
def edges() -> Iterator[dict[str, OpenEdge]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_edge(**options)) for name, options in EDGES.items()}


def asked(here: OpenEdge, path: str, body: Any = None, method: str = "POST", **more: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=10)
    text = body if isinstance(body, str | None) else json.dumps(body)
    try:
        connection.request(method, path, text, {**HEADERS, **more})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("name", EDGES)
def test_edge_logs_nothing_of_a_visitor(
    edges: dict[str, OpenEdge], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    here = edges[name]
    with caplog.at_level(logging.INFO):
        for body in (WHOLE, NAMELESS, WRONG, TOO_LONG, {**WHOLE, "requestId": None}, f'{{"{SECRET}"', SECRET):
            asked(here, DELIVERY, body)
            asked(here, DELIVERY, body, origin="http://localhost")
            asked(here, DELIVERY, body, origin=f"https://{SECRET}.example")
            asked(here, DELIVERY, body, host=f"{SECRET}.example")
        for path in (
            f"/{SECRET}",
            f"/{SECRET}/x/v1/rules.json",
            f"/v1/geo?x-forwarded-for={SECRET}",
            f"/?{SECRET}",
        ):
            asked(here, path, method="GET")
        asked(here, f"/rest/v1/delivery/{SECRET}", WHOLE)
        here.loop.call_soon_threadsafe(here.edge.access_log.flush)
        asked(here, "/healthz", method="GET")
    assert "/rest/v1/delivery" in caplog.text
    assert SECRET not in caplog.text
    assert not any(SECRET in str(record.__dict__.get("fields")) for record in caplog.records)


def test_failed_flag_is_logged_with_the_path_but_not_its_key(
    edges: dict[str, OpenEdge], caplog: pytest.LogCaptureFixture
) -> None:
    here = edges["usual"]
    with caplog.at_level(logging.INFO):
        for path in (f"/ofrep/v1/evaluate/flags/{SECRET}", "/ofrep/v1/evaluate/flags"):
            assert asked(here, path, "{") == 400
        here.loop.call_soon_threadsafe(here.edge.access_log.flush)
        asked(here, "/healthz", method="GET")
    assert caplog.text.count("POST /ofrep/v1/evaluate/flags 400") == 2
    assert SECRET not in caplog.text


def test_rule_that_fails_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with open_edge(artifact=broken_rule()) as here:
        for _ in range(3):
            assert asked(here, DELIVERY, WHOLE) == 200
    assert caplog.text.count("is skipped: `*` without operands") == 1


def test_access_log_of_another_server_in_the_process_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("uvicorn.access")
    with open_edge() as here:
        logger.addHandler(caplog.handler)
        logger.setLevel(logging.INFO)
        try:
            assert asked(here, DELIVERY, WHOLE) == 200
        finally:
            logger.removeHandler(caplog.handler)
            logger.setLevel(logging.NOTSET)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("method", ["on-device", "server-side", "hybrid"])
def test_client_logs_nothing_of_a_visitor(method: str, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO),
        edge(broken_rule(), client="acme") as here,
        TargetClient.create(here.client_options(decisioning_method=method)) as client,
    ):
        named = {**WHOLE, "execute": {"mboxes": [MBOX, {**MBOX, "name": ""}]}}
        client.get_offers(request=named, session_id=SECRET, target_cookie=f"session#{SECRET}#9999999999")
        notifications = [*WHOLE["notifications"], {"type": "click", "parameters": {SECRET: SECRET}}]  # type: ignore[misc]
        client.get_offers(request={**named, "notifications": notifications}, session_id=SECRET)
        client.send_notifications(request={**named, "notifications": notifications}, session_id=SECRET)
        client.flush()
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "Mbox validation failed" in text
    assert SECRET not in text
