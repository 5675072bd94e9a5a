from __future__ import annotations

import copy
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.edge import ask, response_to
from support.edge_sockets import OpenEdge, open_edge, post, read_response, wait_until
from support.slow import slow
from targetry.device.logic.facts import Facts, RequestFacts
from targetry.device.logic.operators import EvaluationError
from targetry.edge.artifacts import workload
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import MAX_ANSWER_BYTES, MAX_LOCATIONS, MAX_NOTIFICATIONS, MAX_TOKENS
from targetry.edge.http.heavy_requests import MAX_WAITING
from targetry.edge.in_process import MemoryLedger
from targetry.models import Context, MboxRequest
from targetry.models.snapshot import snapshot
from targetry.samples import shop

WEB = {"channel": "web"}
HERO = {"name": "hero"}
TRACE = {"authorizationToken": "t"}
SEEN = {"id": "n", "type": "display", "timestamp": 1, "tokens": ["t"]}


def request(**parts: Any) -> dict[str, Any]:
    return {"context": WEB, "id": {"tntId": "a"}, "requestId": "r", **parts}


def executed(count: int, **more: Any) -> dict[str, Any]:
    return request(execute={"mboxes": [HERO] * count}, **more)


def notified(count: int, tokens: int = 1) -> dict[str, Any]:
    each = [{**SEEN, "id": f"n{number}", "tokens": ["t"] * tokens} for number in range(count)]
    return request(notifications=each)


TOO_MUCH: dict[str, tuple[Any, str]] = {
    "mboxes": (executed(MAX_LOCATIONS + 1), "request: has more than 200 mboxes, views and page loads"),
    "very many mboxes": (executed(50_000), "request: has more than 30,000 values"),
    "prefetched mboxes": (request(prefetch={"mboxes": [HERO] * 201}), "request: has more than 200 mboxes"),
    "views": (request(prefetch={"views": [{}] * 201}), "request: has more than 200 mboxes"),
    "all kinds": (
        request(
            execute={"mboxes": [HERO] * 67, "pageLoad": {}},
            prefetch={"mboxes": [HERO] * 67, "views": [{}] * 66},
        ),
        "request: has more than 200 mboxes",
    ),
    "traces": (executed(150, trace=TRACE), "request: the response would be larger than 4,000,000 bytes"),
    "traces of parameters": (
        request(
            trace=TRACE,
            execute={"mboxes": [{**HERO, "parameters": {f"p{n}": "v" * 5000 for n in range(9)}}] * 20},
        ),
        "request: the response would be larger than 4,000,000 bytes",
    ),
    "notifications": (notified(MAX_NOTIFICATIONS + 1), "request.notifications: has more than 500 notifi"),
    "tokens": (notified(1, MAX_TOKENS + 1), "request.notifications: has more than 2,000 tokens"),
    "tokens together": (notified(401, 5), "request.notifications: has more than 2,000 tokens"),
    "telemetry": (request(telemetry={"entries": [{}] * 1001}), "request.telemetry.entries: has more than"),
    "values of an unknown field": (request(new=[[]] * 15_000), "request: has more than 30,000 values"),
    "products": (
        request(execute={"mboxes": [{**HERO, "order": {"purchasedProductIds": ["p"] * 30_000}}]}),
        "request: has more than 30,000 values",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def here() -> Iterator[OpenEdge]:
    with open_edge() as opened:
        yield opened


def sent(here: OpenEdge, *requests: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Return status and document of the responses on one connection."""
    answers = []
    with here.connect() as connection:
        for one in requests:
            connection.sendall(one)
            head, _, body = read_response(connection).partition(b"\r\n\r\n")
            if b"content-encoding: gzip" in head:
                body = gzip.decompress(body)
            answers.append((int(head.split()[1]), json.loads(body)))
    return answers


@pytest.mark.parametrize("fields", [(), ("origin: http://localhost",)], ids=["plain", "from a page"])
@pytest.mark.parametrize(("document", "message"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_request_beyond_a_limit_is_rejected_with_the_limit(
    here: OpenEdge, document: Any, message: str, fields: tuple[str, ...]
) -> None:
    before = here.times_reached("work")
    (refused, served) = sent(here, post(document, *fields), post(executed(1)))
    assert refused[0] == refused[1]["status"] == 413
    assert refused[1]["message"].startswith(message)
    assert served[0] == 200
    assert here.times_reached("work") == before + 1


@pytest.mark.parametrize(
    "document",
    [
        executed(MAX_LOCATIONS),
        executed(20, trace=TRACE),
        notified(MAX_NOTIFICATIONS),
        notified(1, MAX_TOKENS),
        request(prefetch={"views": [{"name": "checkout"}] * 50, "pageLoad": {}}),
        request(note=", [{" * 5000),
    ],
    ids=["mboxes", "traces", "notifications", "tokens", "views", "a text with commas"],
)
def test_large_request_within_the_limits_is_accepted(here: OpenEdge, document: Any) -> None:
    assert [status for status, _ in sent(here, post(document))] == [200]


def test_refused_request_records_nothing() -> None:
    ledger = MemoryLedger()
    with open_edge(ledger=ledger) as here:
        sent(here, post(executed(150, trace=TRACE)), post(notified(MAX_NOTIFICATIONS + 1)))
    assert ledger.events == []


def wide(
    size: int, rules: int = 2, content: Callable[[int], Any] = lambda size: "x" * size
) -> ArtifactRegistry:
    """Return the shop with a hero of a size, a global mbox with many rules, and a view with all."""
    document = shop()
    first = document["rules"]["mboxes"]["hero"][0]
    first["condition"] = True
    first["consequence"]["options"] = [{"type": "json", "content": content(size), "eventToken": "t"}]
    document["rules"]["mboxes"]["hero"] = [first]
    each = []
    for number in range(rules):
        rule = copy.deepcopy(first)
        rule["ruleKey"] = f"k{number}"
        each.append(rule)
    document["rules"]["mboxes"][document["globalMbox"]] = each
    document["rules"]["views"] = {"home": each}
    return ArtifactRegistry([LoadedArtifact("shop", json.dumps(document).encode())])


@pytest.fixture(scope="module", params=[(70_000, 200), (90_000, 413)], ids=str)
def sized(request: pytest.FixtureRequest) -> tuple[ArtifactRegistry, int]:
    """Return a registry with options of some size, and the status of a request for fifty."""
    size, status = request.param
    return wide(size, rules=50), status


@pytest.mark.parametrize(
    "parts",
    [
        {"execute": {"mboxes": [HERO] * 50}},
        {"prefetch": {"pageLoad": {}}},
        {"prefetch": {"views": [{}]}},
        *slow(
            {"prefetch": {"mboxes": [HERO] * 50}},
            {"execute": {"pageLoad": {}}},
            {"prefetch": {"views": [{"name": "home"}]}},
            {"execute": {"mboxes": [{"name": "target-global-mbox"}]}},
        ),
    ],
    ids=lambda parts: json.dumps(parts)[:40],
)
def test_size_of_the_response_is_bounded(parts: dict[str, Any], sized: tuple[ArtifactRegistry, int]) -> None:
    registry, status = sized
    answer = ask(request(**parts), registry=registry)
    assert answer.status == status
    assert len(answer.body) <= MAX_ANSWER_BYTES
    if status == 413:
        assert b"the response would be larger than 4,000,000 bytes" in answer.body


LONG = {**HERO, "parameters": {"p": "v" * 5000}}
WORKLOADS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "one small option": (100, "", executed(1)),
    "many small options": (100, "", executed(200)),
    "one large option": (250_000, "", executed(1)),
    "one option beyond the bound": (260_000, "", executed(1)),
    "large options together": (90_000, "", executed(3)),
    "macros with long values": (100, "${mbox.p}" * 60, request(execute={"mboxes": [LONG]})),
    "macros with short values": (100, "${mbox.p}" * 60, executed(1)),
    "few macros": (100, "${mbox.p}", request(execute={"mboxes": [LONG]})),
    "all rules of the global mbox": (
        90_000,
        "",
        request(execute={"mboxes": [{"name": "target-global-mbox"}]}),
    ),
    "an mbox that is not in the artifact": (100, "", request(execute={"mboxes": [{"name": "n" * 250}]})),
    "prefetch beside execute": (90_000, "", executed(1, prefetch={"mboxes": [HERO] * 2})),
    "a page load beside mboxes": (90_000, "", request(execute={"mboxes": [HERO], "pageLoad": {}})),
    "notifications": (100, "", {**notified(50, 5), "execute": {"mboxes": [HERO]}}),
    "traces": (100, "", executed(60, trace=TRACE)),
    "QA mode": (100, "", executed(1, qaMode={"token": "t"})),
    "nothing": (100, "", request()),
}


@pytest.mark.parametrize(("size", "macros", "document"), WORKLOADS.values(), ids=WORKLOADS)
def test_worst_cases_of_mboxes_give_the_same_weight(size: int, macros: str, document: Any) -> None:
    registry = wide(size, rules=3, content=lambda size: macros + "x" * size)
    (artifact,) = registry.artifacts
    parsed = snapshot(document, wire=False)
    each_time = artifact.costs._replace(mbox_shares={})
    exactly = workload.check_workload(parsed, artifact.rules, each_time)
    result = workload.check_workload(parsed, artifact.rules, artifact.costs)
    assert result.is_heavy == exactly.is_heavy
    assert result.answer_bytes >= min(exactly.answer_bytes, MAX_ANSWER_BYTES)


def test_macros_count_with_the_size_of_their_values() -> None:
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    rule["condition"] = True
    rule["consequence"]["options"] = [{"type": "html", "content": "${mbox.p}" * 300}]
    document["rules"]["mboxes"]["hero"] = [rule]
    registry = ArtifactRegistry([LoadedArtifact("shop", json.dumps(document).encode())])
    mbox = {**HERO, "parameters": {"p": "v" * 5000}}
    small = {**HERO, "parameters": {"p": "v"}}
    assert ask(request(execute={"mboxes": [mbox] * 10}), registry=registry).status == 413
    assert ask(request(execute={"mboxes": [small] * 10}), registry=registry).status == 200


def test_rules_to_evaluate_are_bounded() -> None:
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    rule["condition"] = {"in": [{"var": "mbox.p"}, [f"a long value {number:030}" for number in range(5_000)]]}
    document["rules"]["mboxes"]["hero"] = [rule]
    registry = ArtifactRegistry([LoadedArtifact("shop", json.dumps(document).encode())])
    answer = response_to(request(execute={"mboxes": [HERO] * 50}), registry=registry)
    assert answer["status"] == 413
    assert answer["message"].startswith("request: its locations have more than 8,000,000 bytes of rules")
    assert response_to(request(execute={"mboxes": [HERO] * 5}), registry=registry)["status"] == 200


@pytest.mark.parametrize("fields", [(), ("accept-encoding: gzip",), ("origin: http://localhost",)])
def test_heavy_request_is_decided_like_a_light_one(here: OpenEdge, fields: tuple[str, ...]) -> None:
    light = executed(1)
    heavy = {**light, "unknown": ["x"] * 2000}
    assert workload.is_heavy_body(json.dumps(heavy).encode())
    assert not workload.is_heavy_body(json.dumps(light).encode())
    (first, second) = sent(here, post(heavy, *fields), post(light, *fields))
    assert first == second
    assert first[0] == 200


class Held:
    """Blocks requests without an id until the end."""

    def __init__(self) -> None:
        self.asked, self.may_go = threading.Event(), threading.Event()

    def new_id(self) -> str:
        self.asked.set()
        self.may_go.wait(10)
        return "an-id"


HEAVY = {**executed(1), "requestId": None, "unknown": ["x"] * 2000}


@pytest.mark.parametrize("fields", [(), ("origin: http://localhost",)], ids=["plain", "from a page"])
def test_light_requests_are_served_during_a_heavy_one(fields: tuple[str, ...]) -> None:
    held = Held()
    with open_edge(new_id=held.new_id) as here, here.connect() as connection:
        connection.sendall(post(HEAVY, *fields))
        assert held.asked.wait(10)
        assert [status for status, _ in sent(here, post(executed(1)), post(executed(2)))] == [200, 200]
        held.may_go.set()
        assert read_response(connection).startswith(b"HTTP/1.1 200")


def test_waiting_heavy_requests_are_bounded() -> None:
    held = Held()
    with open_edge(new_id=held.new_id) as here:
        connections = [here.connect() for _ in range(MAX_WAITING + 1)]
        try:
            for connection in connections:
                connection.sendall(post(HEAVY))
            wait_until(lambda: here.times_reached("heavy") == 1)
            assert [status for status, _ in sent(here, post(executed(1)))] == [200]
            held.may_go.set()
            answers = [read_response(connection).split()[1] for connection in connections]
        finally:
            held.may_go.set()
            for connection in connections:
                connection.close()
    assert sorted(answers) == [b"200"] * MAX_WAITING + [b"503"]


def test_loops_of_one_request_share_a_bound() -> None:
    facts = RequestFacts(Context(), "v", "c", 0)
    for _ in range(5):
        Facts(facts, MboxRequest(name="m"), "m").spend(199_999)
    with pytest.raises(EvaluationError):
        Facts(facts, MboxRequest(name="m"), "m").spend(199_999)
    Facts(RequestFacts(Context(), "v", "c", 0), MboxRequest(name="m"), "m").spend(199_999)


@pytest.mark.parametrize("path", ["/v1/geo", "/recent", "/acme/production/v1/rules.json"])
def test_number_of_query_fields_is_bounded_everywhere(here: OpenEdge, path: str) -> None:
    sent = f"GET {path}?{'a=1&' * 10_000} HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with here.connect() as connection:
        connection.sendall(sent.encode())
        assert b"has more than 100 fields" in read_response(connection)


def test_query_of_a_heavy_request_is_checked(here: OpenEdge) -> None:
    heavy = {**executed(1), "unknown": ["x"] * 2000}
    assert [status for status, _ in sent(here, post(heavy, query="client=acme"))] == [400]
