"""Proofs about conditions hold for every request that the engine is asked about."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.activities.expressions import parse_expression
from targetry.activities.expressions.solver import Proposition, always_holds, never_holds
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import facts_of_values
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.logic.user_agent import UserAgentInfo


def parse(text: str) -> Any:
    return parse_expression(text, {})


NEVER = [
    "False",
    "not 1",
    "[]",
    'geo.country == "US" and geo.country == "CA"',
    'geo.country in ["US", "CA"] and geo.country == "DE"',
    'geo.country in ["US", "CA"] and not (geo.country == "US" or "CA" == geo.country)',
    'geo.country == "US" and not contains(geo.country, "U")',
    'platform == "mac" and starts_with(platform, "win")',
    'mbox.x == "a" and mbox.x == "b"',
    "mbox.x == 1 and mbox.x == 2",
    'mbox.x == "a" and not mbox.x == "a"',
    "mbox.x and not mbox.x",
    "contains(url, mbox.x) and not contains(url, mbox.x)",
    "mbox.x > 5 and mbox.x < 5",
    "mbox.x > 5 and not mbox.x > 3",
    "5 < mbox.x <= 5",
    "mbox.x == 5 and not mbox.x < 7",
    "mbox.x == None and mbox.x == 0",
    'user.browserType == "crome"',
    'user.locale == "de"',
    "current_day == 8",
    "current_day > 5 and current_day in [1, 2, 3]",
    'current_time >= "0900" and current_time < "0900"',
    'current_time > "2359"',
    'current_timestamp >= at("2026-02-01T00:00:00Z") and current_timestamp < at("2026-01-01T00:00:00Z")',
    "user.browserVersion < 5 and not user.browserVersion < 7",
    "allocation > 100",
    'user.browserVersion == "new"',
    "mbox.x in []",
    '(mbox.x if geo.country == "US" else mbox.y) and geo.country == "US" and not mbox.x',
]
ALWAYS = [
    "True",
    '"text"',
    "mbox.x or not mbox.x",
    "allocation <= 100",
    'user.locale == "en"',
    "current_day >= 1",
    "user.browserVersion < 7 or user.browserVersion >= 7",
    'user.browserType != "crome"',
    "not (mbox.x == 1 and mbox.x == 2)",
]
UNKNOWN = [
    "mbox.x",
    'mbox.x == "1" and mbox.x == "1.0"',
    'mbox.x == "1" and mbox.x == 1',
    "mbox.x == 0 and not mbox.x < 1",
    "mbox.x < 7 or mbox.x >= 7",
    "geo.latitude < 7 or geo.latitude >= 7",
    'mbox.x == "a" and mbox.x not in ["a"]',
    'platform == "ipados"',
    'geo.country == "us"',
    "mbox.x == True and mbox.x == 1",
    "mbox.x == mbox.y and mbox.x != mbox.y or mbox.z",
]


@each_case("text", NEVER, ids=NEVER)
def test_condition_without_a_request_never_holds(text: str) -> None:
    assert never_holds(parse(text))
    assert always_holds({"!": [parse(text)]})
    assert not always_holds(parse(text))


@each_case("text", ALWAYS, ids=ALWAYS)
def test_condition_of_every_request_always_holds(text: str) -> None:
    assert always_holds(parse(text))
    assert not never_holds(parse(text))


@each_case("text", UNKNOWN, ids=UNKNOWN)
def test_nothing_is_proved_without_a_reason(text: str) -> None:
    assert not never_holds(parse(text))
    assert not always_holds(parse(text))


def test_relations_of_two_conditions_are_proved() -> None:
    us = Proposition(parse('geo.country == "US"'))
    north = Proposition(parse('geo.country in ["US", "CA"]'))
    assert us.implies(north)
    assert not north.implies(us)
    assert us.excludes(Proposition(parse('geo.country == "DE"')))
    assert not us.excludes(north)
    assert not us.excludes(Proposition(parse('mbox.x == "US"')))


def test_long_lists_of_values_are_one_term() -> None:
    countries = " or ".join(f'geo.country == "C{number}"' for number in range(80))
    regions = " or ".join(f'geo.region == "R{number}"' for number in range(80))
    assert never_holds(parse(f'({countries}) and ({regions}) and geo.country == "C80"'))


def test_too_many_terms_prove_nothing() -> None:
    parts = " and ".join(f"(mbox.a{number} or mbox.b{number})" for number in range(12))
    assert not never_holds(parse(f"{parts} and mbox.x and not mbox.x or mbox.y and not mbox.y and ({parts})"))


PATHS = [
    "mbox.x",
    "mbox.y",
    "geo.country",
    "geo.latitude",
    "user.browserVersion",
    "user.platform",
    "current_day",
]
LITERALS: list[Any] = [
    "a",
    "1",
    "1.0",
    "",
    "true",
    0,
    1,
    1.0,
    2,
    -1,
    True,
    False,
    None,
    "US",
    "us",
    [],
    ["a"],
]
VALUES: list[Any] = [*LITERALS, UNDEFINED, ["1"], [1], {}, [[]], float("inf"), "2", " 1 "]
variables = st.sampled_from(PATHS).map(lambda path: {"var": path})
literals = st.sampled_from(LITERALS)


def swapped(name: str, variable: Any, literal: Any, swap: bool) -> Any:
    return {name: [literal, variable] if swap else [variable, literal]}


atoms = st.one_of(
    st.builds(
        swapped,
        st.sampled_from(["==", "!=", "===", "!==", "<", "<=", ">", ">="]),
        variables,
        literals,
        st.booleans(),
    ),
    st.builds(
        lambda name, low, x, high: {name: [low, x, high]},
        st.sampled_from(["<", "<="]),
        literals,
        variables,
        literals,
    ),
    st.builds(lambda x, items: {"in": [x, items]}, variables, st.lists(literals, max_size=3)),
    st.builds(lambda part, x: {"in": [part, x]}, literals, variables),
    st.builds(lambda x, y: {"==": [x, y]}, variables, variables),
    variables,
    literals,
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts}, st.sampled_from(["and", "or"]), st.lists(inner, max_size=3)
        ),
        inner.map(lambda part: {"!": part}),
        inner.map(lambda part: {"!!": [part]}),
        st.builds(lambda parts: {"if": parts}, st.lists(inner, max_size=5)),
    ),
    max_leaves=6,
)
RANDOM = random.Random(15)
REQUESTS = [
    {
        "x": RANDOM.choice(VALUES),
        "y": RANDOM.choice(VALUES),
        "country": RANDOM.choice(["US", "A", "1", "", UNDEFINED]),
        "latitude": RANDOM.choice([0.0, 1.0, -1.0, 1.5, UNDEFINED]),
        "version": RANDOM.choice([-1, 0, 1, 2]),
        "platform": RANDOM.choice(["a", "1", "mac", "US"]),
        "day": RANDOM.randrange(7),
    }
    for _ in range(150)
]


def outcomes(condition: Any) -> list[bool]:
    evaluate: Callable[..., Any] = compile_logic(condition).evaluate
    return [bool(evaluate(facts_of(request), 12.5)) for request in REQUESTS]


def facts_of(request: dict[str, Any]) -> Any:
    given_values = {name: value for name, value in request.items() if value is not UNDEFINED}
    geo = {name: given_values[name] for name in ("country", "latitude") if name in given_values}
    mbox = {name: given_values[name] for name in ("x", "y") if name in given_values}
    user = UserAgentInfo("chrome", request["version"], request["platform"])
    return facts_of_values(request["day"] * 86_400_000, {"geo": geo, "user": user}, {"mbox": mbox})


@settings(max_examples=examples(400))
@given(conditions, conditions)
def test_no_request_refutes_a_proof(first: Any, second: Any) -> None:
    one, other = outcomes(first), outcomes(second)
    assert not (never_holds(first) and any(one))
    assert not (always_holds(first) and not all(one))
    left, right = Proposition(first), Proposition(second)
    pairs = set(zip(one, other, strict=True))
    assert not (left.excludes(right) and (True, True) in pairs)
    assert not (left.implies(right) and (True, False) in pairs)
