from __future__ import annotations

import asyncio
import threading
import unittest
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from targetry import AsyncTargetClient, TargetClient, TransportError
from targetry.testing import (
    FakeTransport,
    TargetDouble,
    TargetTestCase,
    activity,
    answer,
    artifact,
    double,
    edge,
)

ORGANIZATION = {"client": "acme", "organization_id": "1@AdobeOrg"}
METHODS = ("on-device", "server-side", "hybrid")
SHOP = artifact(
    activity("Sale").xt("Autumn").on("hero", "<b>sale</b>"),
    activity("Late").xt().when(from_=datetime(2090, 1, 1, tzinfo=UTC)).on("clock", "late"),
)


def ask(*mboxes: str, mode: str = "execute", **more: Any) -> dict[str, Any]:
    asked = [{"index": index, "name": name} for index, name in enumerate(mboxes)]
    return {"context": {"channel": "web"}, mode: {"mboxes": asked}, **more}


def content(client: TargetClient, mbox: str = "hero", **request: Any) -> Any:
    return client.get_offers(request=ask(mbox, **request)).content(mbox)


@pytest.fixture
def target() -> Any:
    with double() as made:
        yield made


@pytest.fixture(params=METHODS)
def client(request: pytest.FixtureRequest, target: TargetDouble) -> Any:
    with TargetClient.create(**ORGANIZATION, decisioning_method=request.param) as made:
        yield made


@pytest.mark.parametrize("offer", ["<b>a</b>", {"a": [1]}, 5, None], ids=["text", "object", "number", "none"])
def test_override_gives_each_kind_of_client_its_content(
    target: TargetDouble, client: TargetClient, offer: Any
) -> None:
    with target.override("hero", offer):
        assert content(client) == offer
        assert client.get_offers(request=ask("hero", mode="prefetch")).content("hero") == offer
        if isinstance(offer, dict):
            assert client.get_attributes(["hero"]).get_value("hero", "a") == [1]
            assert client.flag("hero:a", []) == [1]


def test_method_of_the_result_is_that_of_the_client(target: TargetDouble) -> None:
    target.set("hero", "x")
    for method in ("on-device", "server-side"):
        with TargetClient.create(**ORGANIZATION, decisioning_method=method) as client:
            assert client.get_offers(request=ask("hero")).meta["decisioning_method"] == method


def test_decisions_of_one_mbox_and_flags_are_overridden(target: TargetDouble) -> None:
    target.serve(SHOP)
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        visitor = client.visitor()
        assert client.decide("hero", visitor).content == "<b>sale</b>"
        with target.override("hero", "other", variant="B"):
            assert client.decide("hero", visitor).content == "other"
            details = client.flag_details("hero", "default", visitor=visitor)
            assert (details.value, details.variant) == ("other", "B")
            assert client.all_flags(visitor=visitor)["hero"].value == "other"
        assert client.flag("hero", "default", visitor=visitor) == "<b>sale</b>"


@pytest.mark.parametrize("method", METHODS)
def test_asynchronous_client_is_overridden(target: TargetDouble, method: str) -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(**ORGANIZATION, decisioning_method=method) as client:
            with target.override("hero", {"a": 1}):
                offers = await client.get_offers(request=ask("hero"))
                assert offers.content("hero") == {"a": 1}
                assert await client.flag("hero:a", 0) == 1

    asyncio.run(main())


def test_existing_client_is_overridden_and_restored() -> None:
    with TargetClient.create(
        **ORGANIZATION, decisioning_method="on-device", artifact_payload=SHOP, send_notification_func=print
    ) as client:
        with double() as target, target.override("hero", "x"):
            assert content(client) == "x"
        assert content(client) == "<b>sale</b>"


def test_innermost_override_counts_and_is_undone(target: TargetDouble, client: TargetClient) -> None:
    target.set("hero", "set")
    with target.override("hero", "outer"):
        try:
            with target.override("hero", "inner"):
                assert content(client) == "inner"
                raise ValueError
        except ValueError:
            pass
        assert content(client) == "outer"
    assert content(client) == "set"


def test_override_decorates_functions_and_coroutine_functions(
    target: TargetDouble, client: TargetClient
) -> None:
    @target.override("hero", "x")
    def ask_client() -> Any:
        return content(client)

    @target.override("hero", "y")
    async def ask_later() -> Any:
        await asyncio.sleep(0)
        return content(client)

    assert (ask_client(), asyncio.run(ask_later())) == ("x", "y")
    assert ask_client.__name__ == "ask_client"


@pytest.mark.parametrize(
    ("visitor", "request_id", "options"),
    [
        ("abc", {"tntId": "abc.28_0"}, {}),
        ("abc.28_0", {"tntId": "abc.28_0"}, {}),
        ("crm-7", {"thirdPartyId": "crm-7"}, {}),
        ("0732", {"marketingCloudVisitorId": "0732"}, {}),
        ("crm-7", {"tntId": "abc", "thirdPartyId": "crm-7"}, {}),
        ("abc", None, {"target_cookie": "session#s-1#4102444800|PC#abc.28_0#4102444800"}),
        ("0732", None, {"visitor_cookie": "-1712354808|MCMID|0732"}),
    ],
    ids=["tnt", "whole-tnt", "third-party", "ecid", "second-id", "cookie", "amcv-cookie"],
)
def test_override_of_a_visitor_is_for_that_visitor_only(
    target: TargetDouble, client: TargetClient, visitor: str, request_id: Any, options: dict[str, Any]
) -> None:
    target.set("hero", "all")
    target.set("hero", "one", visitor=visitor)
    request = ask("hero", **({"id": request_id} if request_id else {}))
    assert client.get_offers(request=request, **options).content("hero") == "one"
    assert content(client, id={"tntId": "other"}) == "all"


def test_override_of_a_visitor_acts_on_single_decisions_and_flags(target: TargetDouble) -> None:
    target.set("hero", "one", visitor="crm-7")
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        visitor = client.visitor(tnt_id="abc", third_party_id="crm-7")
        assert client.decide("hero", visitor).content == "one"
        assert client.flag("hero", "default", context={"targetingKey": "crm-7"}) == "one"
        assert client.flag("hero", "default", context={"targetingKey": "crm-8"}) == "default"


@pytest.mark.parametrize("by_code", [True, False], ids=["code", "client"])
def test_override_of_a_client_is_for_that_client_only(target: TargetDouble, by_code: bool) -> None:
    with (
        TargetClient.create(
            client="one", organization_id="1@AdobeOrg", decisioning_method="on-device"
        ) as one,
        TargetClient.create(
            client="two", organization_id="1@AdobeOrg", decisioning_method="on-device"
        ) as two,
    ):
        target.set("hero", "x", client="one" if by_code else one)
        assert (content(one), content(two)) == ("x", None)
        assert one.flag("hero", "default") == "x"
        assert two.flag("hero", "default") == "default"


def test_exception_as_content_is_raised(target: TargetDouble, client: TargetClient) -> None:
    failure = TransportError(reason="down")
    with target.override("hero", failure):
        with pytest.raises(TransportError, match="down"):
            content(client)
        with pytest.raises(TransportError, match="down"):
            client.get_attributes(["hero"])
        assert client.flag("hero", "default") == "default"
        if client.decisioning_engine is not None:
            with pytest.raises(TransportError, match="down"):
                client.decide("hero", client.visitor())


def test_other_mboxes_of_a_request_are_decided_as_usual(target: TargetDouble) -> None:
    target.serve(SHOP)
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        target.set("banner", "x")
        offers = client.get_offers(request=ask("hero", "banner"))
        assert (offers.content("hero"), offers.content("banner")) == ("<b>sale</b>", "x")


def test_only_other_mboxes_of_a_server_side_request_are_sent(target: TargetDouble) -> None:
    body = {
        "status": 200,
        "requestId": "1",
        "client": "acme",
        "execute": {
            "mboxes": [{"index": 1, "name": "banner", "options": [{"type": "html", "content": "b"}]}]
        },
    }
    transport = FakeTransport(answer(body))
    with TargetClient.create(**ORGANIZATION, transport=transport) as client:
        target.set("hero", "x")
        offers = client.get_offers(request=ask("hero", "banner", "hero"))
    assert [mbox.name for mbox in offers.response.execute.mboxes] == ["hero", "banner", "hero"]
    assert (offers.content("hero"), offers.content("banner")) == ("x", "b")
    assert transport.requests[0].body is not None
    assert b"hero" not in transport.requests[0].body
    target.assert_exposed("banner")
    target.assert_exposed("hero", "override", times=1)


def test_page_load_is_overridden_by_the_name_of_its_mbox(target: TargetDouble, client: TargetClient) -> None:
    target.set("target-global-mbox", "x")
    request = {"context": {"channel": "web"}, "execute": {"pageLoad": {}}}
    assert client.get_offers(request=request).page_load.content == "x"


def test_served_artifact_decides_for_all_clients_on_device(target: TargetDouble) -> None:
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        assert content(client) is None
        target.serve(SHOP)
        assert content(client) == "<b>sale</b>"
        target.serve(artifact(activity("B").xt().on("hero", "b")))
        assert content(client) == "b"


def test_exposures_are_the_content_that_was_shown(target: TargetDouble) -> None:
    target.serve(SHOP)
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        client.get_offers(request=ask("hero", id={"tntId": "abc"}), session_id="s-1")
        client.get_offers(request=ask("hero", mode="prefetch"))
        target.set("hero", "x", variant="B")
        client.decide("hero", client.visitor())
        client.decide("hero", client.visitor(), shown=False)
    first, second = target.exposures
    assert (first.mbox, first.activity, first.experience, first.overridden) == (
        "hero",
        "Sale",
        "Autumn",
        False,
    )
    assert (first.visitor.tnt_id, first.session_id) == ("abc", "s-1")
    assert (second.experience, second.overridden) == ("B", True)
    target.assert_exposed("hero", times=2)
    target.assert_exposed("hero", "B")
    with pytest.raises(AssertionError, match="with 'C' was shown 0 times, not 1; shown: 'hero' with 'Au"):
        target.assert_exposed("hero", "C")


def test_server_side_override_is_an_exposure(target: TargetDouble) -> None:
    target.set("hero", "x", variant="B")
    with TargetClient.create(**ORGANIZATION) as client:
        content(client)
    target.assert_exposed("hero", "B")


def test_notifications_are_recorded_instead_of_sent(target: TargetDouble, client: TargetClient) -> None:
    notification = {"id": "n-1", "type": "click", "timestamp": 1, "mbox": {"name": "hero"}, "tokens": ["t"]}
    request = {"context": {"channel": "web"}, "notifications": [notification]}
    client.send_notifications(request=request)
    client.enqueue_notifications(request={**request, "notifications": [{**notification, "id": "n-2"}]})
    assert [one.id for one in target.notifications] == ["n-1", "n-2"]


def test_requests_are_recorded_as_prepared(target: TargetDouble, client: TargetClient) -> None:
    target.set("hero", "x")
    content(client, id={"thirdPartyId": "crm-7"})
    request = target.requests[0]
    assert request.execute is not None
    assert request.execute.mboxes is not None
    assert (request.id and request.id.third_party_id, request.execute.mboxes[0].name) == ("crm-7", "hero")


def test_clock_sets_the_moment_of_decisions(target: TargetDouble) -> None:
    target.serve(SHOP)
    with TargetClient.create(**ORGANIZATION, decisioning_method="on-device") as client:
        visitor = client.visitor()
        assert content(client, "clock") is None
        with target.clock(datetime(2090, 1, 1, tzinfo=UTC) + timedelta(minutes=1)):
            assert content(client, "clock") == "late"
            assert client.decide("clock", visitor).content == "late"
            assert client.flag("clock", "", visitor=visitor) == "late"
        assert content(client, "clock") is None
    with pytest.raises(ValueError, match="no time zone"), target.clock(datetime(2090, 1, 1)):  # noqa: DTZ001
        pass


def refused_call() -> None:
    with TargetClient.create(**ORGANIZATION) as client, pytest.raises(TransportError, match="no network"):
        content(client)


def test_use_of_the_network_fails_the_call_and_the_test() -> None:
    message = r"the test asked https://acme\.tt\.omtrdc\.net/.*network = True"
    with pytest.raises(AssertionError, match=message), double():
        refused_call()


def test_use_of_the_network_by_asyncio_fails_the_call_and_the_test() -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(**ORGANIZATION) as client:
            with pytest.raises(TransportError, match="allows no network"):
                await client.get_offers(request=ask("hero"))

    with pytest.raises(AssertionError, match="the test asked https"), double():
        asyncio.run(main())


def test_allowed_network_is_used_and_overrides_are_not_reported() -> None:
    with edge() as here, double() as target:
        target.network = True
        for method in METHODS:
            with TargetClient.create(here.client_options(decisioning_method=method)) as client:
                target.set("promo", "x")
                offers = client.get_offers(request=ask("hero", "promo"))
                assert offers.content("promo") == "x"
                assert offers.content("hero") is not None
                client.flush()
        assert [event.location for event in here.events] == ["hero"] * 3


def test_failure_in_the_test_is_not_hidden_by_that_of_the_network() -> None:
    def fail() -> None:
        refused_call()
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"), double():
        fail()


def test_second_double_raises(target: TargetDouble) -> None:
    with pytest.raises(RuntimeError, match="in place already"), double():
        pass


def test_nothing_of_a_double_is_left_on_the_classes() -> None:
    def members() -> dict[str, Any]:
        from targetry._client import pipeline
        from targetry._client.decisions import flag_evaluator, visitor_decisions

        owners = (pipeline.OfferPipeline, visitor_decisions.VisitorDecisions, flag_evaluator.FlagEvaluator)
        found = {f"{owner.__name__}.{name}": part for owner in owners for name, part in vars(owner).items()}
        return found | {"time": (pipeline.time, flag_evaluator.time, visitor_decisions.time)}

    before = members()
    with double():
        assert members() != before
    assert members() == before


def test_threads_of_a_test_share_the_double(target: TargetDouble, client: TargetClient) -> None:
    target.set("hero", "all")
    target.set("hero", "one", visitor="abc")
    results: list[tuple[str, Any]] = []

    def work(tnt_id: str) -> None:
        results.extend((tnt_id, content(client, id={"tntId": tnt_id})) for _ in range(20))

    threads = [threading.Thread(target=work, args=(tnt_id,)) for tnt_id in ("abc", "def") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {("abc", "one"), ("def", "all")}
    assert len(target.exposures) == 80


class CaseOfUnittest(TargetTestCase):
    def test_override(self) -> None:
        self.target.set("hero", "x")
        with TargetClient.create(**ORGANIZATION) as client:
            assert content(client) == "x"


def test_mixin_gives_unittest_a_double() -> None:
    result = unittest.TestResult()
    CaseOfUnittest("test_override").run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    with double():
        pass


@pytest.mark.parametrize("mbox", ["", None], ids=repr)
def test_override_without_a_name_is_an_error(target: TargetDouble, mbox: Any) -> None:
    with pytest.raises(ValueError, match="is not the name of an mbox"):
        target.set(mbox, "x")


def test_override_with_content_that_is_not_json_is_an_error(target: TargetDouble) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        target.set("hero", {1j})
