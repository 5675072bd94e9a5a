from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from support.device import contents, decision_of
from targetry import DeliveryRequest, samples
from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import RuleSet, compile_artifact

VISITORS = 10_000
PROPERTY = "6f1c2b9e-3d47-8a05-b1e2-94c07d5fa381"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1"


@pytest.fixture(scope="module")
def shop() -> RuleSet:
    return compile_artifact(samples.shop())


def rules() -> Iterator[dict[str, Any]]:
    for locations in samples.shop()["rules"].values():
        for listed in locations.values():
            yield from listed


def offers(
    shop: RuleSet, mbox: str, *, now_ms: int = 1_790_000_000_000, parameters: Any = None, **more: Any
) -> list[Any]:
    details = {"index": 0, "name": mbox, "parameters": parameters}
    context = {"channel": "web", **more.pop("context", {})}
    wire = {"id": {"tntId": "ada"}, "context": context, "execute": {"mboxes": [details]}, **more}
    return contents(decision_of(shop, DeliveryRequest.from_dict(wire), now_ms=now_ms))


def test_file_and_the_document_are_the_same() -> None:
    assert json.loads(samples.shop_path().read_text("utf-8")) == samples.shop()


def test_each_document_is_a_new_one() -> None:
    samples.shop()["rules"]["mboxes"].clear()

    assert samples.shop()["rules"]["mboxes"]


def test_every_rule_can_be_used(shop: RuleSet) -> None:
    assert shop.unusable == ()


def test_only_locations_without_rules_are_remote(shop: RuleSet) -> None:
    assert list(shop.remote_mboxes) == ["recommendations"]
    assert set(shop.local_mboxes) == set(shop.mboxes)
    assert set(shop.local_views) == set(shop.views)


def test_tokens_have_the_form_of_real_ones() -> None:
    options = [option["eventToken"] for rule in rules() for option in rule["consequence"]["options"]]
    metrics = [metric["eventToken"] for rule in rules() for metric in rule["consequence"]["metrics"]]

    assert {len(base64.b64decode(token, validate=True)) for token in options} == {64}
    assert {len(base64.b64decode(token, validate=True)) for token in metrics} == {16}


def test_each_experience_has_its_own_event_token() -> None:
    by_token: dict[str, set[Any]] = {}
    for rule in rules():
        meta = rule["meta"]
        for option in rule["consequence"]["options"]:
            by_token.setdefault(option["eventToken"], set()).add((meta["activity.id"], meta["experience.id"]))

    assert [experiences for experiences in by_token.values() if len(experiences) > 1] == []


def test_split_gives_each_visitor_one_experience(shop: RuleSet) -> None:
    splits: dict[tuple[str, str], list[Any]] = {}
    for name, location in {**shop.mboxes, **shop.views}.items():
        for rule in location.rules:
            if rule.meta["activity.type"] == "ab":
                splits.setdefault((name, rule.key), []).append(rule)

    assert len(splits) == 5
    for split in splits.values():
        for bucket in range(10_000):
            assert sum(rule.low <= bucket / 100 <= rule.high for rule in split) == 1


def test_hero_is_split_as_configured(shop: RuleSet) -> None:
    counts: Counter[str] = Counter()
    activity = shop.mbox("hero").rules[0].activity_id
    for number in range(VISITORS):
        place = allocation("acme", activity, f"visitor-{number:05d}")
        counts.update(
            rule.meta["experience.name"] for rule in shop.mbox("hero").rules if rule.low <= place <= rule.high
        )

    # Four standard deviations of a count of 10,000: 2.0, 1.8 and 1.6 %.
    assert counts["Everyday"] == pytest.approx(5_000, abs=200)
    assert counts["Autumn sale"] == pytest.approx(3_000, abs=184)
    assert counts["Free delivery"] == pytest.approx(2_000, abs=160)


@pytest.mark.parametrize(
    ("context", "beginning"),
    [
        ({"geo": {"countryCode": "US"}, "userAgent": SAFARI}, "<p>Free delivery in the United States"),
        ({"geo": {"countryCode": "ch"}}, "<p>Kostenlose Lieferung"),
        ({"geo": {"countryCode": "JP"}, "userAgent": SAFARI}, "<p>Pay with one touch"),
        ({"userAgent": IPHONE}, "<p>Pay with one touch"),
        ({"geo": {"countryCode": "JP"}, "userAgent": FIREFOX}, "<p>Delivered in"),
        ({}, "<p>Delivered in"),
    ],
    ids=[
        "country",
        "country in small letters",
        "browser",
        "mobile browser",
        "another browser",
        "nothing known",
    ],
)
def test_delivery_note_depends_on_country_and_browser(shop: RuleSet, context: Any, beginning: str) -> None:
    (content,) = offers(shop, "delivery-note", context=context)

    assert content.startswith(beginning)


@pytest.mark.parametrize(
    ("now_ms", "content"),
    [
        (1_795_618_800_000, "Black Friday week: every deal ends on Sunday"),  # Wed 2026-11-25 15:00 UTC
        (1_796_414_400_000, "Friday evening: 10 % off until midnight (UTC)"),  # Fri 2026-12-04 20:00 UTC
        (1_796_389_200_000, "Gift cards from $25"),  # Fri 2026-12-04 13:00 UTC
    ],
    ids=["in the week", "on a Friday evening", "at noon"],
)
def test_promotion_depends_on_the_clock(shop: RuleSet, now_ms: int, content: str) -> None:
    assert offers(shop, "promo", now_ms=now_ms) == [f"<aside>{content}</aside>"]


def test_greeting_fills_in_its_macros(shop: RuleSet) -> None:
    parameters = {"member.tier": "Silver", "user": "Ada", "points": 120}

    assert offers(shop, "greeting", parameters=parameters) == [
        "<p>Welcome back, Ada. 120 points are waiting for you.</p>"
    ]


def test_hero_names_its_activity_and_experience(shop: RuleSet) -> None:
    (content,) = offers(shop, "hero")

    assert 'data-activity="Hero: autumn sale" data-experience="Free delivery"' in content


def test_app_banner_is_for_one_property(shop: RuleSet) -> None:
    context = {"userAgent": IPHONE}

    assert offers(shop, "app-banner", context=context) == []
    assert offers(shop, "app-banner", context=context, property={"token": PROPERTY}) == [
        '<a href="https://acme.example/app/ios">Get the app for iOS</a>'
    ]


def test_page_load_changes_the_page_of_half_of_the_visitors(shop: RuleSet) -> None:
    kinds = Counter()
    for number in range(200):
        wire = {
            "id": {"tntId": f"visitor-{number:05d}"},
            "context": {"channel": "web", "address": {"url": "https://acme.example/"}},
            "execute": {"pageLoad": {}},
        }
        response = decision_of(shop, DeliveryRequest.from_dict(wire)).response
        assert response.execute is not None
        assert response.execute.page_load is not None
        kinds[tuple(option.type for option in response.execute.page_load.options or ())] += 1

    assert set(kinds) == {(), ("actions", "actions")}
    assert kinds[()] == pytest.approx(100, abs=30)
