"""Replay of recorded requests: what differs from the recorded responses, or from another source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from targetry._runtime.files import numbered_lines
from targetry.device.logic.javascript import to_text
from targetry.models import DeliveryRequest, DeliveryResponse, Option
from targetry.models.recorded import decode_recorded, requested_locations
from targetry.models.recorded_tally import UNREADABLE, LogTally
from targetry.recording.answers import AnswerError, Answers

ReplayOutcome = Literal["same", "content", "experience", "gained", "lost"]
REPLAY_OUTCOMES: Final[tuple[ReplayOutcome, ...]] = get_args(ReplayOutcome)


Experiences = tuple[tuple[str, str], ...]
"""Activities and experiences of an answer, by its response tokens."""


class ReplayDifference(msgspec.Struct, frozen=True):
    """Answers at one location that differ in the same way.

    Attributes:
        location: Name of the mbox, `page_load`, or `view:` and a name.
        outcome: How they differ; see `ReplayLocation`.
        before: Activities and experiences before; None if response tokens do not say.
        after: The same of the new answer.
        requests: Their number.
        examples: Numbers of lines in the log, from 1.
    """

    location: str
    outcome: ReplayOutcome
    before: Experiences | None
    after: Experiences | None
    requests: int
    examples: list[int]


class ReplayLocation(msgspec.Struct, frozen=True):
    """Outcomes at one location.

    Attributes:
        same: The same content, and the same experience if response tokens name it.
        content: Other content of the same experience, or of unknown ones.
        experience: Another experience.
        gained: Offers where there were none.
        lost: No offers where there were some.
    """

    location: str
    same: int
    content: int
    experience: int
    gained: int
    lost: int


class Replay(msgspec.Struct, frozen=True):
    """Differences between recorded answers and new ones.

    Attributes:
        lines: Lines of the log.
        skipped: Lines with hashed ids: another visitor has other splits.
        lines_with_error: Lines that cannot be read.
        failed: Requests that were not answered with offers.
        errors: The first errors of lines and requests.
        locations: In the order in which they occur.
        differences: The most frequent first.
    """

    lines: int
    skipped: int
    lines_with_error: int
    failed: int
    errors: list[str]
    locations: list[ReplayLocation]
    differences: list[ReplayDifference]

    @property
    def same_share(self) -> float:
        """Share of answers that are the same, in percent; failed requests count as differences."""
        same = sum(one.same for one in self.locations)
        others = sum(one.requests for one in self.differences) + self.failed
        return 100 * same / (same + others) if same + others else 100.0


def replay(
    log: str | Path | Iterable[bytes | str],
    answers: Answers,
    *,
    baseline: Answers | None = None,
    examples: int = 3,
    progress: Callable[[int, int | None], object] | None = None,
) -> Replay:
    """Answer recorded requests again, and compare the answers with the recorded ones.

    Args:
        log: A file of JSON Lines, as `RequestLog` writes it, or its lines.
        answers: Answers the requests.
        baseline: Answers to compare with, in place of the recorded ones. Then hashed ids do not
            matter, since both sides get the same.
        examples: Number of lines that each difference names.
        progress: Called now and then with the number of lines that are done, and of all if known.

    Raises:
        OptionError: The file cannot be read.
        UnreachableError: A server does not answer at all.
    """
    run = _Run(answers, baseline, examples)
    # An edge that records in the same file makes it longer.
    for number, line in numbered_lines("log", log, progress):
        run.add(number, line)
    return run.result()


_Pair = tuple[str, ReplayOutcome, Experiences | None, Experiences | None]


class _Run:
    def __init__(self, answers: Answers, baseline: Answers | None, examples: int) -> None:
        self._answers = answers
        self._baseline = baseline
        self._skipped = self._failed = 0
        self._tally = LogTally[_Pair](examples)

    def add(self, number: int, line: bytes | str) -> None:
        """Answer and compare one line."""
        if not line.strip():
            return
        self._tally.lines += 1
        try:
            recorded = decode_recorded(line)
            request, before = recorded.read()
            time_ms = recorded.time_ms
        except UNREADABLE as error:
            self._tally.note_unreadable(number, error)
            return
        if recorded.hashed and self._baseline is None:
            self._skipped += 1
            return
        client = before.client
        try:
            if self._baseline is not None:
                before = self._baseline.answer(request, client=client, time_ms=time_ms)
            after = self._answers.answer(request, client=client, time_ms=time_ms)
        except AnswerError as error:
            self._failed += 1
            self._tally.note(number, error)
            return
        self._compare(number, request, before, after)

    def _compare(
        self, number: int, request: DeliveryRequest, before: DeliveryResponse, after: DeliveryResponse
    ) -> None:
        for location in requested_locations(request):
            old, new = _given(location.options(before)), _given(location.options(after))
            outcome = _outcome(old, new)
            self._tally.count(location.label, outcome)
            if outcome != "same":
                pair = location.label, outcome, _experiences(old), _experiences(new)
                self._tally.count_difference(pair, number)

    def result(self) -> Replay:
        """Return the differences."""
        tally = self._tally
        locations = [
            ReplayLocation(name, *(counts[outcome] for outcome in REPLAY_OUTCOMES))
            for name, counts in tally.outcomes.items()
        ]
        differences = [
            ReplayDifference(*pair, count, examples) for pair, count, examples in tally.differences()
        ]
        return Replay(
            tally.lines,
            self._skipped,
            tally.lines_with_error,
            self._failed,
            tally.errors,
            locations,
            differences,
        )


def _given(options: Sequence[Option]) -> list[Option]:
    """Return the options without those of default content."""
    return [one for one in options if one.type is not None or one.content is not None]


def _outcome(old: list[Option], new: list[Option]) -> ReplayOutcome:
    if not old or not new:
        return "same" if not old and not new else "gained" if new else "lost"
    before, after = _experiences(old), _experiences(new)
    if before is not None and after is not None and before != after:
        return "experience"
    return "same" if _contents(old) == _contents(new) else "content"


def _contents(options: list[Option]) -> list[tuple[str | None, Any]]:
    return [(one.type, one.content) for one in options]


def _experiences(options: list[Option]) -> Experiences | None:
    """Return the experiences in their order, None if an option does not name its own."""
    found: dict[tuple[str, str], None] = {}
    for option in options:
        tokens = option.response_tokens or {}
        activity, experience = tokens.get("activity.id"), tokens.get("experience.id")
        if activity is None or experience is None:
            return None
        found[to_text(activity), to_text(experience)] = None
    return tuple(found)
