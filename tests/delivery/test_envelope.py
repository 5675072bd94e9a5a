from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from support.cases import each_case
from targetry.delivery.envelope import TargetDeliveryResponse, envelope, learned_cluster
from targetry.delivery.prepare import PreparedRequest
from targetry.models import (
    AnalyticsPayload,
    AnalyticsResponse,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    ExecuteResponse,
    MboxRequest,
    MboxResponse,
    Metric,
    NotificationResponse,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchResponse,
    View,
    VisitorId,
)
from targetry.visitor import Visitor

NOW = 1_600_000_000.25

COPIES = pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r)), lambda r: r.copy()],
    ids=["copy", "deepcopy", "pickle", "method"],
)


def enveloped(
    response: DeliveryResponse | None = None,
    *,
    request: DeliveryRequest | None = None,
    cluster: str | None = None,
    visitor: Visitor | None = None,
    method: str = "on-device",
    remote_mboxes: Iterable[str] = (),
    remote_views: Iterable[str] = (),
    stale: bool = False,
) -> TargetDeliveryResponse:
    """Return the result for a response of a call with session `s`."""
    prepared = PreparedRequest(request or DeliveryRequest(request_id="r"), "s", cluster, False, visitor)
    response = response or DeliveryResponse(status=200)
    return envelope(prepared, response, method, NOW, [*remote_mboxes], [*remote_views], stale=stale)


def analytics(name: str) -> AnalyticsResponse:
    return AnalyticsResponse(payload=AnalyticsPayload(pe="tnt", tnta=name))


def place(name: str) -> dict[str, Any]:
    """Return the fields that the envelope collects, each with the name of its place."""
    options = [
        Option(response_tokens={"at": f"{name}-1"}),
        Option(),
        Option(response_tokens={"at": f"{name}-2"}),
    ]
    return {"analytics": analytics(name), "trace": {"at": name}, "options": options}


def full_response() -> DeliveryResponse:
    return DeliveryResponse(
        status=200,
        execute=ExecuteResponse(
            page_load=PageLoadResponse(**place("execute.pageLoad")),
            mboxes=[MboxResponse(**place("execute.mboxes[0]")), MboxResponse(**place("execute.mboxes[1]"))],
        ),
        prefetch=PrefetchResponse(
            page_load=PageLoadResponse(**place("prefetch.pageLoad")),
            mboxes=[PrefetchMboxResponse(**place("prefetch.mboxes[0]"))],
            views=[View(**place("prefetch.views[0]"))],
            metrics=[Metric(analytics=analytics("prefetch.metrics[0]"))],
        ),
        notifications=[NotificationResponse(id="n", trace={"at": "notifications[0]"})],
    )


DOCUMENTED_ORDER = [
    "execute.pageLoad",
    "execute.mboxes[0]",
    "execute.mboxes[1]",
    "prefetch.pageLoad",
    "prefetch.views[0]",
    "prefetch.mboxes[0]",
]


def test_empty_response_has_the_required_keys() -> None:
    result = enveloped(DeliveryResponse())

    assert result == {
        "visitor_state": None,
        "request": DeliveryRequest(request_id="r"),
        "response": DeliveryResponse(),
        "target_cookie": {
            "name": "mbox",
            "value": "session#s#1600001861",
            "max_age": 1860,
            "maxAge": 1860,
        },
        "meta": {"decisioning_method": "on-device", "remote_mboxes": [], "remote_views": []},
    }


def test_details_of_locations_are_listed_in_the_documented_order() -> None:
    result = enveloped(full_response())

    assert [one.payload.tnta for one in result["analytics_details"]] == DOCUMENTED_ORDER
    assert [one["at"] for one in result["trace"]] == DOCUMENTED_ORDER
    assert [one["at"] for one in result["response_tokens"]] == [
        f"{name}-{n}" for name in DOCUMENTED_ORDER for n in (1, 2)
    ]


@each_case(
    "response",
    [
        DeliveryResponse(execute=ExecuteResponse()),
        DeliveryResponse(prefetch=PrefetchResponse()),
        DeliveryResponse(execute=ExecuteResponse(mboxes=[MboxResponse(trace={}, options=[])])),
        DeliveryResponse(
            execute=ExecuteResponse(mboxes=[MboxResponse(options=[Option(response_tokens={})])])
        ),
    ],
    ids=["execute", "prefetch", "mbox", "option"],
)
def test_empty_lists_are_absent(response: DeliveryResponse) -> None:
    result = enveloped(response)

    assert not result.keys() & {"analytics_details", "trace", "response_tokens"}


@pytest.mark.parametrize(
    ("visitor_id", "value", "max_age"),
    [
        (None, "session#s#1600001861", 1860),
        (VisitorId(third_party_id="t"), "session#s#1600001861", 1860),
        (VisitorId(tnt_id="d.35_0"), "session#s#1600001861|PC#d.35_0#1663244801", 63244800),
    ],
)
def test_target_cookie_holds_the_session_and_the_tnt_id_of_the_response(
    visitor_id: VisitorId | None, value: str, max_age: int
) -> None:
    cookie = enveloped(DeliveryResponse(id=visitor_id))["target_cookie"]

    assert (cookie["value"], cookie["max_age"]) == (value, max_age)


@pytest.mark.parametrize(
    ("cluster", "edge_host", "expected"),
    [
        ("28", "mboxedge35.tt.omtrdc.net", "28"),
        ("28", None, "28"),
        (None, "mboxedge35.tt.omtrdc.net", "35"),
    ],
)
def test_hint_cookie_names_the_cluster_of_the_request_or_the_response(
    cluster: str | None, edge_host: str | None, expected: str
) -> None:
    cookie = enveloped(DeliveryResponse(edge_host=edge_host), cluster=cluster)["target_location_hint_cookie"]

    assert cookie == {"name": "mboxEdgeCluster", "value": expected, "max_age": 1860, "maxAge": 1860}


@pytest.mark.parametrize("edge_host", [None, "localhost:8080", "acme.tt.omtrdc.net"])
def test_without_a_cluster_there_is_no_hint_cookie(edge_host: str | None) -> None:
    assert "target_location_hint_cookie" not in enveloped(DeliveryResponse(edge_host=edge_host))


def test_meta_names_the_method_and_the_remote_locations() -> None:
    result = enveloped(method="hybrid", remote_mboxes=("b", "a"), remote_views=("v",))

    assert result["meta"] == {
        "decisioning_method": "hybrid",
        "remote_mboxes": ["b", "a"],
        "remote_views": ["v"],
    }


def test_meta_says_that_the_rules_are_stale() -> None:
    assert enveloped(stale=True)["meta"]["stale"] is True
    assert "stale" not in enveloped(stale=False)["meta"]


def test_result_has_the_state_of_the_visitor() -> None:
    visitor = Visitor("org")

    assert enveloped(visitor=visitor)["visitor_state"] == visitor.get_state() != {}


# Sticky hint


@each_case(
    "cluster, by_cookie, edge_host, server_domain, expected",
    [
        (None, False, "mboxedge35.tt.omtrdc.net", None, "35"),
        ("28", False, "mboxedge35.tt.omtrdc.net", None, "35"),
        (None, False, "mboxedge35.tt.omtrdc.net", "acme.tt.omtrdc.net", "35"),
        ("28", True, "mboxedge35.tt.omtrdc.net", None, None),
        (None, False, "mboxedge35.tt.omtrdc.net", "target.acme.com", None),
        (None, False, "acme.tt.omtrdc.net", None, None),
        (None, False, None, None, None),
    ],
    ids=["first", "moved", "Target's domain", "visitor's cookie", "own domain", "no cluster", "on device"],
)
def test_cluster_is_learned_from_responses_that_concern_all_visitors(
    cluster: str | None,
    by_cookie: bool,
    edge_host: str | None,
    server_domain: str | None,
    expected: str | None,
) -> None:
    prepared = PreparedRequest(DeliveryRequest(), "s", cluster, by_cookie)

    assert learned_cluster(prepared, DeliveryResponse(edge_host=edge_host), server_domain) == expected


# The class


def test_unknown_keyword_arguments_are_dropped() -> None:
    assert TargetDeliveryResponse(meta={}, bogus=1, keys=2) == {"meta": {}}


@COPIES
def test_copies_keep_other_keys(
    copied: Callable[[TargetDeliveryResponse], TargetDeliveryResponse],
) -> None:
    result = enveloped()
    result["mine"] = 1
    result.update({"yours": 2}, ours=3)

    assert copied(result) == result
    assert {name: copied(result)[name] for name in ("mine", "yours", "ours")} == {
        "mine": 1,
        "yours": 2,
        "ours": 3,
    }


def test_other_keys_are_added_and_removed_as_in_any_dict() -> None:
    result = enveloped()
    before = dict(result)
    result["mine"] = 1
    result |= {"yours": 2}

    assert result.setdefault("mine", 3) == result.pop("mine") == 1
    del result["yours"]
    assert result == before


def test_documented_keys_can_be_set() -> None:
    result = TargetDeliveryResponse()
    result["meta"] = {"a": 1}
    result.update({"trace": []}, response_tokens=[])

    assert result.setdefault("visitor_state", {"b": 2}) == {"b": 2}
    assert result == {"meta": {"a": 1}, "trace": [], "response_tokens": [], "visitor_state": {"b": 2}}


@each_case(
    "key",
    [
        "visitor_state",
        "request",
        "response",
        "target_cookie",
        "target_location_hint_cookie",
        "analytics_details",
        "trace",
        "response_tokens",
        "meta",
    ],
)
def test_each_key_is_an_attribute(key: str) -> None:
    result = enveloped(full_response(), cluster="28", visitor=Visitor("org"))

    assert getattr(result, key) is result[key]
    assert getattr(TargetDeliveryResponse(), key) is None


@each_case("name", DeliveryResponse.__struct_fields__)
def test_each_attribute_of_the_response_is_an_attribute(name: str) -> None:
    result = TargetDeliveryResponse(response=DeliveryResponse(**{name: "something"}))

    assert getattr(result, name) == "something"
    assert getattr(TargetDeliveryResponse(), name) is None


def test_attributes_are_read_only() -> None:
    with pytest.raises(AttributeError):
        enveloped().meta = {}  # type: ignore[assignment,misc]


@pytest.mark.parametrize("form", ["to_dict", "to_str", "to_json"])
def test_result_has_the_serializations_of_the_response(form: str) -> None:
    response = full_response()

    assert getattr(enveloped(response), form)() == getattr(response, form)()


@COPIES
def test_copy_is_a_result(copied: Callable[[TargetDeliveryResponse], TargetDeliveryResponse]) -> None:
    result = enveloped(full_response(), cluster="28")
    other = copied(result)

    assert type(other) is TargetDeliveryResponse
    assert other == result
    assert other is not result


def test_server_state_is_request_and_response_in_wire_form() -> None:
    request = DeliveryRequest(request_id="r", execute=ExecuteRequest(mboxes=[MboxRequest(index=0, name="a")]))
    response = DeliveryResponse(
        status=200, edge_host="e", execute=ExecuteResponse(mboxes=[MboxResponse(name="a")])
    )
    result = enveloped(response, request=request, method="server-side")

    assert result.get_server_state() == {
        "request": {"requestId": "r", "execute": {"mboxes": [{"index": 0, "name": "a"}]}},
        "response": {"status": 200, "edgeHost": "e", "execute": {"mboxes": [{"name": "a"}]}},
    }
