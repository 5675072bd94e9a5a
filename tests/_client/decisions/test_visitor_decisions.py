"""`visitor` and `decide` of both clients, compared with `get_offers`."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.test_matching import case
from e2e.client.any_client import AnyClient, Blocking, Looped
from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, DELIVERY, GEO, Target, artifact
from servers.faulty import answer
from support.cases import each_case
from support.device import mboxes_of
from support.device import rule as device_rule
from support.examples import examples
from targetry import (
    Address,
    ClosedError,
    Context,
    Decision,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    OptionError,
    PreparedVisitor,
    TargetClient,
    VisitorId,
)
from targetry.errors import NotReadyError

CLIENTS = [Blocking, Looped]
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture(params=CLIENTS)
def make(request: pytest.FixtureRequest, target: Target) -> Iterator[Any]:
    made: list[AnyClient] = []

    def start(**options: Any) -> AnyClient:
        rules = {"decisioning_method": "on-device", "artifact_payload": artifact(), "polling_interval": 0}
        any_client: AnyClient = request.param(**{**reach(target), **rules, **options})
        made.append(any_client)
        return any_client

    yield start
    for any_client in made:
        any_client.finish()


def offline(document: dict[str, Any], reports: list[dict[str, Any]], **options: Any) -> TargetClient:
    return TargetClient.create(
        client="acme",
        organization_id="1@AdobeOrg",
        decisioning_method="on-device",
        artifact_payload=document,
        polling_interval=0,
        send_notification_func=reports.append,
        **options,
    )


def impressions(reports: list[dict[str, Any]]) -> list[Any]:
    return [
        (one.mbox.name, one.tokens, report["request"].id, report["request"]._property)
        for report in reports
        for one in report["request"].notifications
    ]


@given(SEEDS)
@settings(max_examples=examples(50))
def test_decision_equals_the_offers_of_the_same_visitor(seed: int) -> None:
    document, request, _ = case(seed)
    rng = random.Random(seed)
    asked = (request.execute and request.execute.mboxes) or []
    parameters = next((mbox.parameters for mbox in asked if mbox.parameters), None) or {}
    cut = rng.randrange(len(parameters) + 1)
    own = dict(list(parameters.items())[:cut])
    added = dict(list(parameters.items())[cut:])
    by_offers: list[dict[str, Any]] = []
    by_decide: list[dict[str, Any]] = []
    token = request._property.token if request._property is not None else None
    context = request.context
    with offline(document, by_offers) as offers_client, offline(document, by_decide) as client:
        engine = client.decisioning_engine
        assert engine is not None
        rules = engine.rules
        assert rules is not None
        given_id = request.id or VisitorId(tnt_id="t")
        visitor = client.visitor(
            tnt_id=given_id.tnt_id,
            third_party_id=given_id.third_party_id,
            marketing_cloud_visitor_id=given_id.marketing_cloud_visitor_id,
            context=context,
            parameters=own,
            property_token=token,
        )
        for name in [*rules.local_mboxes, *rules.remote_mboxes]:
            by_offers.clear()
            by_decide.clear()
            decision = client.decide(name, visitor, parameters=added)
            result = offers_client.get_offers(
                request=DeliveryRequest(
                    id=visitor.id,
                    context=context,
                    _property=request._property,
                    execute=ExecuteRequest(mboxes=[MboxRequest(name=name, parameters=parameters)]),
                )
            )
            mboxes = result.response.execute.mboxes or []
            if result.meta["remote_mboxes"]:
                assert decision.reason == "remote"
                continue
            assert decision.options == [option for mbox in mboxes for option in mbox.options or ()]
            assert decision.metrics == [metric for mbox in mboxes for metric in mbox.metrics or ()]
            assert impressions(by_decide) == impressions(by_offers)


def visitor_of(any_client: AnyClient, **given: Any) -> PreparedVisitor:
    return any_client.visitor(**given)


@pytest.mark.parametrize("shown", [True, False])
def test_impression_is_sent_when_shown(make: Any, target: Target, shown: bool) -> None:
    any_client = make()
    visitor = visitor_of(any_client, tnt_id="v1", session_id="s1")
    decision = any_client.client.decide("hero", visitor, shown=shown)
    assert decision.content == {"title": "first"}
    assert decision.is_shown is shown
    assert decision.shown() is not shown
    assert not decision.shown()  # once only
    assert any_client.flush()
    (received,) = target.requests_to(DELIVERY)
    body = json.loads(received.body)
    assert body["id"] == {"tntId": "v1"}
    assert body["notifications"][0]["tokens"] == ["token-hero-1"]
    assert any_client.client.stats().notifications.sent == 1


def test_decision_that_was_not_shown_reports_nothing(make: Any, target: Target) -> None:
    any_client = make()
    any_client.client.decide("hero", visitor_of(any_client), shown=False)
    assert any_client.flush()
    assert not target.requests_to(DELIVERY)


def test_mbox_that_the_device_cannot_decide_is_remote(make: Any) -> None:
    any_client = make()
    visitor = visitor_of(any_client)
    for name in ("far", "unknown"):
        decision = any_client.client.decide(name, visitor)
        assert decision.reason == "remote"
        assert decision.content is None
        assert decision.activity is decision.experience is decision.type is None
        assert not decision.is_shown
        assert not decision.shown()


@pytest.mark.parametrize(
    ("name", "error"), [("", OptionError), (None, OptionError), (5, OptionError), (["hero"], OptionError)]
)
def test_name_that_is_none_is_refused(make: Any, name: Any, error: type[Exception]) -> None:
    any_client = make()
    with pytest.raises(error, match="name"):
        any_client.client.decide(name, visitor_of(any_client))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"tnt_id": "x" * 129}, "tnt_id"),
        ({"context": {"channel": "tv"}}, "context.channel"),
        ({"context": 5}, "context"),
        ({"context": Context()}, "context.channel"),
        ({"context": Context("web", user_agent=5)}, "context.user_agent"),
        ({"context": Context("web", beacon=0)}, "context.beacon"),
        ({"context": Context("web", browser=Address(url="u"))}, "context.browser"),
        ({"third_party_id": "\ud800" * 129}, "third_party_id"),
        ({"parameters": {" ": "x"}}, "parameters"),
        ({"parameters": {"a": {}}}, "parameters"),
        ({"parameters": {f"p{n}": "x" for n in range(51)}}, "parameters"),
        ({"customer_ids": 5}, "customer_ids"),
        ({"session_id": b"s"}, "session_id"),
        ({"target_cookie": 5}, "target_cookie"),
        ({"property_token": 5.5}, "property"),
    ],
)
def test_visitor_with_a_wrong_part_raises_with_its_path(make: Any, given: dict[str, Any], path: str) -> None:
    any_client = make()
    for ids in ({}, {"marketing_cloud_visitor_id": "7"}):
        with pytest.raises(OptionError, match=f"^_?{path}"):
            visitor_of(any_client, **ids, **given)


@each_case(
    "ids",
    [
        {"tnt_id": "t.28_0"},
        {"third_party_id": "é"},
        {"tnt_id": ".28_0", "marketing_cloud_visitor_id": "7"},
        {"tnt_id": "t", "third_party_id": 7},
    ],
    ids=lambda ids: "+".join(ids),
)
@each_case("address", [None, Address(url="https://a.example/?b")], ids=["flat", "address"])
def test_context_as_model_or_mapping_makes_the_same_visitor(
    ids: dict[str, Any], address: Address | None
) -> None:
    context = Context("web", user_agent="Mozilla/5.0", address=address)
    with offline(mboxes_of(), [], property_token="p") as client:
        common: dict[str, Any] = {**ids, "session_id": "s", "parameters": {"plan": "gold"}}
        made, read = (
            client.visitor(context=one, **common) for one in (context, json.loads(context.to_json()))
        )
        assert made.id == read.id
        assert made.session_id == read.session_id == "s"
        for visitor in (made, read):
            visitor._prepared.request.request_id = None
        assert made._prepared.request == read._prepared.request
        assert made._facts.details == read._facts.details
        assert made._facts.visitor == read._facts.visitor
        assert made._facts.property_token == read._facts.property_token == "p"
        assert context.time_offset_in_minutes is None  # the visitor has a copy
        context.user_agent = "changed"
        assert made._facts.context.user_agent == "Mozilla/5.0"


def test_visitor_keyword_that_is_none_of_them_raises_a_type_error(make: Any) -> None:
    any_client = make()
    with pytest.raises(TypeError, match="tntid"):
        visitor_of(any_client, tntid="v")


def test_parameters_of_both_are_at_most_fifty_together(make: Any) -> None:
    any_client = make()
    visitor = visitor_of(any_client, parameters={f"a{n}": "x" for n in range(30)})
    any_client.client.decide("hero", visitor, parameters={f"a{n}": "y" for n in range(50)})
    with pytest.raises(OptionError, match="parameters"):
        any_client.client.decide("hero", visitor, parameters={f"b{n}": "y" for n in range(21)})


def test_visitor_of_another_client_raises(make: Any) -> None:
    one, other = make(), make()
    with pytest.raises(OptionError, match="visitor"):
        one.client.decide("hero", visitor_of(other))
    with pytest.raises(OptionError, match="visitor"):
        one.client.decide("hero", None)


def test_server_side_client_names_get_offers(make: Any) -> None:
    any_client = make(decisioning_method="server-side", artifact_payload=None)
    with pytest.raises(OptionError, match="get_offers"):
        visitor_of(any_client)


@pytest.mark.parametrize(("method", "is_error"), [("on-device", True), ("hybrid", False)])
def test_without_rules_the_method_decides(make: Any, target: Target, method: str, is_error: bool) -> None:
    target.on(ARTIFACT, answer(503))
    any_client = make(
        decisioning_method=method, artifact_payload=None, cdn_base_path=target.url, maximum_wait_ready=50
    )
    visitor = visitor_of(any_client)
    if is_error:
        with pytest.raises(NotReadyError):
            any_client.client.decide("hero", visitor)
    else:
        assert any_client.client.decide("hero", visitor).reason == "remote"


def test_closed_client_raises(make: Any) -> None:
    any_client = make()
    visitor = visitor_of(any_client)
    any_client.close()
    with pytest.raises(ClosedError):
        any_client.client.decide("hero", visitor)
    with pytest.raises(ClosedError):
        visitor_of(any_client)


IN_ROME = Context(channel="web", geo=Geo(ip_address="12.21.1.40"))


def test_location_of_the_address_is_looked_up_once(make: Any, target: Target) -> None:
    any_client = make(artifact_payload=artifact(geoTargetingEnabled=True), cdn_base_path=target.url)
    visitor = visitor_of(any_client, context=IN_ROME)
    for _ in range(3):
        assert any_client.client.decide("roman", visitor).content == {"title": "ave"}
    assert len(target.requests_to(GEO)) == 1


def test_location_that_was_not_found_counts_as_unknown(make: Any, target: Target) -> None:
    target.on(GEO, answer(500))
    any_client = make(artifact_payload=artifact(geoTargetingEnabled=True), cdn_base_path=target.url)
    decision = any_client.client.decide("roman", visitor_of(any_client, context=IN_ROME))
    assert (decision.reason, decision.content) == ("default", None)


def test_later_rules_with_geo_conditions_are_remote_for_a_prepared_visitor(
    make: Any, target: Target, tmp_path: Any
) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(artifact()))
    any_client = make(artifact_payload=None, artifact_location=file)
    kept = visitor_of(any_client, context=IN_ROME)
    known = visitor_of(any_client, context=Context(channel="web", geo=Geo(city="Rome")))
    assert any_client.client.decide("hero", kept).content == {"title": "first"}
    file.write_text(
        json.dumps(artifact("second", generated_at="2026-02-01T00:00:00Z", geoTargetingEnabled=True))
    )
    assert any_client.refresh_artifact().outcome == "updated"
    assert any_client.client.decide("hero", kept).reason == "remote"
    assert any_client.client.decide("roman", known).content == {"title": "ave"}


def test_visitor_without_id_gets_one_that_the_cookie_keeps(make: Any) -> None:
    any_client = make()
    visitor = visitor_of(any_client)
    assert visitor.id.tnt_id
    cookie = visitor.target_cookie
    assert cookie is not None
    again = visitor_of(any_client, target_cookie=cookie["value"])
    assert (again.id, again.session_id) == (visitor.id, visitor.session_id)


def test_customer_ids_reach_the_report(make: Any, target: Target) -> None:
    any_client = make()
    visitor = visitor_of(any_client, tnt_id="v", customer_ids={"crm": "c1"})
    any_client.client.decide("hero", visitor)
    assert any_client.flush()
    (received,) = target.requests_to(DELIVERY)
    assert [one["id"] for one in json.loads(received.body)["id"]["customerIds"]] == ["c1"]


def test_decision_names_activity_experience_and_tokens() -> None:
    with offline(mboxes_of(device_rule(7, experience=2)), []) as client:
        decision = client.decide("hero", client.visitor(tnt_id="v"))
    assert decision.activity is not None
    assert (decision.activity.id, decision.activity.name, decision.activity.type) == (7, "Activity 7", "ab")
    assert decision.experience is not None
    assert (decision.experience.id, decision.experience.name) == (2, "Experience 2")
    assert decision.type == "html"
    assert decision.response_tokens == {"activity.decisioningMethod": "on-device"}
    assert decision.reason == "static"
    assert not decision.is_stale


def test_texts_of_visitor_and_decision_hold_no_id() -> None:
    with offline(artifact(), []) as client:
        visitor = client.visitor(tnt_id="secret-id", third_party_id="secret-id")
        decision = client.decide("hero", visitor, shown=False)
    assert "secret-id" not in repr(visitor) + repr(decision)


def test_rules_that_cannot_be_evaluated_are_counted() -> None:
    many = {"reduce": [{"var": "mbox"}, {"+": [{"var": "current"}, 1]}, 0]}
    nested = many
    for _ in range(3):
        nested = {"map": [[1] * 100, nested]}
    with offline(mboxes_of(device_rule(1, nested), device_rule(2)), []) as client:
        assert client.decide("hero", client.visitor(tnt_id="v")).content == "hello"
        assert list(client.stats().skipped_rules.values()) == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not there")
def test_visitor_of_the_parent_is_decided_in_a_forked_child(target: Target) -> None:
    any_client = Blocking(
        **reach(target), decisioning_method="on-device", artifact_payload=artifact(), polling_interval=0
    )
    visitor = any_client.client.visitor(tnt_id="v")
    any_client.client.decide("hero", visitor)
    assert any_client.flush()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            decision = any_client.client.decide("hero", visitor)
            status = 0 if decision.content == {"title": "first"} and any_client.flush() else 2
        finally:
            os._exit(status)
    os.close(read)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    any_client.finish()
    assert len(target.requests_to(DELIVERY)) == 2


def test_one_visitor_is_decided_by_many_threads_alike() -> None:
    document = mboxes_of(
        *(device_rule(n, {"==": [{"var": "mbox.page"}, str(n)]}, content=str(n)) for n in range(20))
    )
    wrong: list[tuple[str, Decision]] = []
    with offline(document, []) as client:
        visitor = client.visitor(tnt_id="v", parameters={"page": "3"})

        def work(start: int) -> None:
            for n in range(200):
                page = str((start + n) % 20)
                decision = client.decide("hero", visitor, parameters={"page": page}, shown=False)
                own = client.decide("hero", visitor, shown=False)
                if decision.content != page or own.content != "3":
                    wrong.append((page, decision))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_enqueued_notification_is_sent_in_the_background(make: Any, target: Target) -> None:
    any_client = make()
    click = {"id": "n1", "type": "click", "timestamp": 1, "mbox": {"name": "hero"}, "tokens": ["t"]}
    accepted = any_client.client.enqueue_notifications(
        {"request": {"id": {"tntId": "v.35_0"}, "notifications": [click]}, "session_id": "s1"}
    )
    assert accepted
    assert any_client.flush()
    (received,) = target.requests_to(DELIVERY)
    assert "sessionId=s1" in received.target
    assert received.json()["notifications"][0]["id"] == "n1"
    assert any_client.client.stats().notifications.sent == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"request": {}},
        {"request": {"notifications": [{"id": "n1", "type": "click"}]}},
        {"request": {"notifications": [{"id": "n1", "type": "click", "timestamp": 1}]}, "callback": print},
    ],
)
def test_invalid_notifications_raise_at_once(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        make().client.enqueue_notifications(options)


def test_enqueued_notification_is_passed_to_the_function_of_the_caller() -> None:
    reports: list[dict[str, Any]] = []
    with offline(artifact(), reports) as client:
        request = {"notifications": [{"id": "n1", "type": "click", "timestamp": 1}]}
        assert client.enqueue_notifications(request=request)
    assert [one.id for report in reports for one in report["request"].notifications] == ["n1"]


def test_threads_that_first_report_for_a_visitor_use_one_session() -> None:
    with offline(artifact(), []) as client:
        for _ in range(20):
            visitor = client.visitor(tnt_id="a1b2")
            start = threading.Barrier(4)
            sessions: list[str] = []

            def read(visitor: Any = visitor, start: Any = start, sessions: list[str] = sessions) -> None:
                start.wait(10)
                sessions.append(visitor.session_id)

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert len(sessions) == 4
            assert {*sessions} == {visitor.session_id}
