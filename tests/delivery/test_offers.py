"""Offers of mboxes, page loads and views, read from a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from support.cases import each_case
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.delivery.offers import Activity, Experience, LocationOffers
from targetry.models import (
    AnalyticsPayload,
    AnalyticsResponse,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    Metric,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchResponse,
    View,
)


def json(**content: Any) -> Option:
    return Option(type="json", content=content)


def html(content: str) -> Option:
    return Option(type="html", content=content)


def result(
    execute: ExecuteResponse | None = None, prefetch: PrefetchResponse | None = None
) -> TargetDeliveryResponse:
    return TargetDeliveryResponse(response=DeliveryResponse(execute=execute, prefetch=prefetch))


def executed(*mboxes: MboxResponse) -> TargetDeliveryResponse:
    return result(ExecuteResponse(mboxes=list(mboxes)))


@each_case(
    "option",
    [
        html("<b>Sale</b>"),
        json(title="Sale"),
        Option(type="json", content=[1, 2]),
        Option(type="json", content={}),
        Option(type="json", content=0),
        Option(type="json", content=False),
        html(""),
        Option(type="redirect", content="https://example.com/"),
        Option(type="dynamic", content="<p>Recommended</p>"),
        Option(type="actions", content=[{"type": "setHtml", "selector": "h1", "content": "Sale"}]),
    ],
    ids=lambda option: f"{option.type} {option.content!r:.12}",
)
@each_case("is_executed", [True, False], ids=["execute", "prefetch"])
def test_content_and_type_are_those_of_the_offer(option: Option, is_executed: bool) -> None:
    if is_executed:
        offers = executed(MboxResponse(name="hero", options=[option]))
    else:
        mboxes = [PrefetchMboxResponse(name="hero", options=[option])]
        offers = result(prefetch=PrefetchResponse(mboxes=mboxes))
    assert offers.content("hero", default="none") == offers.mbox("hero").content == option.content
    assert offers.mbox("hero").type == option.type
    assert offers.mbox("hero")


@each_case(
    "offers",
    [
        TargetDeliveryResponse(),
        TargetDeliveryResponse(response=None),
        result(),
        result(ExecuteResponse(), PrefetchResponse()),
        executed(MboxResponse(name="other", options=[html("x")])),
        executed(MboxResponse(name="hero")),
        executed(MboxResponse(name="hero", options=[])),
        executed(MboxResponse(name="hero", options=[Option(type="html")])),
    ],
    ids=[
        "empty",
        "no response",
        "no parts",
        "empty parts",
        "other mbox",
        "no options",
        "empty options",
        "no content",
    ],
)
def test_default_content_gives_the_default(offers: TargetDeliveryResponse) -> None:
    default = object()
    assert offers.content("hero", default=default) is default
    assert offers.content("hero") is None
    assert offers.mbox("hero").content is None
    assert offers.page_load.content is None
    assert offers.view("hero").content is None


def test_absent_location_has_nothing_and_is_false() -> None:
    offers = executed().mbox("hero")
    assert not offers
    assert (offers.name, offers.executed, offers.prefetched, offers.options) == ("hero", [], [], [])
    assert (offers.type, offers.activity, offers.experience, offers.analytics) == (None, None, None, None)
    assert (offers.response_tokens, offers.event_tokens, offers.metrics) == ({}, [], [])
    assert repr(offers) == "LocationOffers('hero', 0 options)"


def test_mboxes_of_one_name_are_merged_or_chosen_by_index() -> None:
    offers = executed(
        MboxResponse(index=0, name="hero", options=[json(a=1, b=1)]),
        MboxResponse(index=1, name="other", options=[json(c=3)]),
        MboxResponse(index=2, name="hero", options=[json(b=2)]),
    )
    assert offers.content("hero") == {"a": 1, "b": 2}
    assert offers.content("hero", index=0) == {"a": 1, "b": 1}
    assert offers.content("hero", index=2) == offers.mbox("hero", index=2).content == {"b": 2}
    assert offers.content("hero", default="none", index=1) == "none"
    assert [one.index for one in offers.mbox("hero").executed] == [0, 2]


@each_case(
    "of_execute, of_prefetch, content",
    [
        ([json(a=1)], [json(a=2, b=2)], {"a": 1, "b": 2}),
        ([html("executed")], [html("prefetched")], "executed"),
        ([], [html("prefetched")], "prefetched"),
        ([html("executed")], [json(a=1)], {"a": 1}),
        ([html("first"), html("second")], [], "first"),
        ([html("text"), json(a=1), json(b=2)], [], {"a": 1, "b": 2}),
    ],
)
def test_execute_counts_before_prefetch(
    of_execute: list[Option], of_prefetch: list[Option], content: Any
) -> None:
    execute = ExecuteResponse(
        mboxes=[MboxResponse(name="hero", options=of_execute)], page_load=PageLoadResponse(options=of_execute)
    )
    prefetch = PrefetchResponse(
        mboxes=[PrefetchMboxResponse(name="hero", options=of_prefetch)],
        page_load=PageLoadResponse(options=of_prefetch),
    )
    offers = result(execute, prefetch)
    assert offers.content("hero") == offers.page_load.content == content
    assert offers.mbox("hero").options == offers.page_load.options == of_execute + of_prefetch


class Hero(TypedDict):
    title: str


@dataclass
class Banner:
    title: str
    size: int = 1


@each_case(
    "content, as_type, expected",
    [
        ({"title": "Sale"}, dict, {"title": "Sale"}),
        ({"title": "Sale"}, Hero, {"title": "Sale"}),
        ({"title": "Sale"}, Banner, Banner("Sale")),
        ({"title": "Sale", "size": "large"}, Banner, None),
        ({"titel": "Sale"}, Banner, None),
        ("<b>Sale</b>", str, "<b>Sale</b>"),
        ("<b>Sale</b>", dict, None),
        ({"title": "Sale"}, str, None),
        ([1, 2], list[int], [1, 2]),
        ([1, "2"], list[int], None),
        (True, bool, True),
        (1, bool, None),
        (None, str, None),
    ],
)
def test_content_in_a_type_is_converted_or_the_default(
    content: Any, as_type: type[Any], expected: Any
) -> None:
    offers = executed(MboxResponse(name="hero", options=[Option(type="json", content=content)]))
    default = object()
    wanted = default if expected is None else expected
    assert offers.content("hero", default, as_type=as_type) == wanted
    assert offers.mbox("hero").content_as(as_type, default) == wanted
    assert offers.mbox("hero").content_as(as_type) == expected


def test_tokens_activity_and_experience_are_those_of_the_first_option() -> None:
    tokens = {
        "activity.id": 7,
        "activity.name": "Sale",
        "experience.id": 1,
        "experience.name": "B",
        "geo.city": "Bern",
    }
    analytics = AnalyticsResponse(payload=AnalyticsPayload(pe="tnt", tnta="7:1:0|2"))
    hero = PrefetchMboxResponse(
        name="hero",
        options=[
            Option(type="html", content="x", event_token="e1", response_tokens=tokens),
            Option(event_token="e2"),
        ],
        metrics=[Metric(type="click", event_token="c1")],
        analytics=analytics,
    )
    offers = result(prefetch=PrefetchResponse(mboxes=[hero])).mbox("hero")
    assert offers.response_tokens == tokens
    assert offers.activity == Activity(7, "Sale")
    assert offers.experience == Experience(1, "B")
    assert offers.event_tokens == ["e1", "e2"]
    assert offers.metrics == hero.metrics
    assert offers.analytics is analytics
    assert offers.prefetched == [hero]


def test_account_without_response_tokens_has_no_activity() -> None:
    offers = executed(MboxResponse(name="hero", options=[html("x")])).mbox("hero")
    assert (offers.response_tokens, offers.activity, offers.experience) == ({}, None, None)


def test_views_are_read_by_name() -> None:
    views = [
        View(name="home", options=[html("x")]),
        View(name="cart"),
        View(name="home", options=[json(a=1)]),
    ]
    offers = result(prefetch=PrefetchResponse(views=views))
    assert offers.view("home").content == {"a": 1}
    assert offers.view("home").prefetched == [views[0], views[2]]
    assert not offers.view("cart")
    assert [(view.name, bool(view)) for view in offers.views] == [("home", True), ("cart", False)]


def test_mboxes_are_listed_once_by_name() -> None:
    offers = result(
        ExecuteResponse(
            mboxes=[MboxResponse(name="a"), MboxResponse(name="b"), MboxResponse(name="a"), MboxResponse()]
        ),
        PrefetchResponse(mboxes=[PrefetchMboxResponse(name="c"), PrefetchMboxResponse(name="b")]),
    )
    assert [(mbox.name, len(mbox.executed), len(mbox.prefetched)) for mbox in offers.mboxes] == [
        ("a", 2, 0),
        ("b", 1, 1),
        ("c", 0, 1),
    ]


def test_page_load_has_no_name() -> None:
    page_load = PageLoadResponse(options=[html("x")])
    offers = result(ExecuteResponse(page_load=page_load)).page_load
    assert (offers.name, offers.executed, offers.content) == (None, [page_load], "x")
    assert isinstance(offers, LocationOffers)
