from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from support.cli import run
from targetry import TargetClient
from targetry.device.ruleset import compile_artifact
from targetry.testing import DEFAULT, ActivityBuilder, activity, artifact

_CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
_PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 "
    "Mobile/15E148 Safari/604.1"
)


def client_of(document: dict[str, Any], **options: Any) -> TargetClient:
    return TargetClient.create(
        client="acme",
        organization_id="1@AdobeOrg",
        decisioning_method="on-device",
        artifact_payload=document,
        send_notification_func=lambda _: None,
        **options,
    )


def content_for(
    built: ActivityBuilder, context: dict[str, Any] | None = None, parameters: dict[str, Any] | None = None
) -> Any:
    with client_of(artifact(built)) as client:
        visitor = client.visitor(
            tnt_id="visitor-1.28_0", context={"channel": "web", **(context or {})}, parameters=parameters
        )
        return client.decide("hero", visitor).content


@each_case(
    "conditions, context, parameters",
    [
        ({"browser": "chrome"}, {"userAgent": _CHROME}, None),
        ({"browser": ["firefox", "Chrome"]}, {"userAgent": _CHROME}, None),
        ({"platform": "ios"}, {"userAgent": _PHONE}, None),
        ({"country": "de"}, {"geo": {"countryCode": "DE"}}, None),
        ({"region": "CA"}, {"geo": {"stateCode": "ca"}}, None),
        ({"city": "San Francisco"}, {"geo": {"city": "san francisco"}}, None),
        ({"url": "https://shop.example/Cart"}, {"address": {"url": "https://shop.example/cart"}}, None),
        ({"url_contains": "/CART"}, {"address": {"url": "https://shop.example/cart?x=1"}}, None),
        ({"domain": "shop.example"}, {"address": {"url": "https://SHOP.example/"}}, None),
        ({"from_": datetime(2020, 1, 1, tzinfo=UTC)}, None, None),
        ({"to": datetime(2120, 1, 1, tzinfo=UTC)}, None, None),
        ({"plan": "gold"}, None, {"plan": "gold"}),
        ({"plan": ["silver", "gold"]}, None, {"plan": "gold"}),
        ({"seats": 5}, None, {"seats": "5"}),
        ({"is_member": True}, None, {"is_member": "true"}),
        ({"parameters": {"user.tier": "A", "browser": "B"}}, None, {"user.tier": "A", "browser": "B"}),
        ({"plan": "gold", "country": "DE"}, {"geo": {"countryCode": "DE"}}, {"plan": "gold"}),
    ],
)
def test_condition_restricts_the_activity_to_its_audience(
    conditions: dict[str, Any], context: dict[str, Any] | None, parameters: dict[str, Any] | None
) -> None:
    built = activity("Hero").xt().when(**conditions).on("hero", "for the audience")
    assert content_for(built, context, parameters) == "for the audience"
    elsewhere = {"address": {"url": "https://other.example/"}, "geo": {"countryCode": "FR"}}
    if "from_" not in conditions and "to" not in conditions:
        assert content_for(built, elsewhere, {"plan": "free"}) is None


def test_period_that_is_over_matches_no_visitor() -> None:
    built = activity("Hero").xt().when(to=datetime(2020, 1, 1, tzinfo=UTC)).on("hero", "x")
    assert content_for(built) is None


def test_json_logic_is_used_unchanged() -> None:
    built = activity("Hero").xt().when_logic({"==": ["1", {"var": "mbox.n"}]}).on("hero", "x")
    assert (content_for(built, None, {"n": "1"}), content_for(built)) == ("x", None)


@each_case(
    "offer, kind",
    [("<b>a</b>", "html"), ({"a": [1]}, "json"), (5, "json"), (False, "json"), ({"file": "a"}, "json")],
)
def test_text_is_an_html_offer_and_other_values_are_json_offers(offer: Any, kind: str) -> None:
    with client_of(artifact(activity("Hero").xt().on("hero", offer))) as client:
        decision = client.decide("hero", client.visitor())
        assert (decision.content, decision.type) == (offer, kind)


def test_default_content_has_no_option_and_an_experience() -> None:
    with client_of(artifact(activity("Hero").xt("Control").on("hero", DEFAULT))) as client:
        decision = client.decide("hero", client.visitor())
        assert decision.options == []
        assert decision.experience is not None
        assert decision.experience.name == "Control"


def test_views_and_page_load_have_offers_too() -> None:
    document = artifact(activity("Cart").ab(A=0, B=100).on_view("cart", A="a", B="b").on_page("p"))
    with client_of(document) as client:
        offers = client.get_offers(request={"prefetch": {"views": [{}], "pageLoad": {}}})
        assert offers.view("cart").content == "b"
        assert offers.page_load.content == "p"


def test_highest_priority_comes_first_and_equal_ones_as_listed() -> None:
    document = artifact(
        activity("1").xt().on("hero", "first"),
        activity("2").xt().on("hero", "second"),
        activity("3").priority(7).xt().on("hero", "third"),
    )
    names = [rule["meta"]["activity.name"] for rule in document["rules"]["mboxes"]["hero"]]
    assert names == ["3", "1", "2"]


def test_clicks_have_a_token_for_each_experience_or_the_given_one() -> None:
    def click_tokens(built: ActivityBuilder) -> set[str]:
        rules = artifact(built.on("hero", "x"))["rules"]["mboxes"]["hero"]
        return {metric["eventToken"] for rule in rules for metric in rule["consequence"]["metrics"]}

    assert len(click_tokens(activity("Hero").ab(A=50, B=50).click())) == 2
    assert click_tokens(activity("Hero").ab(A=50, B=50).click("t-click")) == {"t-click"}


def test_metric_has_its_type_and_its_selector() -> None:
    document = artifact(activity("Hero").xt().on("hero", "x").metric("display", "t", selector="#buy"))
    metrics = document["rules"]["mboxes"]["hero"][0]["consequence"]["metrics"]
    assert metrics == [{"type": "display", "eventToken": "t", "selector": "#buy"}]


def test_ids_count_from_1000_past_given_ones() -> None:
    document = artifact(
        activity("1").xt().on("a", "x"),
        activity("2", id=1001).xt().on("b", "x"),
        activity("3").xt().on("c", "x"),
    )
    ids = [document["rules"]["mboxes"][name][0]["activityId"] for name in "abc"]
    assert ids == [1000, 1001, 1002]


@pytest.mark.parametrize("token", [None, "p-1"])
def test_property_restricts_the_activity(token: str | None) -> None:
    with client_of(artifact(activity("Hero", property="p-1").xt().on("hero", "x"))) as client:
        content = client.decide("hero", client.visitor(property_token=token)).content
    assert content == (None if token is None else "x")


def test_options_of_the_artifact_act() -> None:
    document = artifact(
        activity("Hero").xt().on_page("x"),
        client="shop",
        remote=["recs"],
        remote_views=["cart"],
        geo=True,
        response_tokens=["activity.id"],
        environment="staging",
        global_mbox="everywhere",
    )
    assert document["meta"] == {
        "clientCode": "shop",
        "environment": "staging",
        "generatedAt": "2026-01-01T00:00:00.000Z",
    }
    assert (document["remoteMboxes"], document["remoteViews"]) == (["recs"], ["cart"])
    assert (document["geoTargetingEnabled"], document["responseTokens"]) == (True, ["activity.id"])
    assert (document["globalMbox"], document["localMboxes"]) == ("everywhere", ["everywhere"])


@pytest.mark.parametrize(("condition", "needs_geo"), [({"country": "DE"}, True), ({"plan": "gold"}, False)])
def test_locations_are_looked_up_if_an_audience_uses_them(condition: dict[str, Any], needs_geo: bool) -> None:
    built = activity("Hero").xt().when(**condition).on("hero", "x")
    assert artifact(built)["geoTargetingEnabled"] is needs_geo


@each_case(
    "build, error, message",
    [
        (lambda: activity(""), ValueError, "the name is empty"),
        (lambda: activity("A").ab(A=60, B=60), ValueError, "add up to 120 %"),
        (lambda: activity("A").ab(A=160, B=-60), ValueError, "the share of B is not a percentage"),
        (lambda: activity("A").xt().ab(A=100), ValueError, "given twice"),
        (lambda: activity("A").on("hero", "x"), ValueError, "it has no experiences"),
        (lambda: activity("A").ab(A=50, B=50).on("hero", A="x"), ValueError, "'B' has no offer"),
        (lambda: activity("A").ab(A=50, B=50).on("hero", "x", C="y"), TypeError, "no experience 'C'"),
        (lambda: activity("A").xt().on("hero", {1j}), ValueError, "is not JSON"),
        (lambda: activity("A").xt().when(), ValueError, "has no condition"),
        (lambda: activity("A").xt().when(browser="crome"), ValueError, "use one of chrome"),
        (lambda: activity("A").xt().when(platform="beos"), ValueError, "no visitor has the platform"),
        (lambda: activity("A").xt().when(to=datetime(2026, 1, 1)), ValueError, "no time zone"),  # noqa: DTZ001
        (lambda: artifact(activity("A").xt()), ValueError, "it has no offers"),
        (
            lambda: artifact(activity("A", id=1).xt().on("a", "x"), activity("B", id=1).xt().on("b", "x")),
            ValueError,
            "two activities have one id",
        ),
        (
            lambda: artifact(activity("A").ab(A=99.99999999999999, B=5e-15, C=5e-15).on("a", "x")),
            ValueError,
            "a window ends before it starts",
        ),
        (lambda: artifact(clients="acme"), TypeError, "clients"),  # type: ignore[call-arg]
    ],
)
def test_invalid_argument_raises_an_error_that_names_it(
    build: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build()


shares = st.lists(st.integers(1, 100), min_size=1, max_size=5).map(
    lambda parts: {f"E{index}": part for index, part in enumerate(parts)}
)


def percentages(parts: dict[str, int]) -> dict[str, float]:
    """Return hundredths of percents in proportion to `parts` that add up to 100."""
    total, used, result = sum(parts.values()), 0, {}
    names = list(parts)
    for name in names[:-1]:
        result[name] = parts[name] * 10_000 // total / 100
        used += parts[name] * 10_000 // total
    return {**result, names[-1]: (10_000 - used) / 100}


@given(shares, st.integers(0, 10**6))
def test_visitors_are_split_by_the_given_shares(parts: dict[str, int], seed: int) -> None:
    split = percentages(parts)
    document = artifact(
        activity("Hero", id=seed + 1).ab(**split).on("hero", **{name: name for name in split})
    )
    assert document == artifact(
        activity("Hero", id=seed + 1).ab(**split).on("hero", **{name: name for name in split})
    )
    assert not compile_artifact(document).unusable
    count = 200
    with client_of(document) as client:
        seen = Counter(
            client.decide("hero", client.visitor(tnt_id=f"{seed}-{number}.28_0"), shown=False).content
            for number in range(count)
        )
    assert sum(seen.values()) == count
    assert None not in seen
    # Without a chance of 1 in 10 million per case: six standard deviations.
    for name, share in split.items():
        expected = count * share / 100
        assert abs(seen[name] - expected) <= 6 * (expected * (1 - share / 100)) ** 0.5 + 1


def test_command_artifact_reads_a_built_artifact(tmp_path: Any) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(msgspec.json.encode(artifact(activity("Hero sale").ab(A=50, B=50).on("hero", "x"))))
    result = run("artifact", str(file))
    assert result.exit_code == 0
    assert "Hero sale" in result.output
