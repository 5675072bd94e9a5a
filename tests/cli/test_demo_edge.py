from __future__ import annotations

import pytest

from targetry.cli.demo_edge import Outcome, shop_over_http

VISITORS = 100


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return shop_over_http(VISITORS)


def test_every_method_gives_a_visitor_the_same_experience(outcome: Outcome) -> None:
    assert outcome.agreed == outcome.visitors == VISITORS


def test_every_visitor_is_counted_once_and_has_an_impression_by_each_method(outcome: Outcome) -> None:
    assert sum(visitors for visitors, _, _ in outcome.counts.values()) == VISITORS
    assert all(impressions == 3 * visitors for visitors, impressions, _ in outcome.counts.values())


def test_the_clicks_are_counted_for_the_experience_that_was_shown(outcome: Outcome) -> None:
    assert list(outcome.counts) == ["Everyday", "Autumn sale", "Free delivery"]
    assert all(0 < clicks < visitors for visitors, _, clicks in outcome.counts.values())
