"""The trace of a decision."""

from __future__ import annotations

import copy
import json
from typing import Any

from support.cases import each_case
from support.device import (
    CLIENT,
    NEVER,
    NOW_MS,
    artifact,
    contents,
    decision_of,
    facts,
    mboxes_of,
    numbered_ids,
    request_for,
    rule,
)
from targetry.device.decide import OnDeviceDecision, decide
from targetry.device.ruleset import compile_artifact
from targetry.device.trace import TraceSource
from targetry.models import DeliveryRequest, Order

SOURCE = TraceSource("session-1", "acme", {"artifactLocation": "Not Applicable", "artifactVersion": "1.0.0"})
GOLD = {"==": [{"var": "mbox.plan"}, "gold"]}
SILVER = {"==": [{"var": "mbox.plan"}, "silver"]}
GLOBAL = "target-global-mbox"


def audience(*ids: int, **more: Any) -> dict[str, Any]:
    meta = {
        "activity.id": 1,
        "activity.type": "ab",
        "experience.id": 0,
        "offer.id": 9,
        "audience.ids": list(ids),
    }
    return meta | more


def traced(document: Any, request: DeliveryRequest) -> OnDeviceDecision:
    if request.trace is None:
        request = DeliveryRequest.from_dict({**json.loads(request.to_json()), "trace": {}})
    return decide(
        compile_artifact(document),
        request,
        client_code=CLIENT,
        now_ms=NOW_MS,
        new_id=numbered_ids(),
        trace=SOURCE,
    )


def traces(document: Any, request: DeliveryRequest) -> list[Any]:
    """Return the traces of all responses: mboxes, page load, views; execute first."""
    response = json.loads(traced(document, request).response.to_json())
    found = []
    for mode in ("execute", "prefetch"):
        block = response.get(mode, {})
        parts = [
            *block.get("mboxes", ()),
            *([block["pageLoad"]] if "pageLoad" in block else ()),
            *block.get("views", ()),
        ]
        found += [part.get("trace") for part in parts]
    return found


def test_document_of_an_executed_mbox_is_complete() -> None:
    document = mboxes_of(
        rule(1, SILVER, meta=audience(7, 5, 7, **{"experience.id": 1})),
        rule(1, GOLD, meta=audience(5, 6)),
        meta={"clientCode": "acme", "environment": "staging", "generatedAt": "2026-01-01"},
    )
    mbox = {"index": 3, "name": "hero", "parameters": {"plan": "gold"}}
    request = request_for(
        id={"tntId": "t.28_0", "thirdPartyId": "third", "customerIds": []},
        context={"channel": "web", "address": {"url": "http://www.foo.com/A?b=c"}},
        execute={"mboxes": [mbox]},
    )
    (trace,) = traces(document, request)
    context = trace["evaluatedCampaignTargets"][0].pop("context")
    notification = {
        "id": "id-1",
        "impressionId": "id-2",
        "type": "display",
        "timestamp": NOW_MS,
        "mbox": {"name": "hero"},
        "tokens": ["token-1"],
    }
    assert trace == {
        "clientCode": "acme",
        "artifact": {
            "artifactLocation": "Not Applicable",
            "artifactVersion": "1.0.0",
            "clientCode": "acme",
            "environment": "staging",
            "generatedAt": "2026-01-01",
        },
        "profile": {
            "visitorId": {"tntId": "t", "profileLocation": "28_0", "thirdPartyId": "third", "customerIds": []}
        },
        "request": {
            "sessionId": "session-1",
            "pageURL": "http://www.foo.com/A?b=c",
            "host": "foo.com",
            "mbox": {**mbox, "type": "execute"},
        },
        "campaigns": [
            {
                "id": 1,
                "campaignType": "ab",
                "branchId": 0,
                "offers": [9],
                "environment": "staging",
                "notifications": [notification],
            }
        ],
        "evaluatedCampaignTargets": [
            {
                "campaignId": 1,
                "campaignType": "ab",
                "matchedSegmentIds": [5, 6],
                "unmatchedSegmentIds": [7, 5],
                "matchedRuleConditions": [GOLD],
                "unmatchedRuleConditions": [SILVER],
            }
        ],
    }
    assert context["mbox"] == {"plan": "gold", "plan_lc": "gold"}
    assert context["page"]["domain"] == "foo.com"
    assert context["geo"] == {}
    assert 0 <= context["allocation"] <= 99.99
    assert set(context) == set(facts().as_dict(0.0))


def test_prefetched_mbox_has_no_notifications() -> None:
    (trace,) = traces(mboxes_of(rule()), request_for("hero", mode="prefetch"))
    assert trace["request"]["mbox"] == {"name": "hero", "index": 0, "type": "prefetch"}
    (campaign,) = trace["campaigns"]
    assert "notifications" not in campaign


def test_notification_in_the_trace_is_the_one_that_is_sent() -> None:
    decision = traced(mboxes_of(rule()), request_for("hero"))
    (impression,) = decision.impressions
    assert decision.response.execute is not None
    (mbox,) = decision.response.execute.mboxes or []
    sent = json.loads(impression.notification(numbered_ids()).to_json())
    assert mbox.trace is not None
    assert mbox.trace["campaigns"][0]["notifications"] == [sent]


def test_mbox_without_match_has_a_trace_of_evaluated_rules() -> None:
    (trace,) = traces(mboxes_of(rule(1, NEVER), rule(2, GOLD)), request_for("hero"))
    assert trace["campaigns"] == []
    assert [target["campaignId"] for target in trace["evaluatedCampaignTargets"]] == [1, 2]
    assert [target["unmatchedRuleConditions"] for target in trace["evaluatedCampaignTargets"]] == [
        [False],
        [GOLD],
    ]
    (trace,) = traces(artifact(), request_for("hero"))
    assert (trace["campaigns"], trace["evaluatedCampaignTargets"]) == ([], [])


def test_rules_after_the_match_or_of_other_properties_are_not_evaluated() -> None:
    document = mboxes_of(rule(1, propertyTokens=["p"]), rule(2, NEVER), rule(3), rule(4))
    (trace,) = traces(document, request_for("hero"))
    assert [target["campaignId"] for target in trace["evaluatedCampaignTargets"]] == [2, 3]
    (trace,) = traces(document, request_for("hero", property={"token": "p"}))
    assert [target["campaignId"] for target in trace["evaluatedCampaignTargets"]] == [1]


def test_campaigns_and_targets_accumulate_over_the_locations_of_a_mode() -> None:
    document = artifact({"a": [rule(1)], "b": [rule(2, NEVER), rule(1, NEVER), rule(3)]})
    one, two, three = traces(document, request_for("a", "b", "a"))
    campaigns = [[campaign["id"] for campaign in trace["campaigns"]] for trace in (one, two, three)]
    assert campaigns == [[1], [1, 3], [1, 3]]
    targets = [
        [target["campaignId"] for target in trace["evaluatedCampaignTargets"]] for trace in (one, two, three)
    ]
    assert targets == [[1], [1, 2, 3], [1, 2, 3]]
    assert two["evaluatedCampaignTargets"][0]["matchedRuleConditions"] == [True]
    assert two["evaluatedCampaignTargets"][0]["unmatchedRuleConditions"] == [False]
    assert one["evaluatedCampaignTargets"][0]["unmatchedRuleConditions"] == []
    assert three["evaluatedCampaignTargets"][0]["matchedRuleConditions"] == [True, True]


def test_campaigns_notifications_accumulate_but_not_backwards() -> None:
    same = [rule(1, name="a"), rule(1, name="b")]
    one, two = traces(artifact({"a": same[:1], "b": same[1:]}), request_for("a", "b"))
    names = [
        [sent["mbox"]["name"] for sent in trace["campaigns"][0]["notifications"]] for trace in (one, two)
    ]
    assert names == [["a"], ["a", "b"]]


def test_modes_have_separate_traces() -> None:
    document = artifact({"a": [rule(1)], "b": [rule(2)]})
    request = request_for("a", prefetch={"mboxes": [{"index": 0, "name": "b"}]})
    one, two = traces(document, request)
    assert [[campaign["id"] for campaign in trace["campaigns"]] for trace in (one, two)] == [[1], [2]]


def test_context_of_an_activity_is_that_of_its_first_evaluated_rule() -> None:
    document = artifact({"a": [rule(1, NEVER)], "b": [rule(1)]})
    mboxes = [{"index": 0, "name": name, "parameters": {"n": name}} for name in ("a", "b")]
    _, two = traces(document, request_for(execute={"mboxes": mboxes}))
    assert two["evaluatedCampaignTargets"][0]["context"]["mbox"] == {"n": "a", "n_lc": "a"}


def test_page_load_is_traced_as_the_global_mbox_and_carries_the_last_state() -> None:
    document = mboxes_of(rule(1, name=GLOBAL), rule(2, NEVER), rule(3, name=GLOBAL), mbox=GLOBAL)
    (trace,) = traces(document, request_for(execute={"pageLoad": {"parameters": {"a": "b"}}}))
    assert trace["request"]["mbox"] == {"name": GLOBAL, "parameters": {"a": "b"}, "type": "execute"}
    assert [campaign["id"] for campaign in trace["campaigns"]] == [1, 3]
    assert traces(mboxes_of(rule(1, NEVER), mbox=GLOBAL), request_for(execute={"pageLoad": {}})) == [None]


def test_view_is_traced_as_a_view() -> None:
    document = artifact(
        views={"home": [rule(1, name="home"), rule(2, name="home")], "cart": [rule(3, name="cart")]}
    )
    home, cart = traces(
        document, request_for(prefetch={"views": [{"name": "home", "key": "k"}, {"name": "cart"}]})
    )
    assert home["request"]["view"] == {"name": "home", "key": "k", "type": "prefetch"}
    assert "mbox" not in home["request"]
    assert [campaign["id"] for campaign in home["campaigns"]] == [1]  # the first match's, as Node keeps it
    assert [campaign["id"] for campaign in cart["campaigns"]] == [1, 2, 3]


def test_all_views_are_traced_without_a_name() -> None:
    document = artifact(views={"home": [rule(1, name="home")]})
    (trace,) = traces(document, request_for(prefetch={"views": [{"parameters": {"a": "b"}}]}))
    assert trace["request"]["view"] == {"parameters": {"a": "b"}, "type": "prefetch"}


def test_first_experience_of_an_activity_that_matched_is_its_campaign() -> None:
    first = rule(1, ruleKey="1-0", meta=audience(**{"experience.id": 4}), name=GLOBAL)
    second = rule(1, ruleKey="1-1", meta=audience(**{"experience.id": 5}), name=GLOBAL)
    trace = traces(mboxes_of(first, second, mbox=GLOBAL), request_for(GLOBAL))[-1]
    assert [campaign["branchId"] for campaign in trace["campaigns"]] == [4]
    (target,) = trace["evaluatedCampaignTargets"]
    assert target["matchedRuleConditions"] == [True, True]


@each_case(
    "id_, profile",
    [
        (None, {}),
        ({"tntId": "t"}, {"tntId": "t"}),
        ({"tntId": "t.28_0"}, {"tntId": "t", "profileLocation": "28_0"}),
        ({"tntId": "t."}, {"tntId": "t", "profileLocation": ""}),
        ({"tntId": "a.b.c"}, {"tntId": "a", "profileLocation": "b"}),
        ({"thirdPartyId": "x.y"}, {"thirdPartyId": "x.y"}),
        ({"marketingCloudVisitorId": "m"}, {"marketingCloudVisitorId": "m"}),
    ],
)
def test_profile_has_the_visitor_ids_that_are_set(id_: Any, profile: Any) -> None:
    (trace,) = traces(artifact(), request_for("hero", id=id_))
    assert trace["profile"] == {"visitorId": profile}


def test_absent_meta_is_left_out() -> None:
    (trace,) = traces(mboxes_of(rule(meta={"activity.id": 1}), meta={}), request_for("hero", mode="prefetch"))
    assert trace["campaigns"] == [{"id": 1, "offers": []}]
    (target,) = trace["evaluatedCampaignTargets"]
    assert (target["campaignId"], "campaignType" in target) == (1, False)


def test_page_that_is_not_known_is_empty() -> None:
    (trace,) = traces(artifact(), request_for("hero"))
    assert (trace["request"]["pageURL"], trace["request"]["host"]) == ("", "")


def test_rule_without_an_offer_or_an_audience_is_traced() -> None:
    (trace,) = traces(mboxes_of(rule(meta={"activity.id": 1})), request_for("hero"))
    (campaign,) = trace["campaigns"]
    assert campaign["offers"] == []
    (target,) = trace["evaluatedCampaignTargets"]
    assert target["matchedSegmentIds"] == []


ODD_META = [
    {},
    {"activity.id": None},
    {"activity.id": [1]},
    {"activity.id": {"a": 1}},
    {"activity.id": 1.5},
    {"activity.id": 1, "audience.ids": 5},
    {"activity.id": 1, "audience.ids": "ab"},
    {"activity.id": 1, "audience.ids": {"a": 1}},
    {"activity.id": 1, "audience.ids": [[1], {}, None, 1, 1]},
    {"activity.id": 1, "offer.id": [1], "experience.id": {}},
]


@each_case("meta", ODD_META, ids=str)
@each_case("mode", ["execute", "prefetch"])
def test_trace_of_unusual_rules_does_not_change_the_decision(meta: Any, mode: str) -> None:
    request = request_for("hero", mode=mode)
    decision = traced(mboxes_of(rule(meta=meta)), request)
    assert contents(decision, mode) == ["hello"]
    json.loads(decision.response.to_json())


def test_rule_that_fails_counts_as_not_matched() -> None:
    failing: dict[str, Any] = {"*": []}
    (trace,) = traces(mboxes_of(rule(1, failing)), request_for("hero"))
    (target,) = trace["evaluatedCampaignTargets"]
    assert target["unmatchedRuleConditions"] == [failing]


def test_trace_needs_request_and_caller() -> None:
    rules, request = compile_artifact(mboxes_of(rule())), request_for("hero")
    wanting = request_for("hero", trace={})
    for asked_for, source in [(request, SOURCE), (wanting, None), (request, None)]:
        decision = decide(
            rules, asked_for, client_code=CLIENT, now_ms=NOW_MS, new_id=numbered_ids(), trace=source
        )
        assert "trace" not in decision.response.to_json()
    decision = decide(rules, wanting, client_code=CLIENT, now_ms=NOW_MS, new_id=numbered_ids(), trace=SOURCE)
    assert '"trace"' in decision.response.to_json()


def test_trace_is_plain_json() -> None:
    request = request_for("hero", trace={})
    assert request.execute is not None
    (mbox,) = request.execute.mboxes or []
    mbox.order = Order.from_dict({"id": "o", "time": "2026-01-01T00:00:00Z"})
    (trace,) = traces(artifact(), request)
    assert trace["request"]["mbox"]["order"] == {"id": "o", "time": "2026-01-01T00:00:00Z"}
    decision = traced(artifact(), request)
    assert decision.response.execute is not None
    (answer,) = decision.response.execute.mboxes or []
    assert only_json(answer.trace)


def only_json(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and only_json(item) for key, item in value.items())
    if type(value) is list:
        return all(map(only_json, value))
    return value is None or type(value) in (str, int, float, bool)


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for item in list(value.values()):
            spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")


def test_change_of_a_returned_trace_does_not_reach_the_next() -> None:
    source = TraceSource("s", "acme", {"artifactLocation": "x"})
    rules = compile_artifact(mboxes_of(rule(1, GOLD, meta=audience(5)), rule(2), meta={"a": {"b": [1]}}))
    request = request_for(
        execute={"mboxes": [{"index": 0, "name": "hero", "parameters": {"plan": "x"}}]}, trace={}
    )
    untouched = copy.deepcopy(request)

    def trace() -> Any:
        decision = decide(
            rules, request, client_code=CLIENT, now_ms=NOW_MS, new_id=numbered_ids(), trace=source
        )
        assert decision.response.execute is not None
        return (decision.response.execute.mboxes or [])[0].trace

    first = trace()
    before = copy.deepcopy(first)
    spoil(first)
    assert trace() == before
    assert request == untouched


def test_testing_package_traces() -> None:
    decision = decision_of(mboxes_of(rule()), request_for("hero", trace={}), traced=True)
    assert '"trace"' in decision.response.to_json()
