"""Decisions on device, as wire JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from support.cases import each_case
from support.device import (
    CLIENT,
    NEVER,
    NOW_MS,
    artifact,
    contents,
    decision_of,
    mboxes_of,
    numbered_ids,
    request_for,
    rule,
)
from targetry.device.decide import Match, decide
from targetry.device.ruleset import compile_artifact
from targetry.models import (
    DeliveryRequest,
    MboxResponse,
    MetricType,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    View,
    VisitorId,
)

GLOBAL = "target-global-mbox"
TOKENS = {"activity.decisioningMethod": "on-device"}
CLICK = {"type": "click", "selector": "#a", "eventToken": "click-1"}
DISPLAY = {"type": "display", "eventToken": "display-1"}


def offer(
    *options: dict[str, Any], metrics: Any = None, name: str | None = "hero", **more: Any
) -> dict[str, Any]:
    made: dict[str, Any] = {"options": list(options), **more}
    if name is not None:
        made["name"] = name
    if metrics is not None:
        made["metrics"] = metrics
    return made


def giving(consequence: dict[str, Any], activity: int = 1, **more: Any) -> dict[str, Any]:
    return rule(activity, **{"consequence": consequence, **more})


def html(content: Any = "hi", token: str | None = "t1") -> dict[str, Any]:
    return {"type": "html", "content": content} | ({"eventToken": token} if token else {})


def wire(document: Any, request: DeliveryRequest, mode: str) -> Any:
    """Return the part of the response under `execute` or `prefetch`."""
    return json.loads(decision_of(document, request).response.to_json()).get(mode)


def answered(content: Any = "hi", **more: Any) -> dict[str, Any]:
    return {"type": "html", "content": content, "responseTokens": TOKENS, **more}


# ── an mbox ───

EVERY_OPTION = [
    html("both"),
    {"type": "html", "content": "", "eventToken": "t2"},
    {"type": "json", "content": {}, "eventToken": "t3"},
    {"type": "html", "eventToken": "t4"},
    {"content": "no type", "eventToken": "t5"},
    {"eventToken": "default content"},
]


def test_execute_returns_content_without_tokens_or_default_content() -> None:
    document = mboxes_of(giving(offer(*EVERY_OPTION)))
    assert wire(document, request_for("hero"), "execute") == {
        "mboxes": [
            {
                "index": 0,
                "name": "hero",
                "options": [
                    answered("both"),
                    answered(""),
                    {"type": "json", "content": {}, "responseTokens": TOKENS},
                    {"type": "html", "responseTokens": TOKENS},
                    {"content": "no type", "responseTokens": TOKENS},
                ],
            }
        ]
    }


def test_prefetch_gives_tokens_and_default_content() -> None:
    document = mboxes_of(giving(offer(*EVERY_OPTION)))
    assert wire(document, request_for("hero", mode="prefetch"), "prefetch") == {
        "mboxes": [
            {
                "index": 0,
                "name": "hero",
                "options": [
                    answered("both", eventToken="t1"),
                    answered("", eventToken="t2"),
                    {"type": "json", "content": {}, "responseTokens": TOKENS, "eventToken": "t3"},
                    {"type": "html", "responseTokens": TOKENS, "eventToken": "t4"},
                    {"content": "no type", "responseTokens": TOKENS, "eventToken": "t5"},
                    {"responseTokens": TOKENS, "eventToken": "default content"},
                ],
            }
        ]
    }


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_mbox_without_a_match_has_its_name_and_index_only(mode: str) -> None:
    document = mboxes_of(rule(condition=NEVER))
    block: dict[str, Any] = {
        mode: {"mboxes": [{"index": 7, "name": "hero"}, {"index": 9, "name": "unknown"}]}
    }
    assert wire(document, request_for(**block), mode) == {
        "mboxes": [{"index": 7, "name": "hero"}, {"index": 9, "name": "unknown"}]
    }


def test_mbox_that_matches_default_content_only_has_no_options() -> None:
    document = mboxes_of(giving(offer({"eventToken": "t"})))
    assert wire(document, request_for("hero"), "execute") == {
        "mboxes": [{"index": 0, "name": "hero", "options": []}]
    }


def test_mboxes_have_one_response_each_in_the_order_of_the_request() -> None:
    document = artifact({name: [rule(content=name, name=name)] for name in "abc"})
    request = request_for("c", "a", "c", "x", "b")
    names = [(mbox["index"], mbox["name"]) for mbox in wire(document, request, "execute")["mboxes"]]
    assert names == [(0, "c"), (1, "a"), (2, "c"), (3, "x"), (4, "b")]
    assert contents(decision_of(document, request)) == ["c", "a", "c", "b"]


@each_case(
    "metrics, expected",
    [
        (None, None),
        ([], None),
        ([DISPLAY], None),
        ([CLICK], [CLICK]),
        ([DISPLAY, CLICK, {"type": "hover"}, {"eventToken": "x"}], [CLICK]),
        ([CLICK, CLICK], [CLICK, CLICK]),
    ],
)
def test_execute_keeps_click_metrics_only(metrics: Any, expected: Any) -> None:
    (mbox,) = wire(mboxes_of(giving(offer(html(), metrics=metrics))), request_for("hero"), "execute")[
        "mboxes"
    ]
    assert mbox.get("metrics") == expected


def test_prefetch_of_an_mbox_gives_no_metrics() -> None:
    document = mboxes_of(giving(offer(html(), metrics=[CLICK, DISPLAY])))
    (mbox,) = wire(document, request_for("hero", mode="prefetch"), "prefetch")["mboxes"]
    assert "metrics" not in mbox


@each_case(
    "options, metrics, tokens",
    [
        ([html(token=None)], [DISPLAY], ["display-1"]),
        ([html(token="own")], [DISPLAY], ["own"]),
        ([html(token="")], [DISPLAY], ["display-1"]),
        ([html(token=None)], [CLICK], [None]),
        ([html(token=None)], [CLICK, DISPLAY], [None]),
        ([html(token=None), html(token=None)], [CLICK, DISPLAY], [None, "display-1"]),
        ([html(token=None), html(token=None)], [DISPLAY], ["display-1", None]),
        ([html(token=None)], [{"type": "display"}], [None]),
        ([html(token=None)], None, [None]),
    ],
)
def test_prefetched_option_without_token_has_that_of_its_display_metric(
    options: Any, metrics: Any, tokens: Any
) -> None:
    document = mboxes_of(giving(offer(*options, metrics=metrics)))
    (mbox,) = wire(document, request_for("hero", mode="prefetch"), "prefetch")["mboxes"]
    assert [option.get("eventToken") for option in mbox["options"]] == tokens


@each_case(
    "analytics, given",
    [
        (None, None),
        ({}, None),
        ({"payload": {"pe": "tnt", "tnta": "1:0:0|2"}}, {"payload": {"pe": "tnt", "tnta": "1:0:0|2"}}),
        ({"payload": {"tnta": "x", "future": 1}}, {"payload": {"tnta": "x"}}),
    ],
)
@each_case("mode", ["execute", "prefetch"])
def test_analytics_payload_is_in_the_response(mode: str, analytics: Any, given: Any) -> None:
    document = mboxes_of(giving(offer(html(), **({"analytics": analytics} if analytics is not None else {}))))
    (mbox,) = wire(document, request_for("hero", mode=mode), mode)["mboxes"]
    assert mbox.get("analytics") == given


def test_mbox_has_the_name_of_the_consequence_or_the_request() -> None:
    document = artifact(
        {"hero": [giving(offer(html(), name="HERO"))], "cart": [giving(offer(html(), name=None))]}
    )
    assert [mbox["name"] for mbox in wire(document, request_for("hero", "cart"), "execute")["mboxes"]] == [
        "HERO",
        "cart",
    ]


# ── the global mbox ───

ON_EVERY_PAGE = [
    giving(offer(html("a", "ta"), metrics=[CLICK, DISPLAY], name=GLOBAL), 1),
    rule(2, NEVER, name=GLOBAL),
    giving(offer(html("b", "tb"), {"eventToken": "default"}, name=GLOBAL), 3),
    giving(offer(html("again", "tc"), name=GLOBAL), 4, ruleKey="1"),
    giving(offer(html("c", "td"), metrics=[CLICK | {"selector": "#b"}], name=GLOBAL), 5),
]


@pytest.mark.parametrize("name", [GLOBAL, "my-global"])
def test_global_mbox_by_name_has_one_response_per_match(name: str) -> None:
    document = mboxes_of(*ON_EVERY_PAGE, mbox=name, globalMbox=name)
    decision = decision_of(document, request_for(name))
    assert contents(decision) == ["a", "b", "c"]
    assert decision.response.execute is not None
    mboxes = decision.response.execute.mboxes or []
    assert [(mbox.index, mbox.name) for mbox in mboxes] == [(0, GLOBAL)] * 3


def test_default_global_mbox_is_ordinary_if_the_artifact_names_another() -> None:
    document = mboxes_of(*ON_EVERY_PAGE, mbox=GLOBAL, globalMbox="my-global")
    assert contents(decision_of(document, request_for(GLOBAL))) == ["a"]


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_global_mbox_by_name_without_match_has_no_response(mode: str) -> None:
    document = mboxes_of(rule(condition=NEVER), mbox=GLOBAL)
    assert wire(document, request_for(GLOBAL, mode=mode), mode) == {"mboxes": []}
    assert [mbox["name"] for mbox in wire(document, request_for(GLOBAL, "x", mode=mode), mode)["mboxes"]] == [
        "x"
    ]


def page_load(mode: str, **details: Any) -> DeliveryRequest:
    wire: dict[str, Any] = {mode: {"pageLoad": details}}
    return request_for(**wire)


def test_page_load_joins_all_matches_on_the_global_mbox() -> None:
    document = mboxes_of(*ON_EVERY_PAGE, mbox=GLOBAL)
    assert wire(document, page_load("execute"), "execute") == {
        "pageLoad": {
            "options": [answered("a"), answered("b"), answered("c")],
            "metrics": [CLICK | {"selector": "#b"}],  # one of a token, the last
        }
    }
    assert wire(document, page_load("prefetch"), "prefetch") == {
        "pageLoad": {
            "options": [
                answered("a", eventToken="ta"),
                answered("b", eventToken="tb"),
                {"responseTokens": TOKENS, "eventToken": "default"},
                answered("c", eventToken="td"),
            ]
        }
    }


def test_metrics_of_a_page_load_keep_their_order() -> None:
    metrics = [{"type": "click", "eventToken": token} for token in ("z", "a", "m")]
    document = mboxes_of(
        giving(offer(html(), metrics=metrics), 1), giving(offer(html(), metrics=metrics[1:]), 2), mbox=GLOBAL
    )
    assert wire(document, page_load("execute"), "execute")["pageLoad"]["metrics"] == metrics


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_page_load_without_a_match_has_no_options(mode: str) -> None:
    for document in (mboxes_of(rule(condition=NEVER), mbox=GLOBAL), artifact()):
        assert wire(document, page_load(mode), mode) == {"pageLoad": {"options": []}}


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_page_load_is_computed_only_on_request(mode: str) -> None:
    document = artifact({GLOBAL: ON_EVERY_PAGE, "hero": [rule()]})
    decision = decision_of(document, request_for("hero", mode=mode))
    assert "pageLoad" not in wire(document, request_for("hero", mode=mode), mode)
    assert [impression.name for impression in decision.impressions] == (["hero"] if mode == "execute" else [])


def test_page_load_decides_by_its_own_address_and_parameters() -> None:
    document = mboxes_of(
        rule(1, {"==": [{"var": "page.domain"}, "own.com"]}, content="address"),
        rule(2, {"==": [{"var": "mbox.plan"}, "gold"]}, content="parameters"),
        mbox=GLOBAL,
    )
    options = wire(
        document,
        page_load("execute", address={"url": "http://own.com/"}, parameters={"plan": "gold"}),
        "execute",
    )
    assert [option["content"] for option in options["pageLoad"]["options"]] == ["address", "parameters"]
    assert wire(document, page_load("execute"), "execute") == {"pageLoad": {"options": []}}


def test_both_modes_are_decided_in_one_request() -> None:
    document = artifact(
        {"hero": [rule()], GLOBAL: [rule(2, name=GLOBAL, content="all")]}, {"home": [rule(3, name="home")]}
    )
    request = request_for(
        "hero",
        prefetch={"mboxes": [{"index": 3, "name": "hero"}], "pageLoad": {}, "views": [{"name": "home"}]},
    )
    answer = json.loads(decision_of(document, request).response.to_json())
    assert set(answer["execute"]) == {"mboxes"}
    assert set(answer["prefetch"]) == {"mboxes", "pageLoad", "views"}


def test_empty_request_has_an_empty_response() -> None:
    answer = json.loads(decision_of(mboxes_of(rule()), request_for()).response.to_json())
    assert answer == {"status": 200, "requestId": "r", "id": {"tntId": "visitor"}, "client": "acme"}


# ── views ───


def views(*names: str | None) -> DeliveryRequest:
    return request_for(prefetch={"views": [{"name": name} if name else {} for name in names]})


AT_HOME = [
    giving(offer(html("h1", "th1"), metrics=[CLICK], name="home"), 1),
    rule(2, NEVER, name="home"),
    giving(offer(html("h2", "th2"), metrics=[DISPLAY], name="home", analytics={"payload": {"pe": "tnt"}}), 3),
    giving(offer(html("again"), name="home"), 4, ruleKey="1"),
]
AT_CART = [giving(offer({"eventToken": "default"}, name="cart"), 5, ruleKey="1")]
OF_VIEWS = artifact(views={"home": AT_HOME, "cart": AT_CART, "empty": [rule(6, NEVER, name="empty")]})

HOME = {
    "name": "home",
    "options": [answered("h1", eventToken="th1"), answered("h2", eventToken="th2")],
    "metrics": [CLICK, DISPLAY],
}
CART = {"name": "cart", "options": [{"responseTokens": TOKENS, "eventToken": "default"}], "metrics": []}


@each_case(
    "request_, given",
    [
        (views("home"), [HOME]),
        (views("cart"), [CART]),
        (views("home", "cart"), [HOME, CART]),
        (views("cart", "home"), [CART, HOME]),
        (views("home", "home"), [HOME, HOME]),
        (views("empty"), []),
        (views("unknown"), []),
        (views(None), [HOME]),  # the cart's rule has the key of one that matched already
        (views("cart", None), [CART, HOME]),
    ],
)
def test_views_have_one_response_per_name_with_joined_matches(request_: DeliveryRequest, given: Any) -> None:
    assert wire(OF_VIEWS, request_, "prefetch") == {"views": given}


def test_all_views_are_in_the_order_of_the_artifact() -> None:
    document = artifact(views={"z": [rule(1, name="z")], "a": [rule(2, name="a")], "m": [rule(3, name="m")]})
    assert [view["name"] for view in wire(document, views(None), "prefetch")["views"]] == ["z", "a", "m"]


def test_view_has_the_analytics_of_its_first_match() -> None:
    first = giving(offer(html(), name="home", analytics={"payload": {"pe": "first"}}), 1)
    other = giving(offer(html(), name="home", analytics={"payload": {"pe": "other"}}), 2)
    (view,) = wire(artifact(views={"home": [first, other]}), views("home"), "prefetch")["views"]
    assert view["analytics"] == {"payload": {"pe": "first"}}


def test_views_are_only_for_their_property() -> None:
    document = artifact(
        views={"home": [rule(1, name="home", propertyTokens=["p"]), rule(2, name="home", content="open")]}
    )
    with_token = request_for(prefetch={"views": [{"name": "home"}, {}]}, property={"token": "p"})
    answers = wire(document, with_token, "prefetch")["views"]
    assert [[option["content"] for option in view["options"]] for view in answers] == [["hello", "open"]] * 2
    assert wire(document, views("home"), "prefetch")["views"][0]["options"] == [
        answered("open", eventToken="token-2")
    ]


def test_views_and_mboxes_of_one_name_are_separate() -> None:
    document = artifact(
        {"home": [rule(1, content="mbox", name="home")]}, {"home": [rule(2, content="view", name="home")]}
    )
    request = request_for(prefetch={"mboxes": [{"index": 0, "name": "home"}], "views": [{"name": "home"}]})
    answer = wire(document, request, "prefetch")
    assert answer["mboxes"][0]["options"][0]["content"] == "mbox"
    assert answer["views"][0]["options"][0]["content"] == "view"


def test_view_decides_by_its_own_address_and_parameters() -> None:
    document = artifact(
        views={
            "home": [
                rule(1, {"==": [{"var": "page.domain"}, "own.com"]}, content="address", name="home"),
                rule(2, {"==": [{"var": "mbox.plan"}, "gold"]}, content="parameters", name="home"),
            ]
        }
    )
    view = {"name": "home", "address": {"url": "http://own.com/"}, "parameters": {"plan": "gold"}}
    (answer,) = wire(document, request_for(prefetch={"views": [view]}), "prefetch")["views"]
    assert [option["content"] for option in answer["options"]] == ["address", "parameters"]


# ── the envelope of the answer ───


def test_response_is_of_the_official_classes() -> None:
    document = artifact({"hero": [rule()], GLOBAL: [rule(name=GLOBAL)]}, {"home": [rule(name="home")]})
    request = request_for(
        execute={"mboxes": [{"name": "hero", "index": 0}], "pageLoad": {}},
        prefetch={"mboxes": [{"name": "hero", "index": 0}], "views": [{"name": "home"}]},
    )
    response = decision_of(document, request).response
    assert response.execute is not None
    assert response.prefetch is not None
    assert type((response.execute.mboxes or [])[0]) is MboxResponse
    assert type(response.execute.page_load) is PageLoadResponse
    assert type((response.prefetch.mboxes or [])[0]) is PrefetchMboxResponse
    assert type((response.prefetch.views or [])[0]) is View
    assert type(((response.prefetch.views or [])[0].options or [])[0]) is Option


def test_actions_are_plain_json_with_all_their_keys() -> None:
    actions = [
        {
            "type": "setStyle",
            "selector": "#a",
            "cssSelector": "#a",
            "content": {"color": "red"},
            "future": [1],
        }
    ]
    document = mboxes_of(rule(content=actions, kind="actions"))
    assert contents(decision_of(document, request_for("hero"))) == [actions]


def test_response_has_request_visitor_and_client() -> None:
    visitor = {"tntId": "t.28_0", "marketingCloudVisitorId": "m"}
    request = request_for("hero", requestId="mine", id=visitor)
    answer = json.loads(decision_of(mboxes_of(rule()), request).response.to_json())
    assert (answer["requestId"], answer["id"], answer["client"]) == ("mine", visitor, "acme")
    assert "edgeHost" not in answer


def test_visitor_without_id_has_a_response() -> None:
    request = DeliveryRequest.from_dict({"execute": {"mboxes": [{"index": 0, "name": "hero"}]}})
    decision = decision_of(mboxes_of(rule()), request)
    assert decision.response.id == VisitorId()
    assert contents(decision) == ["hello"]


@pytest.mark.parametrize("id_", [None, {}, {"customerIds": []}])
def test_visitors_without_id_have_one_allocation(id_: Any) -> None:
    document = mboxes_of(rule(condition={"<": [{"var": "allocation"}, 101]}))
    assert contents(decision_of(document, request_for("hero", id=id_))) == ["hello"]


@each_case(
    "lists, status",
    [
        ({}, 200),
        ({"remoteMboxes": ["hero"]}, 206),
        ({"localMboxes": []}, 206),
        ({"remoteMboxes": ["other"]}, 200),
    ],
)
def test_status_is_206_if_locations_are_remote(lists: Any, status: int) -> None:
    decision = decision_of(mboxes_of(rule(), **lists), request_for("hero"))
    assert decision.response.status == status
    assert decision.remote_mboxes == (["hero"] if status == 206 else [])
    assert contents(decision) == ["hello"]


# ── impressions ───


def notified(document: Any, request: DeliveryRequest) -> list[tuple[str | None, list[str]]]:
    return [(one.name, list(one.tokens)) for one in decision_of(document, request).impressions]


def test_impression_is_notified_once_with_its_ids_and_clock() -> None:
    (impression,) = decision_of(mboxes_of(rule()), request_for("hero")).impressions
    new_id = numbered_ids()
    notification = impression.notification(new_id)
    assert json.loads(notification.to_json()) == {
        "id": "id-1",
        "impressionId": "id-2",
        "type": "display",
        "timestamp": NOW_MS,
        "mbox": {"name": "hero"},
        "tokens": ["token-1"],
    }
    assert notification.type == MetricType.DISPLAY
    assert impression.notification(new_id) is notification


@each_case(
    "options, tokens",
    [
        ([html(token="a"), html(token="b")], [["a", "b"]]),
        ([html(token="a"), html(token="a")], [["a"]]),
        ([html(token="a"), {"eventToken": "default"}], [["a", "default"]]),
        ([{"eventToken": "default"}], [["default"]]),
        ([html(token=None)], []),
        ([html(token="")], []),
        ([], []),
    ],
)
def test_all_tokens_of_a_rule_are_one_impression(options: Any, tokens: Any) -> None:
    document = mboxes_of(giving(offer(*options, metrics=[DISPLAY])))
    assert [of for _, of in notified(document, request_for("hero"))] == tokens


def test_token_is_notified_once_for_a_name_in_a_request() -> None:
    first = giving(offer(html(token="a"), html(token="b"), name="hero"))
    second = giving(offer(html(token="b"), html(token="c"), name="hero"))
    other = giving(offer(html(token="b"), name="cart"))
    document = artifact({"one": [first], "two": [second], "three": [other]})
    request = request_for("one", "one", "two", "three")
    assert notified(document, request) == [("hero", ["a", "b"]), ("hero", ["c"]), ("cart", ["b"])]


def test_execute_notifies_mboxes_before_the_page_load() -> None:
    document = artifact({"hero": [rule()], GLOBAL: ON_EVERY_PAGE})
    request = request_for(execute={"pageLoad": {}, "mboxes": [{"index": 0, "name": "hero"}]})
    assert notified(document, request) == [
        ("hero", ["token-1"]),
        (GLOBAL, ["ta"]),
        (GLOBAL, ["tb", "default"]),
        (GLOBAL, ["td"]),
    ]


def test_prefetched_and_unmatched_rules_are_not_notified() -> None:
    assert notified(OF_VIEWS, views("home")) == []
    assert notified(mboxes_of(rule()), request_for("hero", mode="prefetch")) == []
    assert notified(mboxes_of(rule(condition=NEVER)), request_for("hero")) == []


def test_next_decision_notifies_again() -> None:
    rules = compile_artifact(mboxes_of(rule()))
    assert (
        notified(rules, request_for("hero"))
        == notified(rules, request_for("hero"))
        == [("hero", ["token-1"])]
    )


# ── problems ───


def test_rule_that_fails_is_skipped_and_reported() -> None:
    document = mboxes_of(rule(5, {"*": []}), rule(6, content="next"))
    decision = decision_of(document, request_for("hero"))
    assert contents(decision) == ["next"]
    ((activity, error),) = decision.failures
    assert (activity, "without operands" in str(error)) == ("5", True)


def test_deep_list_that_is_built_in_a_loop_cannot_break_a_decision() -> None:
    grow = {"reduce": [list(range(900)), [{"var": "accumulator"}, {"var": "accumulator"}], []]}
    for condition in (
        {"==": [grow, "x"]},
        {"cat": [grow]},
        {"+": [grow]},
        {"<": [grow, 1]},
        {"in": [grow, [grow]]},
        grow,
    ):
        decision = decision_of(
            mboxes_of(rule(1, {"!": [condition]}), rule(2, content="next")), request_for("hero")
        )
        assert contents(decision) in (["next"], ["hello"])


def test_nothing_of_the_request_is_changed() -> None:
    document = artifact({"hero": [rule()], GLOBAL: ON_EVERY_PAGE}, {"home": AT_HOME})
    request = request_for(
        execute={"pageLoad": {}, "mboxes": [{"index": 0, "name": "hero", "parameters": {"a.b": "C"}}]},
        prefetch={"views": [{}], "mboxes": [{"index": 1, "name": "hero"}]},
        context={
            "channel": "web",
            "geo": {"city": "rome"},
            "userAgent": "x",
            "address": {"url": "http://a.b/"},
        },
    )
    before = copy.deepcopy(request)
    decision_of(document, request)
    assert request == before


# ── outcomes of locations ───


def test_outcome_of_each_location_and_rule_is_listed() -> None:
    home = rule(4, name="home-view", content="view")
    document = artifact(
        {
            "hero": [rule(1, NEVER), rule(2, name="hero-content", content="two")],
            "empty": [rule(1, NEVER)],
            "target-global-mbox": [rule(1, content="first"), rule(3, content="second")],
        },
        {"home": [home, rule(5, NEVER, name="never")]},
    )
    mboxes = [{"index": i, "name": name} for i, name in enumerate(("hero", "empty", "target-global-mbox"))]
    request = request_for(
        execute={"mboxes": mboxes, "pageLoad": {}},
        prefetch={"mboxes": mboxes[:1], "views": [{"name": "home"}]},
    )
    matches: list[Match] = []
    decide(compile_artifact(document), request, CLIENT, NOW_MS, numbered_ids(), matches=matches)
    found = [
        (
            one.location_type,
            one.location,
            one.name,
            one.rule and one.rule.activity_id,
            [option.content for option in one.options],
        )
        for one in matches
    ]
    every = [
        ("mbox", "target-global-mbox", "hero", "1", ["first"]),
        ("mbox", "target-global-mbox", "hero", "3", ["second"]),
    ]
    assert found == [
        ("mbox", "hero", "hero-content", "2", ["two"]),
        ("mbox", "empty", "empty", None, []),
        *every,
        *[(kind, name, name, rule, options) for kind, name, _, rule, options in every],
        ("mbox", "hero", "hero-content", "2", ["two"]),
        ("view", "home", "home-view", "4", ["view"]),
    ]
