"""Comparison of logged responses of the Delivery API with decisions by an artifact.

Each line of the log is a JSON object with `time`, `request` and `response`, as `targetry edge
--record-requests` and `RequestRecorder` write it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from targetry.batch.decider import ArtifactInput, compiled
from targetry.batch.output import content_text
from targetry.device.decide import Match, decide
from targetry.device.logic.javascript import to_text
from targetry.device.personalize import Template
from targetry.device.ruleset import CompiledRule, RuleSet
from targetry.errors import OptionError
from targetry.models import DeliveryResponse, Option, VisitorId
from targetry.models.snapshot import ConstraintError, snapshot

Outcome = Literal["agreed", "other_experience", "only_server", "only_device", "unknown", "remote"]
OUTCOMES: Final = ("agreed", "other_experience", "only_server", "only_device", "unknown", "remote")

_MOST_ERRORS: Final = 5  # whose texts are kept

Given = tuple[str, str | None]
"""Activity and experience."""


class Difference(msgspec.Struct, frozen=True):
    """Lines at one location with the same two answers: activity and experience, None for nothing.

    Attributes:
        lines: Their number.
        examples: Numbers of lines in the log, from 1.
    """

    location: str
    outcome: Outcome
    server: Given | None
    device: Given | None
    lines: int
    examples: list[int]


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


class _Logged(msgspec.Struct):
    time: int | float | str
    request: dict[str, Any]
    response: dict[str, Any]
    hashed: bool = False


_decode = msgspec.json.Decoder(_Logged).decode


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

    Raises:
        OptionError: The file cannot be read.
        ArtifactError: The artifact cannot be used.
    """
    run = _Run(compiled(artifact, organization_id), client, examples)
    for number, line in enumerate(_lines(log), 1):
        run.add(number, line)
    return run.result()


def _lines(log: str | Path | Iterable[bytes | str]) -> Iterator[bytes | str]:
    if not isinstance(log, str | Path):
        yield from log
        return
    try:
        with Path(log).open("rb") as file:
            yield from file
    except OSError as error:
        raise OptionError("log", f"{log} cannot be read: {error.strerror or error}") from error


_Pair = tuple[str, Outcome, Given | None, Given | None]
"""Location, outcome, and what the server and the device have."""


class _Run:
    def __init__(self, rules: RuleSet, client: str, examples: int) -> None:
        self._rules = rules
        self._client = client
        self._examples = examples
        self._known = _Known(rules)
        self._lines = self._bad = 0
        self._errors: list[str] = []
        self._outcomes: dict[str, Counter[str]] = {}
        self._differences: dict[_Pair, list[int]] = {}
        self._counts: Counter[_Pair] = Counter()

    def add(self, number: int, line: bytes | str) -> None:
        """Compare one line."""
        if not line.strip():
            return
        self._lines += 1
        try:
            logged = _decode(line)
            found = list(self._compared(logged))
        except (msgspec.MsgspecError, ConstraintError, ValueError, OverflowError) as error:
            self._bad += 1
            if len(self._errors) < _MOST_ERRORS:
                self._errors.append(f"line {number}: {error}")
            return
        for location, server, device, is_remote in found:
            outcome = _outcome(server, device, is_remote)
            self._outcomes.setdefault(location, Counter())[outcome] += 1
            if outcome in ("other_experience", "only_server", "only_device"):
                key = location, outcome, server.given, device.given
                self._counts[key] += 1
                places = self._differences.setdefault(key, [])
                if len(places) < self._examples:
                    places.append(number)

    def _compared(self, logged: _Logged) -> Iterator[tuple[str, _Answer, _Answer, bool]]:
        request = snapshot(logged.request, wire=False)
        response = DeliveryResponse.from_dict(logged.response)
        if request.id is None or not any(
            (request.id.tnt_id, request.id.marketing_cloud_visitor_id, request.id.third_party_id)
        ):
            request.id = response.id or VisitorId()  # the server gave the visitor an id
        request.trace = None
        matches: list[Match] = []
        now_ms = _epoch_ms(logged.time)
        decision = decide(self._rules, request, self._client, now_ms, lambda: "", matches=matches)
        own = decision.response
        remote = {*decision.remote_mboxes}, {*decision.remote_views}
        rules = {id(option): one.rule for one in matches for option in one.options}
        if logged.hashed:  # the split of such an id is not that of the visitor
            rules = {
                key: None if rule is not None and rule.has_window else rule for key, rule in rules.items()
            }
        for mode in ("execute", "prefetch"):
            yield from self._mode(
                getattr(request, mode), getattr(response, mode), getattr(own, mode), rules, remote
            )

    def _mode(self, asked: Any, server: Any, device: Any, rules: Any, remote: Any) -> Iterator[Any]:
        if asked is None:
            return
        for details in asked.mboxes or ():
            theirs, mine = (_options_of_mbox(side, details) for side in (server, device))
            yield details.name, *self._pair(theirs, mine, rules), details.name in remote[0]
        if asked.page_load is not None:
            theirs, mine = (
                _options(side.page_load if side is not None else None) for side in (server, device)
            )
            is_remote = self._rules.global_mbox in remote[0]
            yield "page_load", *self._pair(theirs, mine, rules), is_remote
        for view in getattr(asked, "views", None) or ():
            theirs, mine = (_options_of_view(side, view.name) for side in (server, device))
            is_remote = bool(remote[1]) if view.name is None else view.name in remote[1]
            yield f"view:{view.name or '*'}", *self._pair(theirs, mine, rules), is_remote

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
            for name, counts in self._outcomes.items()
        ]
        differences = [
            Difference(
                location, outcome, server, device, count, self._differences[location, outcome, server, device]
            )
            for (location, outcome, server, device), count in self._counts.most_common()
        ]
        return Shadow(self._lines, self._bad, self._errors, locations, differences)


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
                content = option.shared if option.render is None else option.render(None)  # type: ignore[arg-type]
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


def _options(location: Any) -> list[Option]:
    return list(location.options or ()) if location is not None else []


def _options_of_mbox(side: Any, details: Any) -> list[Option]:
    if side is None:
        return []
    return [
        option
        for one in side.mboxes or ()
        if one.index == details.index and (details.index is not None or one.name == details.name)
        for option in one.options or ()
    ]


def _options_of_view(side: Any, name: str | None) -> list[Option]:
    if side is None:
        return []
    views = [one for one in side.views or () if name is None or one.name == name]
    return [option for one in views for option in one.options or ()]


def _epoch_ms(time: int | float | str) -> int:
    if isinstance(time, str):
        moment = datetime.fromisoformat(time)
        time = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000
    return int(time)
