"""`client.explain` and `client.explain_request`: what `targetry explain` prints, from Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e.client.any_client import Blocking, Looped
from support.device import mboxes_of
from support.device import rule as device_rule
from targetry import ClosedError, OptionError, TargetClient
from targetry.samples import shop

OPTIONS: dict[str, Any] = {
    "client": "acme",
    "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
    "decisioning_method": "on-device",
    "polling_interval": 0,
    "telemetry_enabled": False,
    "send_notification_func": lambda _: pytest.fail("an explanation reports nothing"),
}


def offline(document: Any = None) -> TargetClient:
    return TargetClient.create(**OPTIONS, artifact_payload=document or shop())


@pytest.mark.parametrize("kind", [Blocking, Looped], ids=["sync", "async"])
def test_explanation_shows_rules_window_and_what_would_change_it(kind: Any) -> None:
    any_client = kind(**OPTIONS, artifact_payload=shop())
    client = any_client.client
    visitor = any_client.visitor(tnt_id="a1b2")
    found = client.explain("hero", visitor)
    any_client.finish()
    assert found.matched is not None
    assert found.matched.window == (0, 50)
    assert found.matched.allocation is not None
    assert found.matched.meta["experience.name"] == "Everyday"
    assert not found.is_remote
    lines = str(found).splitlines()
    assert lines[0] == "mbox hero: Hero: autumn sale › Everyday"
    assert lines[-1].endswith("matches an allocation in 0 to 50; this visitor has 35.8")
    assert "a1b2" not in str(found)


def test_parts_that_are_false_are_what_would_have_to_change() -> None:
    condition = {"and": [{"==": ["gold", {"var": "mbox.plan"}]}, {"==": ["web", {"var": "mbox.kind"}]}]}
    with offline(mboxes_of(device_rule(1, condition, content="x"))) as client:
        visitor = client.visitor(tnt_id="a", parameters={"kind": "web"})
        [change] = client.explain("hero", visitor).changes
        assert "mbox.plan" in change
        assert "mbox.kind" not in change
        assert "because this is false" in change
        [change] = client.explain("hero", visitor, parameters={"plan": "gold"}).changes
        assert "mbox.plan" in change
        assert "because this is true" in change


def test_unknown_mbox_is_remote() -> None:
    with offline() as client:
        found = client.explain("unheard-of", client.visitor(tnt_id="a"))
        assert found.is_remote
        assert "only the Delivery API can decide" in str(found)


def test_wrong_arguments_missing_rules_and_a_closed_client_raise() -> None:
    with offline() as client, offline() as other:
        visitor = client.visitor(tnt_id="a")
        with pytest.raises(OptionError):
            client.explain("", visitor)
        with pytest.raises(OptionError):
            other.explain("hero", visitor)
    with pytest.raises(ClosedError):
        client.explain("hero", visitor)


@pytest.fixture(scope="module")
def client() -> Iterator[TargetClient]:
    with offline() as made:
        yield made


@settings(max_examples=15)
@given(visitor_id=st.text("abcdef0123456789", min_size=1, max_size=8))
def test_rule_that_matches_is_that_of_the_decision(client: TargetClient, visitor_id: str) -> None:
    visitor = client.visitor(tnt_id=visitor_id)
    for name in shop()["localMboxes"]:
        decision = client.decide(name, visitor, shown=False)
        matched = client.explain(name, visitor).matched
        activity, experience = decision.activity, decision.experience
        assert (matched is None) == (activity is None)
        if matched is not None and activity is not None and experience is not None:
            assert matched.meta["activity.id"] == activity.id
            assert matched.meta["experience.id"] == experience.id


def everything(visitor_id: str = "a1b2") -> dict[str, Any]:
    """Return a request for mboxes, the page load and views of the sample."""
    return {
        "id": {"tntId": visitor_id},
        "context": {"channel": "web", "address": {"url": "https://shop.example/cart"}},
        "execute": {"mboxes": [{"index": 0, "name": "hero"}], "pageLoad": {}},
        "prefetch": {"mboxes": [{"index": 0, "name": "promo"}], "views": [{"name": "cart"}]},
    }


@pytest.mark.parametrize("kind", [Blocking, Looped], ids=["sync", "async"])
def test_request_is_explained_at_each_of_its_locations(kind: Any) -> None:
    any_client = kind(**OPTIONS, artifact_payload=shop())
    request = everything()
    request["prefetch"]["views"].append({})
    found = any_client.client.explain_request(request)
    any_client.finish()
    places = [(one.location.mode, one.location.type, one.name) for one in found.locations]
    assert places == [
        ("execute", "mbox", "hero"),
        ("execute", "pageLoad", "target-global-mbox"),
        ("prefetch", "mbox", "promo"),
        ("prefetch", "view", "cart"),
        ("prefetch", "view", ""),
    ]
    assert str(found).startswith("mbox hero: Hero: autumn sale › Everyday")
    assert "pageLoad target-global-mbox" in str(found)
    assert "every view" in str(found)
    assert "a1b2" not in str(found)
    assert found.context["page"]["path"] == "/cart"


@settings(max_examples=15)
@given(visitor_id=st.text("abcdef0123456789", min_size=1, max_size=8))
def test_explained_request_matches_the_rules_of_its_offers(visitor_id: str) -> None:
    options = {**OPTIONS, "send_notification_func": lambda _: None}
    with TargetClient.create(**options, artifact_payload=shop()) as client:
        offers = client.get_offers(request=everything(visitor_id))
        hero, page, promo, view = client.explain_request(offers.request).locations
    given = {
        "hero": len(offers.mbox("hero").options),
        "page": len(offers.page_load.options),
        "promo": len(offers.mbox("promo").options),
        "view": len(offers.view("cart").options),
    }
    explained = {"hero": hero, "page": page, "promo": promo, "view": view}
    assert {name: len(one.location.matched) for name, one in explained.items()} == given


def test_property_of_the_client_is_that_of_an_explained_request() -> None:
    token = "a" * 32
    document = mboxes_of(device_rule(1, True, content="x") | {"propertyTokens": [token]})
    for options, is_matched in (({}, False), ({"property_token": token}, True)):
        with TargetClient.create(**OPTIONS, **options, artifact_payload=document) as client:
            [found] = client.explain_request(
                {"id": {"tntId": "a"}, "execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
            ).locations
            assert (found.matched is not None) == is_matched


def test_request_in_qa_mode_is_explained_with_its_preview() -> None:
    preview = {"previewIndexes": [{"activityIndex": 1, "experienceIndex": 2}], "token": "482910"}
    with offline() as client:
        [found, *_] = client.explain_request(everything() | {"qaMode": preview}).locations
    assert found.matched is not None
    assert found.matched.meta["experience.name"] == "Autumn sale"


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}, "request.id"),
        (
            {"id": {"tntId": "a"}, "execute": {"mboxes": [{"index": 0, "name": 5}]}},
            "request.execute.mboxes[0].name",
        ),
        ({"id": {"tntId": "a"}, "exekute": {}}, "request.exekute"),
        (None, "request"),
    ],
    ids=["no id", "wrong name", "unknown field", "none"],
)
def test_wrong_request_to_explain_raises_with_its_path(
    client: TargetClient, request_: Any, path: str
) -> None:
    with pytest.raises(OptionError) as caught:
        client.explain_request(request_)
    assert caught.value.path == path


def test_client_that_decides_nothing_explains_nothing() -> None:
    with (
        TargetClient.create(**OPTIONS | {"decisioning_method": "server-side"}) as client,
        pytest.raises(OptionError, match="decisioning_method"),
    ):
        client.explain_request(everything())
    with pytest.raises(ClosedError):
        client.explain_request(everything())
