"""Requests as mappings: names of the wire and of Python, and names that are neither."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from models.strategies import instances
from support.cases import each_case
from support.examples import examples
from targetry.models import (
    ConstraintError,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    VisitorId,
    snapshot,
)


def read(request: Any, *, wire: bool = False) -> DeliveryRequest:
    return snapshot(request, wire=wire, either_name=True)


HERO = DeliveryRequest(
    id=VisitorId(tnt_id="t1", marketing_cloud_visitor_id="m1"),
    _property=ModelProperty(token="p1"),
    context=Context(channel="web", user_agent="agent"),
    execute=ExecuteRequest(mboxes=[MboxRequest(index=1, name="hero", profile_parameters={"user.a": "1"})]),
)
OF_THE_WIRE = {
    "id": {"tntId": "t1", "marketingCloudVisitorId": "m1"},
    "property": {"token": "p1"},
    "context": {"channel": "web", "userAgent": "agent"},
    "execute": {"mboxes": [{"index": 1, "name": "hero", "profileParameters": {"user.a": "1"}}]},
}
OF_PYTHON = {
    "id": {"tnt_id": "t1", "marketing_cloud_visitor_id": "m1"},
    "_property": {"token": "p1"},
    "context": {"channel": "web", "user_agent": "agent"},
    "execute": {"mboxes": [{"index": 1, "name": "hero", "profile_parameters": {"user.a": "1"}}]},
}


class UserMapping(dict[str, Any]):
    pass


@each_case(
    "request_",
    [
        pytest.param(OF_THE_WIRE, id="wire"),
        pytest.param(OF_PYTHON, id="Python"),
        pytest.param({**OF_PYTHON, "id": OF_THE_WIRE["id"]}, id="both, in different objects"),
        pytest.param(
            {**OF_THE_WIRE, "id": {"tntId": "t1", "marketing_cloud_visitor_id": "m1"}}, id="both, in one"
        ),
        pytest.param({**OF_PYTHON, "id": HERO.id}, id="model in a mapping"),
        pytest.param(
            {**OF_PYTHON, "execute": {"mboxes": HERO.execute.mboxes}}, id="list of models in a mapping"
        ),
        pytest.param(
            {**OF_PYTHON, "context": MappingProxyType(OF_PYTHON["context"])}, id="read-only mapping"
        ),
        pytest.param(OrderedDict(OF_PYTHON), id="subclass of dict"),
        pytest.param({**OF_PYTHON, "execute": {"mboxes": tuple(OF_PYTHON["execute"]["mboxes"])}}, id="tuple"),
        pytest.param(HERO, id="model"),
        pytest.param(HERO.to_dict(), id="to_dict()"),
        pytest.param(
            DeliveryRequest(
                id=OF_PYTHON["id"],
                _property=OF_PYTHON["_property"],
                context=OF_THE_WIRE["context"],
                execute=ExecuteRequest(mboxes=OF_PYTHON["execute"]["mboxes"]),
            ),
            id="mappings in a model",
        ),
    ],
)
def test_request_is_read_under_either_name(request_: Any) -> None:
    assert read(request_) == read(request_, wire=True) == HERO


def test_list_can_mix_models_and_mappings() -> None:
    request = {
        "execute": {"mboxes": [MboxRequest(name="a"), {"name": "b", "profile_parameters": {"x": "1"}}]}
    }
    mboxes = [MboxRequest(name="a"), MboxRequest(name="b", profile_parameters={"x": "1"})]
    assert read(request) == DeliveryRequest(execute=ExecuteRequest(mboxes=mboxes))


def test_free_keys_stay_as_they_are() -> None:
    free = {"tntId": "1", "tnt_id": "2", "userAgent": "3", "any key at all": "4"}
    mbox = {"name": "hero", "parameters": free, "profileParameters": free}
    request = read({"execute": {"mboxes": [mbox]}, "trace": {"authorizationToken": "t", "usage": free}})
    assert request.execute.mboxes[0].parameters == request.execute.mboxes[0].profile_parameters == free
    assert request.trace.usage == free


UNKNOWN = [
    ({"id": {"tntID": "1"}}, "request.id.tntID", "is not a field of VisitorId; did you mean 'tntId'?"),
    ({"id": {"tntt_id": "1"}}, "request.id.tntt_id", "is not a field of VisitorId; did you mean 'tnt_id'?"),
    (
        {"execute": {"mboxes": [{"name": "a"}, {"name": "b", "profilParameters": {}}]}},
        "request.execute.mboxes[1].profilParameters",
        "is not a field of MboxRequest; did you mean 'profileParameters'?",
    ),
    (
        {"context": {"browser": {"webGlRenderer": "x"}}},
        "request.context.browser.webGlRenderer",
        "is not a field of Browser; did you mean 'webGLRenderer'?",
    ),
    ({"excecute": None}, "request.excecute", "is not a field of DeliveryRequest; did you mean 'execute'?"),
    ({"zzz": 1}, "request.zzz", "is not a field of DeliveryRequest"),
    ({"a b": 1}, "request['a b']", "is not a field of DeliveryRequest"),
    ({7: 1}, "request[7]", "is not a field of DeliveryRequest"),
    ({"x" * 200: 1}, f"request['{'x' * 40}…']", "is not a field of DeliveryRequest"),
    (
        DeliveryRequest(id={"tntID": "1"}),
        "request.id.tntID",
        "is not a field of VisitorId; did you mean 'tntId'?",
    ),
    (
        UserMapping(id=UserMapping(tntID="1")),
        "request.id.tntID",
        "is not a field of VisitorId; did you mean 'tntId'?",
    ),
]


@each_case("request_, path, reason", UNKNOWN, ids=[path for _, path, _ in UNKNOWN])
def test_unknown_name_is_an_error_with_path_and_nearest_name(request_: Any, path: str, reason: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        read(request_)
    assert (caught.value.path, caught.value.reason) == (path, reason)


@each_case("value", ["2", "1", None], ids=["other value", "same value", "None"])
@each_case("kind", [dict, UserMapping])
def test_both_names_of_a_field_are_an_error(kind: type[dict[str, Any]], value: str | None) -> None:
    with pytest.raises(
        ConstraintError, match=r"^request\.id\.tnt_id: is given twice: as 'tntId' and 'tnt_id'$"
    ):
        read({"id": kind(tntId="1", tnt_id=value)})
    with pytest.raises(
        ConstraintError, match=r"^request\._property: is given twice: as '_property' and 'prop"
    ):
        read(kind(_property={"token": "a"}, property={"token": value}))


def test_snapshot_without_either_name_ignores_other_names() -> None:
    request = {"id": {"tnt_id": "1", "thirdPartyId": "2", "x": 3}, "y": 4}
    assert snapshot(request, wire=True) == DeliveryRequest(id=VisitorId(third_party_id="2"))


def renamed(value: Any, choose: Any) -> Any:
    """Return a model as mappings; `choose` picks each field's name."""
    if isinstance(value, list):
        return [renamed(item, choose) for item in value]
    if not isinstance(value, Struct):
        return value
    names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
    return {choose(both): renamed(getattr(value, both[0]), choose) for both in names}


@settings(max_examples=examples(100))
@given(instances(DeliveryRequest), st.data())
def test_any_request_reads_the_same_under_any_choice_of_names(
    request_: DeliveryRequest, data: st.DataObject
) -> None:
    mapping = renamed(request_, lambda names: data.draw(st.sampled_from(names)))
    assert read(mapping) == snapshot(request_, wire=False)
