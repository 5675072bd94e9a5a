"""The builder gives the conditions of the same text in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from support.cases import each_case
from targetry.activities.expressions import parse_expression
from targetry.activities.expressions.builder import (
    Audience,
    current_day,
    current_timestamp,
    expression,
    geo,
    mbox,
    page,
    referring,
    user,
)
from targetry.activities.expressions.forms import GROUPS

us = geo.country == "US"
CASES: dict[str, Audience] = {
    'geo.country == "US"': us,
    "mbox.x != 1": mbox.x != 1,
    "user.browserVersion < 100": user.browserVersion < 100,
    "user.browserVersion <= 100.5": user.browserVersion <= 100.5,
    "mbox.x > mbox.y": mbox.x > mbox.y,
    "mbox.x >= None": mbox.x >= None,
    'mbox["odd-name"] == True': mbox["odd-name"] == True,  # noqa: E712
    'current_day in ["1", 2]': current_day.in_(["1", 2]),
    "1 <= mbox.x <= 5": mbox.x.between(1, 5),
    'contains(page.url_lc, "x")': page.url_lc.contains("x"),
    'starts_with(referring.path, "/a")': referring.path.starts_with("/a"),
    'ends_with(page.query, "é")': page.query.ends_with("é"),
    "bool(mbox.x)": mbox.x.is_set(),
    'current_timestamp >= at("2026-01-01T00:00:00Z")': current_timestamp >= datetime(2026, 1, 1, tzinfo=UTC),
    'geo.country == "US" and mbox.x == 1 and mbox.y == 2': us & (mbox.x == 1) & (mbox.y == 2),
    'geo.country == "US" and (mbox.x == 1 and mbox.y == 2)': us & ((mbox.x == 1) & (mbox.y == 2)),
    'geo.country == "US" and not mbox.x == 1 or True': us & ~(mbox.x == 1) | True,
    'contains(page.url, "a") or mbox.x == 1': expression('contains(page.url, "a")') | (mbox.x == 1),
}


@each_case("text, built", CASES.items(), ids=CASES)
def test_built_condition_is_that_of_the_text(text: str, built: Audience) -> None:
    assert repr(built.logic) == repr(parse_expression(text, {}))
    assert str(built) == text


@each_case(
    "use",
    [
        lambda: us and mbox.x,
        lambda: not us,
        lambda: 1 <= mbox.x <= 5,
        lambda: us in [mbox.x == 1],
        lambda: hash(us),
        lambda: mbox.x.in_("abc"),
        lambda: mbox.x == object(),
        lambda: us & mbox.x,
        lambda: us | "text",
    ],
)
def test_wrong_use_is_a_type_error(use: Any) -> None:
    with pytest.raises(TypeError):
        use()


@pytest.mark.parametrize(
    ("use", "cause"),
    [
        (lambda: page.url.starts_with(""), "not a text"),
        (lambda: page.url.ends_with("\U0001f600"), r"characters up to U\+FFFF"),
        (lambda: current_timestamp > datetime(2026, 1, 1), "has no offset"),  # noqa: DTZ001
    ],
)
def test_value_without_a_condition_is_a_value_error(use: Any, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        use()


def test_groups_have_the_facts_of_the_language() -> None:
    built = {"geo": geo, "page": page, "referring": referring, "user": user}
    assert {name: frozenset(vars(group)) for name, group in built.items()} == GROUPS


def test_misspelt_fact_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        geo.contry  # type: ignore[attr-defined]  # noqa: B018
