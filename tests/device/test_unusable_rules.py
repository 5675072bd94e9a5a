"""Summary of the rules that cannot be used."""

from __future__ import annotations

from support.device import mboxes_of, rule
from targetry.device.ruleset import compile_artifact
from targetry.device.unusable_rules import count_causes, describe_unusable_rules


def test_causes_are_counted_and_rare_ones_together() -> None:
    many = [rule(1, {"guess": 1})] * 3
    rare = [rule(1, {f"rare{number}": 1}) for number in range(25)]
    rules = compile_artifact(mboxes_of(*rare, *many, rule()))
    counts = count_causes(rules)
    assert next(iter(counts.items())) == ("unknown operator 'guess'", 3)
    assert len(counts) == 21
    assert counts["other causes"] == 6
    assert sum(counts.values()) == 28


def test_summary_names_the_most_frequent_causes() -> None:
    rules = compile_artifact(
        mboxes_of(*[rule(1, {"a": 1})] * 2, *[rule(1, {name: 1}) for name in "bcde"], rule())
    )
    assert describe_unusable_rules(rules) == (
        "6 of 7 rules are not used: rule 0 of mbox 'hero': unknown operator 'a' (and 1 more for that reason); "
        "rule 2 of mbox 'hero': unknown operator 'b'; rule 3 of mbox 'hero': unknown operator 'c'; 2 other causes"
    )

    few = compile_artifact(mboxes_of(rule(1, {"a": 1}), rule()))
    assert describe_unusable_rules(few) == (
        "1 of 2 rules are not used: rule 0 of mbox 'hero': unknown operator 'a'"
    )


def test_artifact_without_unusable_rules_has_no_causes() -> None:
    assert count_causes(compile_artifact(mboxes_of(rule()))) == {}
