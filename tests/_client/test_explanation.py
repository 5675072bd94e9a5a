"""`client.explain`: what `targetry explain` prints, from Python."""

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
