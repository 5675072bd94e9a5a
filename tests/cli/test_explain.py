from __future__ import annotations

from pathlib import Path

from support.cli import json_output, run, text_output, write_artifact
from support.device import NEVER, artifact, mboxes_of, rule


def test_tree_shows_the_matched_rule_and_why_others_did_not_match() -> None:
    text = text_output(
        "explain", "--mbox", "delivery-note", "--geo", "country=AT", "--tnt-id", "ada", "--time", "2026-12-04"
    )

    assert text == (
        "visitor ada\n"
        "client acme · Fri 2026-12-04 00:00 UTC · browser unknown · platform unknown · country AT\n"
        "\n"
        "mbox delivery-note (execute): Delivery note by country and browser › German-speaking Europe\n"
        "├── ✗ rule 0: Delivery note by country and browser › United States\n"
        "│   ├── its condition does not hold\n"
        "│   └── ✗ or\n"
        '│       ├── ✗ "UNITED STATES" == geo.country ("AT")\n'
        '│       └── ✗ "US" == geo.country ("AT")\n'
        "├── ✓ rule 1: Delivery note by country and browser › German-speaking Europe\n"
        "│   ├── matched: its condition holds\n"
        "│   └── ✓ or\n"
        '│       ├── ✗ "GERMANY" == geo.country ("AT")\n'
        '│       ├── ✗ "DE" == geo.country ("AT")\n'
        '│       ├── ✗ "AUSTRIA" == geo.country ("AT")\n'
        '│       ├── ✓ "AT" == geo.country ("AT")\n'
        '│       ├── ✗ "SWITZERLAND" == geo.country ("AT")\n'
        '│       └── ✗ "CH" == geo.country ("AT")\n'
        "└── rules 2 to 3: not reached\n"
    )


def test_allocation_is_shown_with_the_window() -> None:
    text = text_output("explain", "--mbox", "hero", "--tnt-id", "ada")

    assert "the allocation 96.93 is not in 0 to 50" in text
    assert "matched: the allocation 96.93 is in 80 to 100" in text


def test_milliseconds_are_shown_as_dates() -> None:
    text = text_output("explain", "--mbox", "promo", "--time", "2026-11-25", width=160)

    assert (
        "✓ Mon 2026-11-23 00:00 UTC <= current_timestamp (Wed 2026-11-25 00:00 UTC) <= Mon 2026-11-30 00:00 UTC"
        in text
    )


def test_rule_for_every_visitor_says_so() -> None:
    assert "matched: it is for every visitor" in text_output("explain", "--view", "confirmation")


def test_every_view_shows_where_its_rules_are() -> None:
    text = text_output("explain", "--view", "*", "--tnt-id", "ada")

    assert "every view (prefetch): Cart: delivery promise › " in text
    assert "rule 0: Confirmation: what comes next › Everybody" in text
    assert "confirmation rule 0" in text


def test_location_without_rules_is_reported() -> None:
    result = run("explain", "--mbox", "heroo")

    assert "mbox heroo (execute): no rules\n" in result.stdout
    assert result.stderr == "note: mbox 'heroo' is not in the artifact; did you mean 'hero'?\n"


def test_unusable_rule_shows_its_fault(tmp_path: Path) -> None:
    text = text_output(
        "explain", "-a", write_artifact(tmp_path, mboxes_of(rule(1, {"guess": 1}))), "--mbox", "hero"
    )

    assert "✗ rule 0: Activity 1 › Experience 0\n    └── unknown operator 'guess'\n" in text


def test_names_of_an_artifact_contain_no_terminal_commands(tmp_path: Path) -> None:
    made = rule()
    made["meta"]["activity.name"] = "\x1b[2J[red]"
    path = write_artifact(tmp_path, artifact({"he\x1bro": [made]}))

    text = text_output("explain", "-a", path, "--mbox", "he\x1bro")
    assert "\x1b" not in text
    assert "\\x1b[2J[red] › Experience 0" in text


def test_json_holds_the_values_of_the_tree() -> None:
    answer = json_output("explain", "--mbox", "greeting", "-p", "member.tier=Silver", "--tnt-id", "ada")

    (location,) = answer["locations"]
    gold, silver = location["rules"]
    assert (answer["visitor"], location["parameters"]) == ("ada", {"member.tier": "Silver"})
    assert (gold["verdict"], silver["verdict"]) == ("condition", "matched")
    assert silver["condition"] == {
        "operator": "==",
        "value": True,
        "operands": [
            {"value": "silver"},
            {"operator": "var", "name": "mbox.member.tier_lc", "value": "silver"},
        ],
    }


def test_omitted_rules_of_an_explanation_are_counted(tmp_path: Path) -> None:
    long_meta = {"activity.id": 1, "activity.name": "Long", "texts": ["x" * 1000] * 990}
    document = mboxes_of(*[rule(i, NEVER, meta=long_meta) for i in range(40)], rule(41))
    text = text_output("explain", "-a", write_artifact(tmp_path, document), "--mbox", "hero")

    assert text.count("✗ rule ") == 10
    assert "├── ✓ rule 40: Activity 41 › Experience 0\n" in text
    assert text.endswith("└── 30 more that did not match, left out\n")


def test_location_with_only_omitted_rules_has_rules(tmp_path: Path) -> None:
    long_meta = {"activity.id": 1, "texts": ["x" * 1000] * 990}
    document = mboxes_of(*[rule(i, NEVER, meta=long_meta) for i in range(12)])
    text = text_output(
        "explain", "-a", write_artifact(tmp_path, document), "--mbox", "hero", "--mbox", "hero"
    )

    assert text.endswith("mbox hero (execute): nothing matched\n└── 12 more that did not match, left out\n")


def test_condition_part_without_an_operator_shows_its_value(tmp_path: Path) -> None:
    condition = {"==": [{"+": [{"var": "mbox.n"}, 1]}, 4]}
    path = write_artifact(tmp_path, mboxes_of(rule(1, condition)))

    assert '    └── ✓ ==\n        ├── · mbox.n ("3") + 1 is 4\n        └── · 4\n' in text_output(
        "explain", "-a", path, "--mbox", "hero", "-p", "n=3"
    )


def test_loop_shows_its_logic_without_values(tmp_path: Path) -> None:
    condition = {"some": [[1, 2], {">": [{"var": ""}, 1]}]}
    text = text_output(
        "explain", "-a", write_artifact(tmp_path, mboxes_of(rule(1, condition))), "--mbox", "hero"
    )

    assert "✓ some\n        ├── · [1, 2]\n        └── · all data > 1\n" in text
