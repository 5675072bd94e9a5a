from __future__ import annotations

import pytest

from targetry.cli.demo_edge import EdgeCounts, run_shop_over_http

VISITORS = 100


@pytest.fixture(scope="module")
def outcome() -> EdgeCounts:
    return run_shop_over_http(VISITORS)


def test_all_methods_agree_on_the_experience(outcome: EdgeCounts) -> None:
    assert outcome.agreed == outcome.visitors == VISITORS


def test_visitor_is_counted_once_with_an_impression_of_each_method(outcome: EdgeCounts) -> None:
    assert sum(visitors for visitors, _, _ in outcome.counts.values()) == VISITORS
    assert all(impressions == 3 * visitors for visitors, impressions, _ in outcome.counts.values())


def test_clicks_count_for_the_shown_experience(outcome: EdgeCounts) -> None:
    assert list(outcome.counts) == ["Everyday", "Autumn sale", "Free delivery"]
    assert all(0 < clicks < visitors for visitors, _, clicks in outcome.counts.values())
