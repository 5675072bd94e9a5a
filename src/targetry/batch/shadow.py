"""Comparison of logged responses of the Delivery API with decisions by an artifact.

Each line of the log is a JSON object with `time`, `request` and `response`, as `targetry edge
--record-requests` and `RequestRecorder` write it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from targetry._runtime.files import numbered_lines
from targetry.batch.artifact import ArtifactInput, compiled
from targetry.batch.output import content_text
from targetry.batch.shadow_reasons import Given, explained, reason
from targetry.device.decide import Match, OnDeviceDecision, decide
from targetry.device.logic.javascript import to_text
from targetry.device.personalize import Template
from targetry.device.ruleset import CompiledRule, RuleSet
from targetry.models import Option
from targetry.models.recorded import (
    RecordedRequest,
    RequestedLocation,
    decode_recorded,
    requested_locations,
)
from targetry.models.recorded_tally import UNREADABLE, LogTally

Outcome = Literal["agreed", "other_experience", "only_server", "only_device", "unknown", "remote"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class Difference(msgspec.Struct, frozen=True):
    """Lines at one location with the same two answers: activity and experience, None for nothing.

    Attributes:
        lines: Their number.
        examples: Numbers of lines in the log, from 1.
        reasons: Why these examples have not got on device what the server has, each reason once.
    """

    location: str
    outcome: Outcome
    server: Given | None
    device: Given | None
    lines: int
    examples: list[int]
    reasons: list[str] = []


class ShadowLocation(msgspec.Struct, frozen=True):
    """Outcomes at one location.

    Attributes:
        agreed: Both have the same experience, or both none.
        other_experience: Both have one, and they differ.
        only_server: Only the response has one.
        only_device: Only the decision has one.
        unknown: The experience of the response is not known.
        remote: The artifact leaves the location to the Delivery API.
    """

    location: str
    agreed: int
    other_experience: int
    only_server: int
    only_device: int
    unknown: int
    remote: int


class Shadow(msgspec.Struct, frozen=True):
    """Agreement of a log with decisions on device.

    Attributes:
        lines: Lines of the log.
        lines_with_error: Lines that cannot be read or decided.
        errors: The first of their errors.
        locations: In the order in which they occur.
        differences: The most frequent first.
    """

    lines: int
    lines_with_error: int
    errors: list[str]
    locations: list[ShadowLocation]
    differences: list[Difference]

    @property
    def agreed_share(self) -> float:
        """Share of answers that agree, in percent of those that could be compared."""
        agreed = sum(one.agreed for one in self.locations)
        others = sum(one.other_experience + one.only_server + one.only_device for one in self.locations)
        return 100 * agreed / (agreed + others) if agreed + others else 100.0


class _Answer(NamedTuple):
    """Answer of one side at a location: an experience, nothing, or unknown content."""

    given: Given | None
    is_known: bool = True


def shadow(
    log: str | Path | Iterable[bytes | str],
    artifact: ArtifactInput,
    *,
    client: str,
    organization_id: str | None = None,
    examples: int = 3,
    progress: Callable[[int, int | None], object] | None = None,
) -> Shadow:
    """Compare logged responses with what an artifact decides for the same requests.

    The experience of a response is known by its response tokens `activity.id` and `experience.id`,
    else by its event token, else by its content. Answers that a profile, or another activity that
    is not on device, decided differ by nature.

    Args:
        log: A file of JSON Lines, or its lines.
        artifact: The artifact.
        client: The client code.
        organization_id: The key of a `rules.bin`.
        examples: Number of lines that each difference names.
        progress: Called now and then with the number of lines that are done, and of all if known.

    Raises:
        OptionError: The file cannot be read.
        ArtifactError: The artifact cannot be used.
    """
    run = _Run(compiled(artifact, organization_id), client, examples)
    for number, line in numbered_lines("log", log, progress):
        run.add(number, line)
    return run.result()


_Pair = tuple[str, Outcome, Given | None, Given | None]
"""Location, outcome, and what the server and the device have."""


class _Run:
    def __init__(self, rules: RuleSet, client: str, examples: int) -> None:
        self._rules = rules
        self._client = client
        self._known = _Known(rules)
        self._tally = LogTally[_Pair](examples)
        self._reasons: dict[_Pair, dict[str, None]] = {}

    def add(self, number: int, line: bytes | str) -> None:
        """Compare one line."""
        if not line.strip():
            return
        self._tally.lines += 1
        try:
            logged = decode_recorded(line)
            found = list(self._compared(logged))
        except UNREADABLE as error:
            self._tally.note_unreadable(number, error)
            return
        for position, (location, server, device, is_remote) in enumerate(found):
            outcome = _outcome(server, device, is_remote)
            self._tally.count(location, outcome)
            if outcome in ("other_experience", "only_server", "only_device"):
                pair = location, outcome, server.given, device.given
                if self._tally.count_difference(pair, number):
                    self._reasons.setdefault(pair, {})[self._reason(logged, position, pair)] = None

    def _compared(self, logged: RecordedRequest) -> Iterator[tuple[str, _Answer, _Answer, bool]]:
        request, response = logged.read()
        matches: list[Match] = []
        decision = decide(self._rules, request, self._client, logged.time_ms, lambda: "", matches=matches)
        rules = {id(option): one.rule for one in matches for option in one.options}
        if logged.hashed:  # the split of such an id is not that of the visitor
            rules = {
                key: None if rule is not None and rule.has_window else rule for key, rule in rules.items()
            }
        for location in requested_locations(request):
            theirs, mine = location.options(response), location.options(decision.response)
            yield location.label, *self._pair(theirs, mine, rules), self._is_remote(location, decision)

    def _reason(self, logged: RecordedRequest, position: int, pair: _Pair) -> str:
        request, _ = logged.read()
        locations = explained(self._rules, request, self._client, logged.time_ms).locations
        return reason(locations[position], _experiences(pair[2]), _experiences(pair[3]))

    def _is_remote(self, location: RequestedLocation, decision: OnDeviceDecision) -> bool:
        if location.kind == "view":
            views = decision.remote_views
            return bool(views) if location.name is None else location.name in views
        name = self._rules.global_mbox if location.kind == "page_load" else location.name
        return name in decision.remote_mboxes

    def _pair(self, theirs: list[Option], mine: list[Option], rules: Any) -> tuple[_Answer, _Answer]:
        server = self._known.answer(theirs)
        own = [rules[id(option)] for option in mine if id(option) in rules]
        if None in own:
            return server, _Answer(None, False)
        device = _joined([_given(rule) for rule in own])
        return server, device

    def result(self) -> Shadow:
        """Return the agreement."""
        locations = [
            ShadowLocation(name, *(counts[outcome] for outcome in OUTCOMES))
            for name, counts in self._tally.outcomes.items()
        ]
        differences = [
            Difference(*pair, count, examples, list(self._reasons.get(pair, ())))
            for pair, count, examples in self._tally.differences()
        ]
        tally = self._tally
        return Shadow(tally.lines, tally.lines_with_error, tally.errors, locations, differences)


class _Known:
    """Experiences of an artifact by their event tokens and contents."""

    def __init__(self, rules: RuleSet) -> None:
        self._by_token: dict[str, Given] = {}
        self._by_content: dict[tuple[str | None, str | None], Given | None] = {}
        for locations in (rules.mboxes, rules.views):
            for location in locations.values():
                for rule in location.rules:
                    self._add(rule, rules.template(rule))

    def _add(self, rule: CompiledRule, template: Template) -> None:
        given = _given(rule)
        for option in template.prefetch:
            if option.event_token:
                self._by_token[option.event_token] = given
            if option.is_constant and not option.is_blank:
                content = option.shared if option.render is None else option.render(None)
                key = option.type, content_text(Option(option.type, content))
                is_other = self._by_content.get(key, given) != given
                self._by_content[key] = None if is_other else given

    def answer(self, options: list[Option]) -> _Answer:
        """Return the experiences of the options of a response."""
        found: list[Given] = []
        for option in options:
            known = self._of(option)
            if known is None:
                if option.type is None and option.content is None:
                    continue  # default content
                return _Answer(None, False)
            found.append(known)
        return _joined(found)

    def _of(self, option: Option) -> Given | None:
        tokens = option.response_tokens or {}
        activity, experience = tokens.get("activity.id"), tokens.get("experience.id")
        if activity is not None and experience is not None:
            return to_text(activity), to_text(experience)
        if option.event_token and option.event_token in self._by_token:
            return self._by_token[option.event_token]
        return self._by_content.get((option.type, content_text(option)))


def _given(rule: CompiledRule) -> Given:
    experience = rule.meta.get("experience.id")
    return rule.activity_id, None if experience is None else to_text(experience)


def _joined(found: list[Given]) -> _Answer:
    """Return one answer; several activities, of a page load or view, are joined in their order."""
    unique = sorted(dict.fromkeys(found), key=str)
    if not unique:
        return _Answer(None)
    if len(unique) == 1:
        return _Answer(unique[0])
    return _Answer(("+".join(a for a, _ in unique), "+".join(e or "" for _, e in unique)))


def _experiences(given: Given | None) -> list[Given]:
    """Return the experiences of an answer, which `_joined` has joined."""
    if given is None:
        return []
    activities, experiences = given[0].split("+"), (given[1] or "").split("+")
    return [(activity, one or None) for activity, one in zip(activities, experiences, strict=True)]


def _outcome(server: _Answer, device: _Answer, is_remote: bool) -> Outcome:
    if is_remote:
        return "remote"
    if not (server.is_known and device.is_known):
        return "unknown"
    if server.given == device.given:
        return "agreed"
    if server.given is None:
        return "only_device"
    return "only_server" if device.given is None else "other_experience"
