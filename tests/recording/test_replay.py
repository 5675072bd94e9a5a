"""Replay of recorded requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import run, write_artifact
from support.device import CLIENT, NOW_MS, artifact, rule, window
from targetry.edge.in_process import LocalEdge
from targetry.errors import OptionError
from targetry.models import DeliveryRequest, DeliveryResponse
from targetry.recording import (
    AnswerError,
    ArtifactAnswers,
    EdgeAnswers,
    RequestLog,
    UnreachableError,
    replay,
)
from targetry.testing import edge

BEFORE = artifact(
    {
        "hero": [rule(1, window(0, 50)), rule(1, window(50, 100), experience=1)],
        "text": [rule(2, content="old")],
        "lost": [rule(3)],
        "gained": [],
        "other": [rule(4)],
    },
    responseTokens=["activity.id", "experience.id"],
)
AFTER = artifact(
    {
        "hero": [rule(1, window(0, 50)), rule(1, window(50, 100), experience=1)],
        "text": [rule(2, content="new")],
        "lost": [],
        "gained": [rule(3)],
        "other": [rule(5)],
    },
    responseTokens=["activity.id", "experience.id"],
)
NAMES = ("hero", "text", "lost", "gained", "other")
OUTCOMES = {"hero": "same", "text": "content", "lost": "lost", "gained": "gained", "other": "experience"}


def request(visitor: str, *names: str) -> dict[str, Any]:
    mboxes = [{"index": index, "name": name} for index, name in enumerate(names)]
    return {"id": {"tntId": visitor}, "context": {"channel": "web"}, "execute": {"mboxes": mboxes}}


def recorded(document: Any, *requests: dict[str, Any], **more: Any) -> list[str]:
    """Return the lines of a log with what an artifact answers."""
    answers = ArtifactAnswers(document, client=CLIENT)
    lines = []
    for one in requests:
        response = answers.answer(DeliveryRequest.from_dict(one), client=None, time_ms=NOW_MS)
        line = {
            "time": NOW_MS,
            "request": one,
            "response": json.loads(response.to_json()),
            **more,
        }
        lines.append(json.dumps(line))
    return lines


LINES = recorded(BEFORE, *(request(f"v{number}", *NAMES) for number in range(10)))


def test_each_location_has_its_outcome() -> None:
    found = replay(LINES, ArtifactAnswers(AFTER))
    assert {
        one.location: outcome
        for one in found.locations
        for outcome in ("same", "content", "experience", "gained", "lost")
        if getattr(one, outcome) == 10
    } == OUTCOMES
    assert (found.lines, found.same_share) == (10, 20)
    other = next(one for one in found.differences if one.location == "other")
    assert (other.before, other.after, other.requests) == ((("4", "0"),), (("5", "0"),), 10)
    assert other.examples == [1, 2, 3]


def test_same_artifact_gives_the_same_answers() -> None:
    found = replay(LINES, ArtifactAnswers(BEFORE))
    assert (found.same_share, found.differences) == (100, [])


def test_prefetched_views_and_page_loads_are_compared() -> None:
    documents = [
        artifact({"target-global-mbox": [rule(1)]}, {"home": [rule(2, content=content)]})
        for content in ("old", "new")
    ]
    asked = {"id": {"tntId": "t"}, "prefetch": {"views": [{}], "pageLoad": {}}}
    found = replay(recorded(documents[0], asked), ArtifactAnswers(documents[1]))
    assert [(one.location, one.same, one.content) for one in found.locations] == [
        ("page_load", 1, 0),
        ("view:*", 0, 1),
    ]


def test_hashed_ids_are_compared_with_a_baseline_only() -> None:
    lines = recorded(BEFORE, request("t", "hero"), hashed=True)
    assert replay(lines, ArtifactAnswers(BEFORE)).skipped == 1
    found = replay(lines, ArtifactAnswers(AFTER), baseline=ArtifactAnswers(BEFORE))
    assert (found.skipped, found.same_share, len(found.locations)) == (0, 100, 1)


def test_line_without_client_code_needs_one() -> None:
    (line,) = map(json.loads, recorded(BEFORE, request("t", "hero")))
    del line["response"]["client"]
    lines = [json.dumps(line)]
    with pytest.raises(OptionError, match="client"):
        replay(lines, ArtifactAnswers(BEFORE))
    assert replay(lines, ArtifactAnswers(BEFORE, client=CLIENT)).same_share == 100


def test_damaged_lines_are_counted() -> None:
    found = replay(["{", "", "[]", *LINES[:1]], ArtifactAnswers(BEFORE))
    assert (found.lines, found.lines_with_error, len(found.errors)) == (3, 2, 2)


class Broken:
    """Source of answers that has none."""

    def answer(self, request: DeliveryRequest, *, client: str | None, time_ms: int) -> DeliveryResponse:
        raise AnswerError("status 500")


def test_request_without_answer_is_a_difference() -> None:
    found = replay(LINES, Broken())
    assert (found.failed, found.same_share, found.errors[0]) == (10, 0, "line 1: status 500")


@pytest.fixture(scope="module")
def here() -> Iterator[LocalEdge]:
    with edge(BEFORE, client=CLIENT) as running:
        yield running


def test_edge_answers_as_the_artifact_does(here: LocalEdge) -> None:
    answers = EdgeAnswers(here.url)
    events = len(here.events)
    notification = {"id": "n", "type": "display", "timestamp": NOW_MS, "tokens": ["t"]}
    lines = recorded(BEFORE, {**request("t", *NAMES), "notifications": [notification]})
    found = replay(lines, answers)
    answers.close()
    assert (found.errors, found.same_share, len(found.locations)) == ([], 100, 5)
    assert {event.kind for event in here.events[events:]} == {"impression"}


def test_status_of_an_edge_is_part_of_the_error(here: LocalEdge) -> None:
    answers = EdgeAnswers(here.url, client="stranger")
    found = replay(LINES[:1], answers)
    answers.close()
    assert found.failed == 1
    assert "status 400" in found.errors[0]


def test_edge_that_does_not_listen_ends_the_replay() -> None:
    answers = EdgeAnswers("http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="refused"):
        replay(LINES, answers)
    answers.close()


def test_lines_that_a_replay_itself_adds_are_not_replayed(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    with edge(BEFORE, client=CLIENT, request_log=log) as running:
        (tmp_path / "log.jsonl").write_text("\n".join(LINES[:3]) + "\n")
        answers = EdgeAnswers(running.url)
        assert replay(tmp_path / "log.jsonl", answers).lines == 3
        answers.close()
    assert (log.recorded, len((tmp_path / "log.jsonl").read_text().splitlines())) == (3, 6)


def test_command_exits_with_two_if_answers_differ(tmp_path: Path, here: LocalEdge) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(LINES))
    same, other = write_artifact(tmp_path, BEFORE), tmp_path / "other.json"
    other.write_text(json.dumps(AFTER))
    assert run("replay", log, "--edge", here.url).exit_code == 0
    assert run("replay", log, "-a", same).exit_code == 0
    assert run("replay", log, "-a", other, "--baseline", here.url, "--at-least", "20%").exit_code == 0
    done = run("replay", log, "-a", other, width=160)
    assert done.exit_code == 2
    assert "20.00 % of the answers are the same" in done.stdout
    assert "activity 5, experience 0" in done.stdout
    found = json.loads(run("replay", log, "-a", other, "-o", "json").stdout)
    assert (found["same_share"], found["lines"]) == (20, 10)


WRONG: dict[str, list[str]] = {
    "neither an edge nor an artifact": [],
    "both": ["--edge", "http://127.0.0.1:1", "-a", "rules.json"],
    "an edge that does not listen": ["--edge", "http://127.0.0.1:1"],
    "a missing artifact": ["-a", "no-such.json"],
    "a share that is no percentage": ["--edge", "http://127.0.0.1:1", "--at-least", "x"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_command_exits_with_one_for_a_mistake(tmp_path: Path, arguments: list[str]) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(LINES))
    assert run("replay", log, *arguments).exit_code == 1


def test_edge_without_a_scheme_is_no_file_name(tmp_path: Path) -> None:
    assert run("replay", tmp_path / "log.jsonl", "--edge", "localhost:8080").stderr == (
        "error: --edge: must be a URL such as http://localhost:8080, not 'localhost:8080'\n"
    )


@pytest.mark.parametrize("text", ["", "{"], ids=["empty", "damaged"])
def test_log_without_requests_is_an_error(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    done = run("replay", log, "-a", write_artifact(tmp_path, BEFORE))
    assert (done.exit_code, "has no request that can be compared" in done.stderr) == (1, True)
