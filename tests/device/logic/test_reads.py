"""Facts that a condition reads."""

from __future__ import annotations

from typing import Any

from support.cases import each_case
from support.device import NOW_MS, mboxes_of, rule, window
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import facts_of_values
from targetry.device.logic.reads import paths_read
from targetry.device.logic.url import parse_url
from targetry.device.ruleset import compile_artifact

PLAN = {"var": "mbox.plan"}
READS: dict[str, tuple[Any, set[str] | None]] = {
    "constant": (True, set()),
    "parameter": ({"==": [PLAN, "gold"]}, {"mbox.plan"}),
    "several facts": (
        {"and": [{"==": [{"var": "geo.city"}, "X"]}, {"!": {"in": ["/a", {"var": "page.path_lc"}]}}]},
        {"geo.city", "page.path_lc"},
    ),
    "path in a list": ({"==": [{"var": ["mbox.plan"]}, 1]}, {"mbox.plan"}),
    "default of a path": (
        {"==": [{"var": ["mbox.plan", {"var": "geo.city"}]}, 1]},
        {"mbox.plan", "geo.city"},
    ),
    "allocation": ({"<": [{"var": "allocation"}, 5]}, {"allocation"}),
    "items of a loop": ({"some": [{"var": "mbox.list"}, {"==": [{"var": "geo.city"}, 1]}]}, {"mbox.list"}),
    "loop in a loop": ({"some": [[1], {"all": [{"var": "mbox.a"}, {"var": "mbox.b"}]}]}, set()),
    "start of a reduction": ({"reduce": [[1], {"var": "current"}, PLAN]}, {"mbox.plan"}),
    "computed path": ({"var": {"cat": ["mbox.", PLAN]}}, None),
    "whole context": ({"var": ""}, None),
    "all parameters": ({"var": "mbox"}, None),
    "unknown fact": ({"var": "profile.plan"}, None),
    "missing parameters": ({"missing": ["mbox.plan"]}, None),
    "some missing parameters": ({"missing_some": [1, ["mbox.plan"]]}, None),
    "member of a parameter": ({"var": "mbox.plan.name"}, {"mbox.plan.name"}),
    "computed default of a path": ({"var": ["mbox.plan", {"var": {"cat": ["mbox.", PLAN]}}]}, None),
    "literal object": ({"==": [PLAN, {"a": 1, "b": {"var": "geo.city"}}]}, {"mbox.plan"}),
}


@each_case("condition, expected", READS.values(), ids=READS)
def test_paths_of_a_condition_are_found(condition: Any, expected: set[str] | None) -> None:
    assert paths_read(condition) == expected


def test_audience_of_a_rule_is_its_condition_without_windows() -> None:
    conditions = [window(0, 50), {"and": [window(0, 50), {"==": [PLAN, 1]}, {"!": PLAN}]}, True]
    rules = compile_artifact(mboxes_of(*(rule(1, condition) for condition in conditions))).mbox("hero").rules
    assert [one.audience_tree for one in rules] == [True, {"and": [{"==": [PLAN, 1]}, {"!": PLAN}]}, True]


def test_condition_is_evaluated_with_given_values() -> None:
    condition = {"and": [{"==": [{"var": "page.path"}, "/a"]}, {"==": [{"var": "geo.city"}, "ULM"]}]}
    evaluate = compile_logic(condition).evaluate
    facts = facts_of_values(NOW_MS, {"geo": {"city": "ULM"}}, {"page": parse_url("https://x.example/a")})
    assert evaluate(facts, None)
    assert not evaluate(facts_of_values(NOW_MS, {}, {}), None)
