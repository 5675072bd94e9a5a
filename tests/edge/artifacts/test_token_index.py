"""Attribution of event tokens that several rules share."""

from __future__ import annotations

import pytest

from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.edge.artifacts import token_index
from targetry.edge.artifacts.token_index import UNKNOWN, Attribution, TokenIndex
from targetry.samples import shop

VISITORS = [f"visitor-{number}" for number in range(2_000)]
TOKEN = "shared"


def rules_with_windows(*windows: tuple[str, float, float]) -> RuleSet:
    """Return rules that share a click token: an experience with the window of its percentages."""
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    metrics = [{"type": "click", "eventToken": TOKEN}]
    document["rules"] = {
        "mboxes": {
            "hero": [
                {
                    **rule,
                    "meta": {**rule["meta"], "experience.id": experience},
                    "condition": {"<": [low, {"var": "allocation"}, high]},
                    "consequence": {**rule["consequence"], "metrics": metrics},
                }
                for experience, low, high in windows
            ]
        },
        "views": {},
    }
    return compile_artifact(document)


def test_shared_token_belongs_to_the_experience_of_each_window() -> None:
    index = TokenIndex(
        rules_with_windows(
            ("0", -1, 20.005), ("1", 20.005, 45.005), ("0", 45.005, 65.005), ("1", 65.005, 100)
        )
    )
    for visitor in VISITORS:
        bucket = allocation("acme", "482910", visitor)
        expected = "0" if bucket < 20.005 or 45.005 < bucket < 65.005 else "1"
        assert index.find(TOKEN, "acme", visitor) == Attribution("482910", expected)


def test_token_of_one_experience_belongs_to_it_outside_of_its_windows() -> None:
    index = TokenIndex(rules_with_windows(("0", -1, 10), ("0", 20, 30)))
    assert {index.find(TOKEN, "acme", visitor) for visitor in VISITORS} == {Attribution("482910", "0")}


def test_visitor_outside_of_all_windows_keeps_the_activity() -> None:
    index = TokenIndex(rules_with_windows(("0", -1, 10), ("1", 20, 30)))
    outside = next(one for one in VISITORS if allocation("acme", "482910", one) > 30)
    assert index.find(TOKEN, "acme", outside) == Attribution("482910", "")


def test_token_of_an_earlier_artifact_keeps_its_attribution() -> None:
    first = TokenIndex(rules_with_windows(("0", -1, 10), ("1", 10, 100)))
    empty = compile_artifact({**shop(), "rules": {"mboxes": {}, "views": {}}})
    third = TokenIndex(empty, TokenIndex(empty, first))
    assert {third.find(TOKEN, "acme", one) for one in VISITORS} == {
        first.find(TOKEN, "acme", one) for one in VISITORS
    }


def test_token_of_several_artifacts_has_the_attribution_of_the_latest() -> None:
    first = TokenIndex(rules_with_windows(("0", -1, 100)))
    second = TokenIndex(rules_with_windows(("1", -1, 100)), first)
    assert second.find(TOKEN, "acme", "v") == Attribution("482910", "1")


def test_tokens_of_earlier_artifacts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that the latest ones are kept."""
    monkeypatch.setattr(token_index, "_MOST_EARLIER", 1)
    empty = compile_artifact({**shop(), "rules": {"mboxes": {}, "views": {}}})
    old = TokenIndex(compile_artifact(shop()))
    kept = TokenIndex(empty, TokenIndex(rules_with_windows(("0", -1, 100)), old))
    assert len(kept) == 1


@pytest.mark.parametrize("token", ["", "other"])
def test_unknown_token_has_no_attribution(token: str) -> None:
    assert TokenIndex(rules_with_windows(("0", -1, 10))).find(token, "acme", "v") is UNKNOWN
