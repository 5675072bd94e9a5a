"""Rule sets: windows of the allocation, audiences, locations."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from support import logic_interpreter
from support.cases import each_case
from support.device import NEVER, artifact, contents, decision_of, facts, mboxes_of, request_for, rule, window
from targetry.device.logic.allocation import bucket
from targetry.device.logic.compiler import compile_logic
from targetry.device.ruleset import RuleSet, compile_artifact, split_window
from targetry.models import DeliveryRequest

ALLOCATION = {"var": "allocation"}


def admitted(condition: Any, allocation: float) -> bool:
    """Return whether the split condition holds for a visitor of every audience."""
    low_high, others = split_window(condition)
    of = facts()
    return low_high.low <= allocation <= low_high.high and all(
        compile_logic(part).evaluate(of, allocation) for part in others
    )


# ── windows ───

EDGES = [0, 0.0, 0.01, 12.5, 33.33, 33.34, 50, 66.67, 99.98, 99.99, 100]
WINDOWS: list[Any] = [
    *({operator: [edge, ALLOCATION]} for operator in ("<", "<=", ">", ">=") for edge in EDGES),
    *({operator: [ALLOCATION, edge]} for operator in ("<", "<=", ">", ">=") for edge in EDGES),
    *({"<=": [low, ALLOCATION, high]} for low, high in itertools.combinations(EDGES, 2)),
    *({"<": [low, ALLOCATION, high]} for low, high in itertools.combinations(EDGES, 2)),
    *(window(low, high) for low, high in itertools.combinations(EDGES, 2)),
    {"<=": [12.5, {"var": ["allocation"]}]},
    {">": [{"var": ["allocation"]}, 12.5]},
]


@each_case("condition", WINDOWS, ids=str)
def test_window_admits_the_allocations_of_its_condition(condition: Any) -> None:
    around = {round(edge * 100) + step for edge in EDGES for step in (-1, 0, 1)}
    for bucket_ in sorted(around & set(range(10_000))):
        allocation = bucket_ / 100
        expected = logic_interpreter.truthy(logic_interpreter.apply(condition, {"allocation": allocation}))
        assert admitted(condition, allocation) is expected, allocation


@each_case("condition", WINDOWS, ids=str)
def test_comparison_of_the_allocation_with_numbers_is_a_window(condition: Any) -> None:
    assert split_window(condition)[1] == []


bounds = st.one_of(
    st.floats(-5, 105),
    st.integers(-5, 105),
    st.integers(0, 10_000).map(lambda hundredths: hundredths / 100),
    st.sampled_from(
        [
            "50",
            "50.0",
            None,
            True,
            math.nan,
            math.inf,
            1e308,
            -1e308,
            10**400,
            [50],
            ALLOCATION,
            {"var": "mbox.n"},
        ]
    ),
)
allocations = st.sampled_from(
    [ALLOCATION, {"var": ["allocation"]}, {"var": ["allocation", 5]}, {"var": "mbox.n"}]
)
comparisons = st.builds(
    lambda operator, operands: {operator: operands},
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.permutations([1, 2, 3]).flatmap(lambda _: st.lists(bounds | allocations, min_size=1, max_size=4)),
)
conditions: st.SearchStrategy[Any] = st.recursive(
    comparisons | st.booleans() | st.sampled_from([0, "", None, [], {}, "x"]),
    lambda inner: (
        st.builds(lambda parts: {"and": parts}, st.lists(inner, max_size=3) | inner)
        | st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=2))
        | st.builds(lambda part: {"!": [part]}, inner)
    ),
    max_leaves=6,
)


@given(conditions, st.integers(0, 9999))
@example({"and": []}, 0)
@example({"and": [True, {"and": [{"<": [10, ALLOCATION]}, True]}]}, 1000)
@example({"and": {"<": [10, ALLOCATION]}}, 1001)
@example({"<=": [50, ALLOCATION, 20]}, 3000)
@example({">=": [50, ALLOCATION, 20]}, 3000)
@example({"<": [ALLOCATION, 50, 60]}, 3000)
def test_split_condition_holds_where_the_whole_holds(condition: Any, hundredths: int) -> None:
    allocation = hundredths / 100
    data = {"allocation": allocation, "mbox": {}}
    assert admitted(condition, allocation) is logic_interpreter.truthy(
        logic_interpreter.apply(condition, data)
    )


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(0, 9999))
def test_experiences_cover_all_visitors_without_overlap(first: int, second: int, at: int) -> None:
    low, high = sorted((first, second))
    windows = [window(a / 100, b / 100) for a, b in [(0, low), (low, high), (high, 10_000)]]
    assert [admitted(one, at / 100) for one in windows].count(True) == 1


def test_experience_follows_from_the_bucket() -> None:
    cuts = [0, 12.5, 33.33, 66.67, 100]
    rules = compile_artifact(
        mboxes_of(
            *(
                rule(77, window(low, high), content=str(low), experience=i)
                for i, (low, high) in enumerate(itertools.pairwise(cuts))
            )
        )
    )
    for number in range(300):
        request = request_for("hero", id={"tntId": f"v{number}.28_0"})
        at = bucket("acme", 77, f"v{number}") / 100
        expected = next(str(low) for low, high in itertools.pairwise(cuts) if at <= high)
        assert contents(decision_of(rules, request)) == [expected]


def visitor_at(*, low: float, high: float) -> str:
    """Return a visitor who is in activity 1 above `above`, and not above the other allocation."""
    return next(
        visitor
        for visitor in map(str, itertools.count())
        if low < bucket("acme", 1, visitor) / 100 <= high or (low == 0 == bucket("acme", 1, visitor))
    )


@each_case("low, high", [(0, 0.5), (0, 99.5), (0.5, 100), (99.5, 100)])
def test_split_near_an_end_of_the_scale_separates_visitors(low: float, high: float) -> None:
    rules = compile_artifact(mboxes_of(rule(1, window(low, high), content="few"), rule(1, content="all")))
    outside = (0, low) if low else (high, 100)
    for (above, to), expected in (((low, high), "few"), (outside, "all")):
        request = request_for("hero", id={"tntId": visitor_at(low=above, high=to)})
        assert contents(decision_of(rules, request)) == [expected]


def test_rule_keeps_the_condition_that_the_artifact_has() -> None:
    condition = {"and": [window(0, 50), {"==": [{"var": "mbox.a"}, "\u00e4"]}]}
    [compiled] = compile_artifact(mboxes_of(rule(1, condition))).mbox("hero").rules
    assert compiled.condition == condition


# ── the bucketing key ───


def halves(**more: Any) -> RuleSet:
    """Return rules of which the visitor `visitor` gets A of activity 1 and B of activity 2."""
    return compile_artifact(
        mboxes_of(rule(1, window(0, 50), content="A", **more), rule(1, window(50, 100), content="B", **more))
    )


def side(activity: Any) -> str:
    return "A" if bucket("acme", activity, "visitor") <= 5000 else "B"


ONE, OTHER = (next(n for n in range(1, 99) if side(n) == wanted) for wanted in "AB")


@each_case(
    "meta, activity_id, activity",
    [
        ({"activity.id": ONE}, OTHER, ONE),
        ({"activity.id": OTHER}, ONE, OTHER),
        ({"activity.id": str(ONE)}, OTHER, ONE),
        ({}, ONE, ONE),
        ({}, OTHER, OTHER),
        ({}, str(OTHER), OTHER),
    ],
)
def test_meta_names_the_activity_before_the_rule_does(meta: Any, activity_id: Any, activity: int) -> None:
    rules = halves(meta=meta, activityId=activity_id)
    assert contents(decision_of(rules, request_for("hero"))) == [side(activity)]


@each_case("meta", [{"activity.id": True}, {"activity.id": None}, {"activity.id": 1.5}, {"activity.id": ""}])
def test_split_activity_without_usable_id_is_unusable(meta: Any) -> None:
    rules = halves(meta=meta, activityId=None)
    assert len(rules.unusable) == 2
    assert "activity.id" in rules.unusable[0].reason


def test_activity_without_id_can_be_for_every_visitor() -> None:
    rules = compile_artifact(mboxes_of(rule(meta={}, activityId=None, ruleKey=None)))
    assert contents(decision_of(rules, request_for("hero"))) == ["hello"]


# ── locations ───


def test_first_rule_that_holds_wins() -> None:
    rules = mboxes_of(rule(1, NEVER, content="a"), rule(2, content="b"), rule(3, content="c"))
    assert contents(decision_of(rules, request_for("hero"))) == ["b"]


def with_token(*tokens: str) -> DeliveryRequest:
    return request_for("hero", property={"token": tokens[0]}) if tokens else request_for("hero")


@each_case(
    "token, given",
    [((), "anywhere"), (("one",), "one"), (("two",), "both"), (("three",), "anywhere")],
)
def test_rule_for_properties_is_only_for_them(token: tuple[str, ...], given: str) -> None:
    rules = mboxes_of(
        rule(1, content="one", propertyTokens=["one"]),
        rule(2, content="both", propertyTokens=["one", "two"]),
        rule(3, content="anywhere"),
        rule(4, content="late", propertyTokens=[]),
    )
    assert contents(decision_of(rules, with_token(*token))) == [given]


def test_rules_with_and_without_properties_keep_their_order() -> None:
    rules = mboxes_of(
        rule(1, content="anywhere", propertyTokens=[]),
        rule(2, content="one", propertyTokens=["one"]),
    )
    assert contents(decision_of(rules, with_token("one"))) == ["anywhere"]


# ── audiences are shared ───


# More than half of the work that a location is allowed: a second evaluation fails.
COSTLY = {"some": [[0] * 55, {"in": [1, [0] * 1000]}]}


def test_audience_of_an_activity_is_evaluated_once() -> None:
    split = [
        rule(1, {"and": [window(low, low + 10), COSTLY]}, content=str(low), experience=low)
        for low in range(0, 100, 10)
    ]
    rules = compile_artifact(mboxes_of(*split, rule(2, content="all")))
    decision = decision_of(rules, request_for("hero"))
    assert decision.failures == []
    assert contents(decision) == ["all"]


def test_common_audience_of_activities_is_evaluated_once() -> None:
    activities = [rule(n, COSTLY if n % 2 else {"==": [1, n + 1]}) for n in range(1, 20)]
    decision = decision_of(mboxes_of(*activities, rule(99, content="all")), request_for("hero"))
    assert decision.failures == []
    assert contents(decision) == ["all"]


def test_different_audiences_are_evaluated_separately() -> None:
    activities = [rule(n, {"and": [{"<": [0, n]}, COSTLY]}) for n in range(1, 4)]
    decision = decision_of(mboxes_of(*activities, rule(99, content="all")), request_for("hero"))
    assert decision.failures
    assert contents(decision) == ["all"]


def test_each_location_has_its_own_work_limit() -> None:
    document = artifact({f"m{n}": [rule(n, COSTLY), rule(n + 50, content=str(n))] for n in range(4)})
    decision = decision_of(document, request_for(*(f"m{n}" for n in range(4))))
    assert decision.failures == []
    assert contents(decision) == [str(n) for n in range(4)]


def test_audiences_that_differ_only_in_their_literals_are_different() -> None:
    rules = mboxes_of(
        rule(1, {"==": [{"var": "mbox.plan"}, "gold"]}, content="gold"),
        rule(2, {"==": [{"var": "mbox.plan"}, "silver"]}, content="silver"),
        rule(3, {"==": [{"var": "mbox.plan"}, 1]}, content="one"),
        rule(4, {"==": [{"var": "mbox.plan"}, True]}, content="true"),
    )
    for plan, content in [("gold", "gold"), ("silver", "silver"), ("1", "one"), ("", None)]:
        request = request_for(execute={"mboxes": [{"name": "hero", "parameters": {"plan": plan}}]})
        assert contents(decision_of(rules, request)) == ([content] if content else [])


def test_audience_is_evaluated_for_each_location() -> None:
    rules = compile_artifact(mboxes_of(rule(1, {"==": [{"var": "mbox.plan"}, "gold"]})))
    mboxes = [{"name": "hero", "parameters": {"plan": plan}} for plan in ("gold", "silver", "gold")]
    decision = decision_of(rules, request_for(execute={"mboxes": mboxes}))
    assert decision.response.execute is not None
    assert [bool(mbox.options) for mbox in decision.response.execute.mboxes or ()] == [True, False, True]


def test_equal_audiences_of_different_windows_do_not_mix() -> None:
    gold = {"==": [{"var": "mbox.plan"}, "gold"]}
    rules = compile_artifact(
        mboxes_of(
            rule(ONE, {"and": [window(50, 100), gold]}, content="B"),
            rule(ONE, {"and": [gold, window(0, 50)]}, content="A"),
            rule(OTHER, {"and": [gold, {"or": [{"<": [ALLOCATION, 50]}]}]}, content="other A"),
        )
    )
    request = request_for(execute={"mboxes": [{"name": "hero", "parameters": {"plan": "gold"}}]})
    assert contents(decision_of(rules, request)) == ["A"]


def test_revision_is_the_time_of_generation_else_a_digest() -> None:
    dated = {"version": "1.0.0", "meta": {"generatedAt": "2026-01-01T00:00:00Z"}, "rules": {}}
    assert compile_artifact(dated).revision == "2026-01-01T00:00:00Z"
    one, other = (compile_artifact({"version": version, "rules": {}}) for version in ("1.0.0", "1.0.1"))
    assert len(one.revision) == len(other.revision) == 12
    assert one.revision != other.revision


def test_copies_of_a_rule_set_are_independent() -> None:
    rules = compile_artifact(mboxes_of(rule(1)))
    copied = copy.copy(rules)
    copied.mboxes = {}
    assert "hero" in copy.copy(rules).mboxes
    assert copied.version == rules.version
