"""Facts that rules read about a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import CLIENT, NOW_MS, SAFARI, facts
from targetry.device.logic.allocation import allocation
from targetry.device.logic.facts import (
    Facts,
    RequestFacts,
    RuleFailure,
    bucketing_id,
    geo_facts,
    parameter_facts,
)
from targetry.device.logic.operators import EvaluationError
from targetry.models import Address, ClientHints, Context, CustomerId, Geo, MboxRequest, VisitorId

PARTS = {"url", "path", "query", "fragment", "domain", "subdomain", "topLevelDomain"}
URL = "http://www.foo.co.uk/A/b?x=Y#Z"


def of(context: Context, details: MboxRequest | None = None) -> dict[str, Any]:
    return Facts(
        RequestFacts(context, "visitor", CLIENT, NOW_MS), details or MboxRequest(name="hero"), "hero"
    ).as_dict(1.5)


def test_rule_context_is_complete() -> None:
    context = Context(
        channel="web",
        user_agent=SAFARI,
        address=Address(url=URL),
        geo=Geo(
            country_code="us",
            state_code="ca",
            city="San Francisco",
            latitude=37.75,
            longitude=-122.4,
            zip="94100",
        ),
    )
    empty = dict.fromkeys(PARTS | {f"{part}_lc" for part in PARTS}, "")
    page = {"url": URL, "path": "/A/b", "query": "x=Y", "fragment": "Z"}
    host = {"domain": "foo.co.uk", "subdomain": "", "topLevelDomain": "co.uk"}
    page |= host
    assert of(context, MboxRequest(name="hero", parameters={"A": "Foo", "a.b": "Bar", "n": 1})) == {
        "current_timestamp": 1582790460000,
        "current_time": "0801",
        "current_day": 4,
        "user": {"browserType": "safari", "platform": "mac", "locale": "en", "browserVersion": 13},
        "page": page | {f"{part}_lc": value.lower() for part, value in page.items()},
        "referring": empty,
        "geo": {
            "country": "US",
            "region": "CA",
            "city": "SAN FRANCISCO",
            "latitude": 37.75,
            "longitude": -122.4,
        },
        "mbox": {"A": "Foo", "A_lc": "foo", "n": 1, "a": {"b": "Bar", "b_lc": "bar"}},
        "allocation": 1.5,
    }


def test_empty_context_has_empty_facts() -> None:
    context = of(Context())
    assert context["geo"] == {}
    assert context["mbox"] == {}
    assert set(context["page"].values()) == set(context["referring"].values()) == {""}
    assert context["user"] == {
        "browserType": "unknown",
        "platform": "unknown",
        "locale": "en",
        "browserVersion": -1,
    }


def test_allocation_is_in_the_context_only_if_known() -> None:
    assert "allocation" not in facts().as_dict(None)
    assert facts().as_dict(0.0)["allocation"] == 0.0


CLOCKS = [
    (0, "0000", 4),  # Thursday
    (59_999, "0000", 4),
    (60_000, "0001", 4),
    (86_399_999, "2359", 4),
    (86_400_000, "0000", 5),
    (4 * 86_400_000, "0000", 1),
    (3 * 86_400_000 + 3_600_000, "0100", 7),
    (1_582_934_400_000, "0000", 6),  # 2020-02-29
    (-1, "2359", 3),
]


@each_case("now_ms, time, day", CLOCKS)
def test_time_and_day_are_of_the_clock_in_utc(now_ms: int, time: str, day: int) -> None:
    context = facts(now_ms=now_ms).as_dict(None)
    assert (context["current_timestamp"], context["current_time"], context["current_day"]) == (
        now_ms,
        time,
        day,
    )


@given(st.integers(0, 2**43))
def test_time_and_day_agree_with_the_calendar(now_ms: int) -> None:
    context = facts(now_ms=now_ms).as_dict(None)
    when = datetime.fromtimestamp(now_ms // 1000, UTC)
    assert context["current_time"] == when.strftime("%H%M")
    assert context["current_day"] == when.isoweekday()


HINTS = ClientHints(platform="Windows", browser_ua_with_full_version='"Microsoft Edge";v="117.0.1"')


@each_case(
    "context, user",
    [
        (Context(user_agent=SAFARI), ("safari", "mac", 13)),
        (Context(user_agent=SAFARI, client_hints=ClientHints()), ("safari", "mac", 13)),
        (Context(user_agent=SAFARI, client_hints=HINTS), ("edge", "windows", 117)),
        (Context(client_hints=HINTS), ("edge", "windows", 117)),
        (
            Context(
                user_agent=SAFARI, client_hints=ClientHints(browser_ua_with_major_version='"Chrome";v="9"')
            ),
            ("chrome", "mac", 9),
        ),
    ],
)
def test_browser_is_read_from_the_user_agent_and_its_hints(
    context: Context, user: tuple[str, str, int]
) -> None:
    facts_of_user = of(context)["user"]
    assert (facts_of_user["browserType"], facts_of_user["platform"], facts_of_user["browserVersion"]) == user


# ── addresses ───

HERE, BEFORE = "http://here.com/", "http://before.com/"
OWN, OWN_BEFORE = "http://own.com/", "http://own-before.com/"

ADDRESSES = [
    # of the context, of the location, page, referring
    (None, None, "", ""),
    (Address(url=HERE), None, HERE, ""),
    (Address(url=HERE, referring_url=BEFORE), None, HERE, BEFORE),
    (Address(url=HERE, referring_url=BEFORE), Address(url=OWN, referring_url=OWN_BEFORE), OWN, OWN_BEFORE),
    (Address(url=HERE, referring_url=BEFORE), Address(url=OWN), OWN, BEFORE),
    (Address(url=HERE, referring_url=BEFORE), Address(url=OWN, referring_url=""), OWN, ""),
    (Address(url=HERE, referring_url=BEFORE), Address(referring_url=OWN_BEFORE), "", OWN_BEFORE),
    (Address(url=HERE, referring_url=BEFORE), Address(), "", BEFORE),
    (None, Address(url=OWN), OWN, ""),
]


@each_case("of_context, own, page, referring", ADDRESSES)
def test_address_of_the_location_takes_precedence_over_the_context(
    of_context: Address | None, own: Address | None, page: str, referring: str
) -> None:
    context = of(Context(address=of_context), MboxRequest(name="hero", address=own))
    assert (context["page"]["url"], context["referring"]["url"]) == (page, referring)


# ── geo ───


@each_case(
    "geo, named",
    [
        (None, {}),
        (Geo(), {}),
        (Geo(ip_address="1.2.3.4", zip="1"), {}),
        (Geo(city="san francisco"), {"city": "SAN FRANCISCO"}),
        (Geo(city=""), {"city": ""}),
        (
            Geo(country_code="de", state_code="bayern", city="Würzburg"),
            {"country": "DE", "region": "BAYERN", "city": "WÜRZBURG"},
        ),
        (Geo(city="straße"), {"city": "STRASSE"}),
        (Geo(latitude=0.0, longitude=0), {"latitude": 0.0, "longitude": 0}),
    ],
)
def test_geo_facts_are_in_capitals_without_unknown_parts(geo: Geo | None, named: dict[str, Any]) -> None:
    assert geo_facts(geo) == named


# ── parameters ───

PARAMETERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"a": "X"}, {"a": "X", "a_lc": "x"}),
    ({"a": "x"}, {"a": "x", "a_lc": "x"}),
    ({"a": ""}, {"a": "", "a_lc": ""}),
    ({"a": 1, "b": 1.5, "c": True, "d": None}, {"a": 1, "b": 1.5, "c": True, "d": None}),
    (
        {"A": "Foo", "a.b": "Bar", "n": 1},
        {"A": "Foo", "A_lc": "foo", "n": 1, "a": {"b": "Bar", "b_lc": "bar"}},
    ),
    ({"a.b.c": "X", "a.b.d": 1}, {"a": {"b": {"c": "X", "c_lc": "x", "d": 1}}}),
    ({"a..b": "X"}, {"a..b": "X", "a..b_lc": "x"}),
    ({".a": "X"}, {".a": "X", ".a_lc": "x"}),
    ({"a.": "X"}, {"a.": "X", "a._lc": "x"}),
    ({".": "X"}, {".": "X", "._lc": "x"}),
    ({"a.b_lc": "X"}, {"a": {"b_lc": "X", "b_lc_lc": "x"}}),
    # a clash: nested wins, in either order
    ({"a": "X", "a.b": "Y"}, {"a": {"b": "Y", "b_lc": "y"}}),
    ({"a.b": "Y", "a": "X"}, {"a": {"b": "Y", "b_lc": "y"}}),
    ({"a.b": "X", "a.b.c": "Y"}, {"a": {"b": {"c": "Y", "c_lc": "y"}}}),
    ({"a.b.c": "Y", "a.b": "X"}, {"a": {"b": {"c": "Y", "c_lc": "y"}}}),
    ({"a.b.c.d": "Y", "a.b.c": "X"}, {"a": {"b": {"c": {"d": "Y", "d_lc": "y"}}}}),
    ({"İ": "İ"}, {"İ": "İ", "İ_lc": "i̇"}),
]


@each_case("parameters, named", PARAMETERS, ids=lambda value: ascii(value)[:40])
def test_parameters_are_nested_by_their_dots_and_have_lower_case_twins(
    parameters: dict[str, Any], named: dict[str, Any]
) -> None:
    before = dict(parameters)
    assert parameter_facts(parameters) == named
    assert parameters == before


def test_location_is_limited_to_200_000_steps() -> None:
    of = facts()
    of.spend(199_999)
    of.spend(1)
    with pytest.raises(EvaluationError):
        of.spend(1)


def test_name_may_have_thousands_of_dots() -> None:
    named: Any = parameter_facts({".".join("a" * 5000): "X"})
    for _ in range(4999):
        named = named["a"]
    assert named == {"a": "X", "a_lc": "x"}


names = st.text(st.sampled_from("ab._lcé"), min_size=1, max_size=6)
values = st.none() | st.booleans() | st.integers() | st.text(max_size=3)


@given(st.dictionaries(names, values, max_size=6))
@example({"a": "X", "a.b": "Y", "a.b.c": "Z"})
def test_every_parameter_is_found_at_its_dotted_path(
    parameters: dict[str, Any],
) -> None:
    named = parameter_facts(parameters)
    for name, value in parameters.items():
        dotted = "." in name and ".." not in name and name[0] != "." and name[-1] != "."
        path = name.split(".") if dotted else [name]
        longer = any(other.startswith(f"{name}.") for other in parameters)
        twins = {f"{other}_lc" for other in parameters}
        if longer or twins & {".".join(path[: i + 1]) for i in range(len(path))}:
            continue
        level: Any = named
        for step in path[:-1]:
            level = level[step]
        assert level[path[-1]] == value
        if isinstance(value, str) and f"{name}_lc" not in parameters:
            assert level[f"{path[-1]}_lc"] == value.lower()


@given(st.dictionaries(names, values, max_size=6))
def test_rule_context_is_a_copy(parameters: dict[str, Any]) -> None:
    of_mbox = facts(parameters, geo=Geo(city="Rome"))
    first, second = of_mbox.as_dict(1.0), of_mbox.as_dict(1.0)
    assert first == second
    spoil(first)
    assert of_mbox.as_dict(1.0) == second


def spoil(tree: dict[str, Any]) -> None:
    for value in list(tree.values()):
        if isinstance(value, dict):
            spoil(value)
    tree["spoilt"] = True


# ── the visitor ───

CRM = [CustomerId(id="crm", integration_code="x", authenticated_state="authenticated")]


@each_case(
    "visitor_id, visitor",
    [
        (None, ""),
        (VisitorId(), ""),
        (VisitorId(marketing_cloud_visitor_id="ecid", tnt_id="tnt", third_party_id="third"), "ecid"),
        (VisitorId(marketing_cloud_visitor_id="", tnt_id="tnt.28_0", third_party_id="third"), "tnt"),
        (VisitorId(tnt_id="tnt"), "tnt"),
        (VisitorId(tnt_id="a.b.c"), "a"),
        (VisitorId(tnt_id=".28_0", third_party_id="third"), "third"),
        (VisitorId(tnt_id="", third_party_id="third.with.dots"), "third.with.dots"),
        (VisitorId(customer_ids=CRM), ""),
    ],
)
def test_bucketing_id_is_ecid_then_tnt_id_then_third_party_id(
    visitor_id: VisitorId | None, visitor: str
) -> None:
    assert bucketing_id(visitor_id) == visitor


def test_allocation_is_that_of_the_formula() -> None:
    request = RequestFacts(Context(), "338e3c1e51f7416a8e1ccba4f81acea0.28_0", "someClientId", NOW_MS)
    given_ = {activity: request.allocation(activity) for activity in ("125873", "125871", "125880", "125873")}
    assert given_ == {"125873": 48.44, "125871": 87.67, "125880": 75.8}
    assert request.allocation("7") == allocation("someClientId", "7", request.visitor)


def test_work_is_limited_per_location_and_request() -> None:
    of_mbox = facts()
    of_mbox.spend(1000)
    with pytest.raises(EvaluationError, match="more work"):
        of_mbox.spend(10**9)
    with pytest.raises(EvaluationError):
        of_mbox.spend(1)
    facts().spend(1000)


# ── work and failures ───


def test_location_may_take_200000_steps() -> None:
    first = facts()
    first.spend(150_000)
    first.spend(50_000)
    with pytest.raises(EvaluationError, match="more work than a decision may cost"):
        first.spend(1)


def test_locations_of_a_request_may_take_a_million_steps_together() -> None:
    request = facts().request
    for _ in range(5):
        Facts(request, MboxRequest(), "hero").spend(200_000)
    with pytest.raises(EvaluationError):
        Facts(request, MboxRequest(), "hero").spend(1)
    facts().spend(1)


def test_reason_of_a_failure_has_no_text_of_another_library() -> None:
    assert RuleFailure("1", EvaluationError("too much")).reason == "too much"
    assert RuleFailure("1", ValueError("could not convert 'secret'")).reason == "ValueError"
