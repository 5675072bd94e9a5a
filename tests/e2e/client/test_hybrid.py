"""Hybrid decisions: which locations are decided on device and which at the edge."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from e2e.client.any_client import Connect
from e2e.client.target import ARTIFACT, DELIVERY, Target, artifact
from servers.faulty import answer
from targetry import (
    ApiException,
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    NotReadyError,
    OptionError,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
)


def execute(*names: str, page: bool = False) -> DeliveryRequest:
    mboxes = [MboxRequest(name=name) for name in names] or None
    return DeliveryRequest(
        execute=ExecuteRequest(page_load=RequestDetails() if page else None, mboxes=mboxes)
    )


def views(*names: str | None) -> DeliveryRequest:
    return DeliveryRequest(prefetch=PrefetchRequest(views=[ViewRequest(name=name) for name in names]))


@dataclasses.dataclass(frozen=True)
class Case:
    request: DeliveryRequest
    method: str
    mboxes: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    artifact: dict[str, Any] = dataclasses.field(default_factory=artifact)


REMOTE_PAGE = artifact(remoteMboxes=["target-global-mbox"])
CASES = {
    "local mbox": Case(execute("hero"), "on-device"),
    "remote mbox": Case(execute("far"), "server-side", ("far",)),
    "unknown mbox": Case(execute("nowhere"), "server-side", ("nowhere",)),
    "one of each": Case(execute("hero", "far"), "server-side", ("far",)),
    "local page": Case(execute(page=True), "on-device"),
    "remote page": Case(execute(page=True), "server-side", ("target-global-mbox",), artifact=REMOTE_PAGE),
    "local view": Case(views("home"), "on-device"),
    "remote view": Case(views("map"), "server-side", (), ("map",)),
    "all views": Case(views(None), "server-side", (), ("map",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_edge_decides_locations_without_rules(case: Case, on_device: Connect, target: Target) -> None:
    client = on_device(decisioning_method="hybrid", artifact_payload=case.artifact, polling_interval=0)
    result = client.get_offers(request=case.request)
    assert result["meta"] == {
        "decisioning_method": case.method,
        "remote_mboxes": list(case.mboxes),
        "remote_views": list(case.views),
    }
    at_the_edge = case.method == "server-side"
    assert (result["response"].edge_host is not None) == at_the_edge
    client.flush()
    asked = [body for body in target.bodies if "execute" in body or "prefetch" in body]
    assert len(asked) == at_the_edge


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_on_device_decides_locations_with_rules_and_lists_the_others(
    case: Case, on_device: Connect, target: Target
) -> None:
    client = on_device(artifact_payload=case.artifact, polling_interval=0)
    result = client.get_offers(request=case.request)
    assert result["meta"] == {
        "decisioning_method": "on-device",
        "remote_mboxes": list(case.mboxes),
        "remote_views": list(case.views),
    }
    assert result["response"].status == (206 if case.mboxes or case.views else 200)


def test_hybrid_result_for_mixed_locations_comes_from_the_edge(on_device: Connect, target: Target) -> None:
    result = on_device(decisioning_method="hybrid").get_offers(request=execute("hero", "far"))
    offers = [mbox.options[0].content["title"] for mbox in result["response"].execute.mboxes]
    assert offers == ["remote hero", "remote far"]


def test_edge_decides_without_an_artifact(on_device: Connect, target: Target) -> None:
    target.on(ARTIFACT, answer(404))
    client = on_device(decisioning_method="hybrid")
    result = client.get_offers(request=execute("hero"))
    assert result["meta"] == {"decisioning_method": "server-side", "remote_mboxes": [], "remote_views": []}
    assert result["response"].execute.mboxes[0].options[0].content == {"title": "remote hero"}


@pytest.mark.parametrize("status", [200, 404], ids=["engine ready", "engine not ready"])
def test_input_invalid_only_for_the_api_raises_before_it_is_sent(
    status: int, on_device: Connect, target: Target
) -> None:
    if status == 404:
        target.on(ARTIFACT, answer(404))
    client = on_device(decisioning_method="hybrid")
    context = Context(channel=ChannelType.WEB, geo=Geo(country_code="ITA"))
    request = DeliveryRequest(context=context, execute=execute("far").execute)
    with pytest.raises(OptionError) as caught:
        client.get_offers(request=request)
    assert caught.value.path == "request.context.geo.country_code"
    assert target.requests_to() == []


def test_input_invalid_only_on_the_wire_is_accepted_on_device(on_device: Connect) -> None:
    context = Context(channel=ChannelType.WEB, geo=Geo(country_code="ITA"))
    request = DeliveryRequest(context=context, execute=execute("hero").execute)
    for method in ("hybrid", "on-device"):
        result = on_device(decisioning_method=method).get_offers(request=request)
        assert result["meta"]["decisioning_method"] == "on-device"


def test_failure_of_the_edge_is_raised(on_device: Connect, target: Target) -> None:
    target.on(DELIVERY, answer(400))
    with pytest.raises(ApiException, match="400"):
        on_device(decisioning_method="hybrid").get_offers(request=execute("far"))


@pytest.mark.parametrize(
    ("configured", "of_the_call", "used"),
    [
        ("on-device", None, "on-device"),
        ("on-device", "server-side", "server-side"),
        ("on-device", "hybrid", "on-device"),
        ("hybrid", "server-side", "server-side"),
        ("hybrid", "on-device", "on-device"),
        ("server-side", "hybrid", "server-side"),
        ("server-side", "on-device", None),
    ],
)
def test_call_can_choose_the_decisioning_method(
    configured: str, of_the_call: str | None, used: str | None, on_device: Connect
) -> None:
    client = on_device(decisioning_method=configured)
    call: dict[str, Any] = {"request": execute("hero"), "decisioning_method": of_the_call}
    if used is None:
        with pytest.raises(NotReadyError, match="decisioning engine not ready"):
            client.get_offers(**call)
        return
    assert client.get_offers(**call)["meta"]["decisioning_method"] == used


def test_notifications_are_always_sent_to_the_edge(on_device: Connect, target: Target) -> None:
    notification = {"id": "n", "timestamp": 1, "type": "click"}
    for method in ("on-device", "hybrid"):
        result = on_device(decisioning_method=method).send_notifications(
            request={"notifications": [notification]}
        )
        assert result["meta"] == {
            "decisioning_method": "server-side",
            "remote_mboxes": [],
            "remote_views": [],
        }
        assert [one.id for one in result["response"].notifications] == ["n"]


def test_attributes_use_the_decisioning_method(on_device: Connect, target: Target) -> None:
    client = on_device(decisioning_method="hybrid")
    assert client.get_attributes(["hero"]).get_value("hero", "title") == "first"
    assert client.get_attributes(["hero", "far"]).get_value("hero", "title") == "remote hero"
