from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.attributes import AttributesProvider, checked_names, with_mboxes
from targetry.errors import AttributeNotFoundError, OptionError
from targetry.models import (
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    ExecuteResponse,
    MboxRequest,
    MboxResponse,
    Option,
    OptionType,
    PrefetchMboxResponse,
    PrefetchRequest,
    PrefetchResponse,
)


def mbox(name: str | None, *contents: Any) -> MboxResponse:
    return MboxResponse(
        name=name, options=[Option(type=OptionType.JSON, content=content) for content in contents]
    )


def provider(
    *execute: MboxResponse, prefetch: list[PrefetchMboxResponse] | None = None
) -> AttributesProvider:
    response = DeliveryResponse(execute=ExecuteResponse(mboxes=list(execute)))
    if prefetch is not None:
        response.prefetch = PrefetchResponse(mboxes=prefetch)
    return AttributesProvider({"response": response})


def test_value_is_found_by_mbox_and_key() -> None:
    assert provider(mbox("home", {"price": 3})).get_value("home", "price") == 3


@pytest.mark.parametrize(("mbox_name", "key"), [("home", "colour"), ("cart", "price")], ids=["key", "mbox"])
def test_missing_value_raises_with_the_official_text(mbox_name: str, key: str) -> None:
    with pytest.raises(AttributeNotFoundError) as caught:
        provider(mbox("home", {"price": 3})).get_value(mbox_name, key)
    assert str(caught.value) == f"Attribute '{key}' does not exist for mbox '{mbox_name}'"


@pytest.mark.parametrize("default", [7, None], ids=["value", "None"])
def test_default_replaces_the_error(default: object) -> None:
    assert provider().get_value("home", "price", default) is default


def test_existing_value_takes_precedence_over_the_default() -> None:
    assert provider(mbox("home", {"price": None})).get_value("home", "price", 7) is None


def test_later_options_later_mboxes_and_execute_win() -> None:
    prefetched = PrefetchMboxResponse(
        name="home", options=[Option(type=OptionType.JSON, content={"a": "prefetch", "b": "prefetch"})]
    )
    found = provider(
        mbox("home", {"b": "first", "c": "first"}, {"c": "second", "d": "second"}),
        mbox("home", {"d": "third"}),
        prefetch=[prefetched],
    )
    assert found.as_object("home") == {"a": "prefetch", "b": "first", "c": "second", "d": "third"}


NOTHING_TO_INDEX = {
    "no response": None,
    "empty response": DeliveryResponse(),
    "empty execute": DeliveryResponse(execute=ExecuteResponse()),
    "mbox without options": DeliveryResponse(execute=ExecuteResponse(mboxes=[MboxResponse(name="home")])),
    "mbox without name": DeliveryResponse(execute=ExecuteResponse(mboxes=[mbox(None, {"a": 1})])),
    "list": DeliveryResponse(execute=ExecuteResponse(mboxes=[mbox("home", [{"a": 1}])])),
    "scalar": DeliveryResponse(execute=ExecuteResponse(mboxes=[mbox("home", 42)])),
    "empty object": DeliveryResponse(execute=ExecuteResponse(mboxes=[mbox("home", {})])),
    "not JSON": DeliveryResponse(
        execute=ExecuteResponse(
            mboxes=[MboxResponse(name="home", options=[Option(type="html", content="<b>")])]
        )
    ),
}


@each_case("response", NOTHING_TO_INDEX.values(), ids=NOTHING_TO_INDEX)
def test_content_that_is_no_json_object_is_skipped(response: DeliveryResponse | None) -> None:
    assert AttributesProvider({"response": response}).indexed == {}


def test_as_object_gives_one_mbox_or_all() -> None:
    found = provider(mbox("home", {"a": 1}), mbox("cart", {"b": 2}))
    assert found.as_object("cart") == {"b": 2}
    assert found.as_object() == {"home": {"a": 1}, "cart": {"b": 2}}
    assert found.as_object("unknown") is None


def test_result_of_as_object_is_a_copy() -> None:
    answer = mbox("home", {"a": 1})
    found = provider(answer)
    one, every = found.as_object("home"), found.as_object()
    assert one is not None
    assert every is not None
    one["a"] = every["home"]["a"] = 2
    assert found.get_value("home", "a") == 1
    assert answer.options is not None
    assert answer.options[0].content == {"a": 1}


def test_response_is_returned_unchanged() -> None:
    answer = {"response": DeliveryResponse()}
    found = AttributesProvider(answer)
    assert found.get_response() is answer
    assert found.offers_response is answer


def asked(request: DeliveryRequest) -> list[tuple[int | None, str | None]]:
    assert request.execute is not None
    return [(m.index, m.name) for m in request.execute.mboxes or []]


def executing(*mboxes: MboxRequest) -> DeliveryRequest:
    return DeliveryRequest(execute=ExecuteRequest(mboxes=list(mboxes)))


ADDED: dict[str, tuple[DeliveryRequest | None, list[str], list[tuple[int | None, str]]]] = {
    "no request": (None, ["a", "b", "c"], [(1, "a"), (2, "b"), (3, "c")]),
    "empty request": (DeliveryRequest(), ["a"], [(1, "a")]),
    "listed twice": (None, ["a", "b", "a"], [(1, "a"), (2, "b")]),
    "already executed": (executing(MboxRequest(index=4, name="a")), ["a", "b"], [(4, "a"), (5, "b")]),
    "highest is not last": (
        executing(MboxRequest(index=9, name="a"), MboxRequest(index=2, name="b")),
        ["c"],
        [(9, "a"), (2, "b"), (10, "c")],
    ),
    "without index": (
        executing(MboxRequest(name="a"), MboxRequest(name="b")),
        ["c"],
        [(None, "a"), (None, "b"), (2, "c")],
    ),
    "already prefetched": (
        DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(index=7, name="a")])),
        ["a", "b"],
        [(1, "b")],
    ),
}


@each_case("request_, names, expected", ADDED.values(), ids=ADDED)
def test_missing_mboxes_are_added_and_indexes_go_on(
    request_: DeliveryRequest | None, names: list[str], expected: list[tuple[int | None, str]]
) -> None:
    assert asked(with_mboxes(request_, names)) == expected


@given(st.lists(st.text(min_size=1)), st.lists(st.text(min_size=1)), st.booleans())
def test_request_is_not_changed_and_each_name_is_requested(
    before: list[str], names: list[str], prefetch: bool
) -> None:
    def fresh() -> DeliveryRequest:
        mboxes = [MboxRequest(index=n, name=name) for n, name in enumerate(before)]
        if prefetch:
            return DeliveryRequest(prefetch=PrefetchRequest(mboxes=mboxes))
        return executing(*mboxes)

    request = fresh()
    result = with_mboxes(request, names)
    assert request == fresh()
    executed = {name for _, name in asked(result)} if result.execute else set()
    assert executed | (set(before) if prefetch else set()) == set(before) | set(names)


def test_two_calls_without_a_request_share_nothing() -> None:
    with_mboxes(None, ["a"])
    assert asked(with_mboxes(None, ["b"])) == [(1, "b")]


WRONG_NAMES = {
    "text": ("home", "mbox_names"),
    "bytes": (b"home", "mbox_names"),
    "None": (None, "mbox_names"),
    "number": (3, "mbox_names"),
    "number inside": (["home", 3], "mbox_names[1]"),
    "empty inside": ([""], "mbox_names[0]"),
}


@each_case("names, path", WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_names_that_are_no_list_of_texts_are_refused(names: object, path: str) -> None:
    with pytest.raises(OptionError) as caught:
        checked_names(names)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "names", [["a", "b"], ("a", "b"), {"a": 1, "b": 2}], ids=lambda names: type(names).__name__
)
def test_any_iterable_of_names_is_accepted(names: object) -> None:
    assert checked_names(names) == ["a", "b"]
