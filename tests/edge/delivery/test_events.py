from __future__ import annotations

import json
from typing import Any

import pytest

from support.cases import each_case
from support.edge import HERO, NOW_MS, QUERY, WEB, ask
from targetry.ledger.event import LedgerEvent, event_row, event_rows

ID = {"tntId": "3f9c"}


def events(request: dict[str, Any], query: str = QUERY) -> list[LedgerEvent]:
    found = list(ask(request, query).events)
    assert event_rows(found) == [event_row(one) for one in found], "every event can be stored"
    return found


def notified(*, id: str = "n1", type: str = "display", visitor: str = "3f9c", **more: Any) -> dict[str, Any]:
    one = {"id": id, "type": type, "timestamp": 5, **more}
    return {"context": WEB, "id": {"tntId": visitor}, "notifications": [one]}


def prefetched(visitor: str = "3f9c") -> dict[str, Any]:
    request = {
        "context": WEB,
        "id": {"tntId": visitor},
        "prefetch": {"mboxes": [{"name": "hero"}], "views": [{}]},
    }
    answer: dict[str, Any] = json.loads(ask(request).body)["prefetch"]
    return answer


def test_executed_content_is_an_impression() -> None:
    (event,) = events(HERO)
    assert (event.kind, event.visitor, event.location) == ("impression", "3f9c", "hero")
    assert (event.activity_id, event.experience_id) == ("482910", "0")
    assert (event.timestamp_ms, event.session_id, event.order_id) == (NOW_MS, "s1", None)


def test_page_load_is_an_impression_of_the_global_mbox() -> None:
    (event, *_) = events(
        {"context": WEB, "id": ID, "execute": {"pageLoad": {"address": {"url": "https://a.example/"}}}}
    )
    assert event.location == "target-global-mbox"
    assert event.activity_id


def test_display_belongs_to_the_experience_of_its_token() -> None:
    token = prefetched()["mboxes"][0]["options"][0]["eventToken"]
    (event,) = events(notified(tokens=[token], mbox={"name": "hero"}))
    assert (event.kind, event.activity_id, event.experience_id) == ("display", "482910", "0")
    assert (event.location, event.token, event.timestamp_ms) == ("hero", token, 5)


@each_case("visitor", [f"visitor-{n}" for n in range(8)])
def test_click_belongs_to_the_experience_of_the_visitor(visitor: str) -> None:
    request = {"context": WEB, "id": {"tntId": visitor}, "execute": {"mboxes": [{"name": "hero"}]}}
    (impression,) = events(request)
    click = json.loads(ask(request).body)["execute"]["mboxes"][0]["metrics"][0]["eventToken"]
    (event,) = events(notified(type="click", tokens=[click], visitor=visitor))
    assert event.kind == "click"
    assert (event.activity_id, event.experience_id) == (impression.activity_id, impression.experience_id)


def test_unknown_token_is_recorded_without_an_activity() -> None:
    (event,) = events(notified(tokens=["stale"]))
    assert (event.activity_id, event.experience_id, event.token) == ("", "", "stale")


def test_notification_without_tokens_is_a_visit() -> None:
    (event,) = events(notified(view={"name": "cart"}))
    assert (event.kind, event.location, event.token) == ("display", "cart", "")


@each_case(
    "first, again",
    [
        ({**HERO, "requestId": "r"}, {**HERO, "requestId": "r"}),
        ({**HERO, "requestId": "r1", "impressionId": "i"}, {**HERO, "requestId": "r2", "impressionId": "i"}),
        (notified(), notified()),
        (notified(id="n1", impressionId="i"), notified(id="n2", impressionId="i")),
        (notified(order={"id": "o"}, tokens=[]), notified(order={"id": "o"}, tokens=[])),
    ],
    ids=["request", "impression id", "notification", "notified impression", "order"],
)
def test_repeated_request_has_the_same_event_ids(first: dict[str, Any], again: dict[str, Any]) -> None:
    assert [one.id for one in events(first)] == [one.id for one in events(again)]


@each_case(
    "one, another",
    [
        ({**HERO, "requestId": "r1"}, {**HERO, "requestId": "r2"}),
        (notified(id="n1"), notified(id="n2")),
        (notified(), notified(visitor="other")),
        (notified(impressionId="i"), notified(impressionId="i", type="click")),
        (notified(tokens=["a"]), notified(tokens=["b"])),
    ],
    ids=["requests", "notifications", "visitors", "display and click", "tokens"],
)
def test_different_request_has_different_event_ids(one: dict[str, Any], another: dict[str, Any]) -> None:
    assert events(one)[0].id != events(another)[0].id


def test_impression_and_its_display_notification_are_one_event() -> None:
    executed = events({**HERO, "impressionId": "i"})[0]
    displayed = events(notified(impressionId="i", tokens=[executed.token], mbox={"name": "hero"}))[0]
    assert displayed.id == executed.id


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_order_has_no_activity(mode: str) -> None:
    mbox = {"name": "order-confirmed", "order": {"id": "o-1", "total": 12.5}}
    (event,) = events({"context": WEB, "id": ID, mode: {"mboxes": [mbox]}})
    assert (event.kind, event.order_id, event.order_total) == ("order", "o-1", 12.5)
    assert (event.activity_id, event.location) == ("", "order-confirmed")


ORDER_TIMES = {
    "2026-11-27T08:00:00+02:00": 1_795_759_200_999,
    "2026-11-27T06:00:00.005Z": 1_795_759_200_005,
    "1970-01-01T00:00:00Z": 999,
    "1969-12-31T00:00:00Z": 0,
    "0001-01-01T00:00:00+14:00": 0,
    "9999-12-31T23:59:59Z": NOW_MS,  # a wrong clock
    "2026-11-27T06:00:00": NOW_MS,  # of an unknown zone
    "no time": NOW_MS,
}


@each_case("given, expected", ORDER_TIMES.items())
def test_order_has_its_own_time_if_that_is_earlier(given: str, expected: int) -> None:
    order = {"id": "o-1", "time": given}
    (executed,) = events(
        {"context": WEB, "id": ID, "execute": {"mboxes": [{"name": "cart", "order": order}]}}
    )
    _, notified_order = events(notified(timestamp=NOW_MS, order=order))
    assert (executed.timestamp_ms, notified_order.timestamp_ms) == (expected, expected)


def test_order_of_a_notification_is_an_event() -> None:
    visit, order = events(notified(order={"id": "o-2"}, mbox={"name": "done"}))
    assert (visit.kind, order.kind, order.order_id, order.location) == ("display", "order", "o-2", "done")
