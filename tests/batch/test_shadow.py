"""Comparison of logged responses with decisions on device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.cases import each_case
from support.cli import run, write_artifact
from support.device import CLIENT, NOW_MS, artifact, rule, window
from targetry.batch import shadow
from targetry.errors import OptionError

GOLD = {"==": [{"var": "mbox.plan"}, "gold"]}
DOCUMENT = artifact(
    {
        "hero": [rule(1, GOLD, content="gold"), rule(1, experience=1, content="other")],
        "quiet": [rule(2, GOLD)],
        "split": [rule(3, window(0, 99.5))],
        "thin": [rule(4, window(0, 1))],
        "far": [],
    },
    remoteMboxes=["far"],
)


def line(name: str = "hero", option: Any = None, plan: str = "gold", **more: Any) -> str:
    details = {"index": 0, "name": name, "parameters": {"plan": plan}}
    options = [] if option is None else [option]
    return json.dumps(
        {
            "time": NOW_MS,
            "request": {"id": {"tntId": "t"}, "execute": {"mboxes": [details]}},
            "response": {"execute": {"mboxes": [{"index": 0, "name": name, "options": options}]}},
            **more,
        }
    )


def tokens(activity: int, experience: int) -> dict[str, Any]:
    return {
        "type": "html",
        "content": "from the server",
        "responseTokens": {"activity.id": activity, "experience.id": experience},
    }


CASES: dict[str, tuple[str, str]] = {
    "same by response tokens": (line(option=tokens(1, 0)), "agreed"),
    "other by response tokens": (line(option=tokens(1, 1)), "other_experience"),
    "same by content": (line(option={"type": "html", "content": "other"}, plan="x"), "agreed"),
    "same by event token": (
        line("quiet", {"type": "html", "content": "?", "eventToken": "token-2"}),
        "agreed",
    ),
    "unknown content": (line(option={"type": "html", "content": "new"}), "unknown"),
    "only the server": (line("quiet", tokens(2, 0), plan="x"), "only_server"),
    "only the device": (line("quiet"), "only_device"),
    "nothing on both sides": (line("quiet", plan="x"), "agreed"),
    "default content": (line("quiet", {}, plan="x"), "agreed"),
    "decided by the server only": (line("far", tokens(9, 0)), "remote"),
    "time as text": (line(option=tokens(1, 0), time="2026-11-27T18:00:00Z"), "agreed"),
}


@each_case("text, outcome", CASES.values(), ids=CASES)
def test_answer_has_its_outcome(text: str, outcome: str) -> None:
    found = shadow([text], DOCUMENT, client=CLIENT)
    assert found.errors == []
    (location,) = found.locations
    assert getattr(location, outcome) == 1


REASONS: dict[str, tuple[str, str]] = {
    "audience": (
        line(option=tokens(1, 0), plan="x"),
        'rule 0: its condition does not hold: mbox.plan is "x"',
    ),
    "earlier rule": (line(option=tokens(1, 1)), "rule 0 decides before rule 1"),
    "split": (line("thin", tokens(4, 0)), "rule 0: the allocation 30.74 is not in 0 to 1"),
    "unknown activity": (line(option=tokens(9, 0)), "the artifact has no rule of activity 9 here"),
    "unknown experience": (
        line(option=tokens(1, 7)),
        "the artifact has no rule of experience 7 of activity 1 here",
    ),
    "only the device": (line("quiet"), "rule 0 matches on device"),
}


@each_case("text, expected", REASONS.values(), ids=REASONS)
def test_difference_has_its_reason(text: str, expected: str) -> None:
    (difference,) = shadow([text, text], DOCUMENT, client=CLIENT).differences
    assert difference.reasons == [expected]


def test_reason_of_a_page_load_is_that_of_the_missing_activity() -> None:
    document = artifact({"target-global-mbox": [rule(1), rule(2, GOLD)]})
    request = {"id": {"tntId": "t"}, "execute": {"mboxes": [{"index": 0, "name": "x"}], "pageLoad": {}}}
    response = {"execute": {"pageLoad": {"options": [tokens(2, 0), tokens(1, 0)]}}}
    text = json.dumps({"time": NOW_MS, "request": request, "response": response})
    (difference,) = shadow([text], document, client=CLIENT).differences
    assert difference.reasons == ["rule 1: its condition does not hold: mbox.plan is absent"]


def test_split_of_hashed_ids_is_unknown() -> None:
    texts = [line("split", tokens(3, 0)), line("split", tokens(3, 0), hashed=True)]
    (location,) = shadow(texts, DOCUMENT, client=CLIENT).locations
    assert (location.agreed + location.other_experience, location.unknown) == (1, 1)


def test_page_load_is_compared_by_all_its_activities() -> None:
    document = artifact({"target-global-mbox": [rule(1), rule(2)]})
    request = {"id": {"tntId": "t"}, "execute": {"pageLoad": {}}}

    def logged(*options: Any) -> str:
        response = {"execute": {"pageLoad": {"options": list(options)}}}
        return json.dumps({"time": NOW_MS, "request": request, "response": response})

    texts = [logged(tokens(2, 0), tokens(1, 0)), logged(tokens(1, 0))]
    (location,) = shadow(texts, document, client=CLIENT).locations
    assert (location.agreed, location.other_experience) == (1, 1)


def test_visitor_whose_id_the_server_made_is_that_visitor() -> None:
    made = json.loads(line(option=tokens(1, 0)))
    del made["request"]["id"]
    made["response"]["id"] = {"tntId": "made.28_0"}
    assert shadow([json.dumps(made)], DOCUMENT, client=CLIENT).agreed_share == 100


def test_damaged_lines_are_counted() -> None:
    texts = ["{", "[]", "", line(time="never"), line(option=tokens(1, 0))]
    found = shadow(texts, DOCUMENT, client=CLIENT)
    assert (found.lines, found.lines_with_error, len(found.errors)) == (4, 3, 3)
    assert found.errors[0].startswith("line 1: ")


def test_differences_without_examples_have_their_counts() -> None:
    found = shadow([line(option=tokens(1, 1))] * 2, DOCUMENT, client=CLIENT, examples=0)
    (difference,) = found.differences
    assert (difference.lines, difference.examples, difference.reasons) == (2, [], [])


def test_progress_has_the_number_of_lines(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_bytes(b"damaged\n" * 120)
    seen: list[tuple[int, int | None]] = []
    shadow(log, DOCUMENT, client="acme", progress=lambda *counts: seen.append(counts))
    assert seen == [(50, 120), (100, 120)]


def test_missing_file_is_an_error() -> None:
    with pytest.raises(OptionError, match="log"):
        shadow("nope.jsonl", DOCUMENT, client=CLIENT)


def test_command_exits_with_two_below_the_wanted_share(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([line(option=tokens(1, 0)), line(option=tokens(1, 1))]))
    base = ["shadow", log, "-a", write_artifact(tmp_path, DOCUMENT)]
    assert run(*base).exit_code == 0
    assert run(*base, "--at-least", "50%").exit_code == 0
    assert run(*base, "--at-least", "51%").exit_code == 2
    assert run(*base, "--at-least", "x").exit_code == 1
    printed = run(*base, width=160).stdout
    assert "Differences" in printed
    assert "rule 0 decides before rule 1" in printed


@pytest.mark.parametrize("text", ["", "{"], ids=["empty", "damaged"])
def test_command_takes_a_log_without_requests_as_an_error(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    done = run("shadow", log, "-a", write_artifact(tmp_path, DOCUMENT))
    assert (done.exit_code, "has no request that can be compared" in done.stderr) == (1, True)
