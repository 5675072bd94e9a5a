"""Search in the list of requests."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from support.edge import HERO, NOW_MS, SHOP, WEB, ask
from targetry.edge.ui.page import Dashboard
from targetry.edge.ui.request_history import RequestHistory
from targetry.edge.ui.request_summary import RequestFilter
from targetry.edge.ui.request_view import (
    could_be_admitted,
    experience_names,
    summarize_request,
)

CLICK = {"id": "n", "type": "click", "timestamp": 1, "view": {"name": "cart"}}
REQUESTS: dict[str, dict[str, Any]] = {
    "mbox": HERO,
    "other visitor": {**HERO, "id": {"thirdPartyId": "Anna"}},
    "page load": {"context": WEB, "id": {"tntId": "b"}, "execute": {"pageLoad": {}}},
    "prefetch": {
        "context": WEB,
        "id": {"tntId": "c"},
        "prefetch": {"mboxes": [{"name": "promo", "index": 0}]},
    },
    "view": {"context": WEB, "id": {"tntId": "d"}, "prefetch": {"views": [{"name": "cart"}]}},
    "every view": {"context": WEB, "id": {"tntId": "e"}, "prefetch": {"views": [{}]}},
    "click": {"context": WEB, "id": {"tntId": "f"}, "notifications": [CLICK]},
    "rejected": {"context": {"channel": "odd"}},
}
FILTERS = [
    {},
    {"visitor": "3f9c"},
    {"visitor": "Anna"},
    {"mbox": "hero"},
    {"mbox": "pageLoad"},
    {"mbox": "cart"},
    {"activity": "482910"},
    {"q": "ANNA"},
    {"q": "autumn"},
    {"q": "hero"},
    {"q": "view cart"},
    {"q": "every view"},
    {"q": "click of"},
    {"q": "channel"},
    {"q": "no such text"},
    {"q": "hero", "visitor": "Anna"},
]


def history_of(*requests: dict[str, Any]) -> RequestHistory:
    """Return the history of an edge that answered the requests."""
    history = RequestHistory(1)
    for one in requests:
        history.add(ask(one), at_ms=NOW_MS, size=100)
    return history


@pytest.mark.parametrize("fields", FILTERS, ids=str)
def test_request_that_a_filter_admits_is_never_ruled_out(fields: dict[str, str]) -> None:
    wanted, admitted, possible = RequestFilter(**fields), set(), set()
    names = experience_names(SHOP.artifacts[0])
    for kind, request in REQUESTS.items():
        (entry,) = history_of(request).between()
        admitted |= {kind} if wanted.admits(summarize_request(entry)) else set()
        possible |= (
            {kind} if could_be_admitted(entry, wanted, lambda _: wanted.admits_text((names,))) else set()
        )
    assert admitted <= possible
    assert admitted or fields == {"q": "no such text"} or len(fields) == 2


@pytest.mark.parametrize(
    ("fields", "decided"),
    [
        ({"q": "visitor-7"}, 1),
        ({"visitor": "visitor-7"}, 1),
        ({"mbox": "nowhere"}, 0),
        ({"q": "no such text"}, 0),
        ({"mbox": "hero"}, 11),
    ],
    ids=str,
)
def test_search_decides_only_requests_that_it_may_show(fields: dict[str, str], decided: int) -> None:
    history = history_of(*({**HERO, "id": {"tntId": f"visitor-{number}"}} for number in range(60, 70)))
    history.add(ask({**HERO, "id": {"tntId": "visitor-7"}}), at_ms=NOW_MS, size=100)
    wanted, names = RequestFilter(**fields), experience_names(SHOP.artifacts[0])
    possible = [
        one
        for one in history.between()
        if could_be_admitted(one, wanted, lambda _: wanted.admits_text((names,)))
    ]
    assert len(possible) == decided


@pytest.mark.parametrize("fields", FILTERS, ids=str)
def test_first_search_shows_what_a_later_one_shows(fields: dict[str, str]) -> None:
    listed = []
    for is_prepared in (False, True):
        history = history_of(*REQUESTS.values())
        for one in history.between() if is_prepared else ():
            one.summary = summarize_request(one)
        client = TestClient(Starlette(routes=Dashboard(lambda: SHOP, list, history, longest_s=60).routes()))
        listed.append(re.findall(r'data-number="(\d+)"', client.get("/", params=fields).text))
    assert listed[0] == listed[1]
