"""Forecast: how many rows of a table get each experience, and whether splits come out as set."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np

from targetry.batch.artifact import ArtifactInput
from targetry.batch.decider import Decider
from targetry.batch.engine.locations import REASONS
from targetry.batch.engine.select import ALLOCATIONS, NONE, admitted
from targetry.batch.output import Placed
from targetry.batch.stream import batches_of

MISMATCH_BELOW: Final = 0.001  # p-value of a split below which chance is an unlikely explanation


class ExperienceForecast(msgspec.Struct, frozen=True):
    """Rows of one experience of an activity at a location.

    Attributes:
        share: In percent of the activity's rows.
        expected_share: By the windows, in percent; None if the allocation does not decide.
    """

    experience_id: str | None
    experience_name: str | None
    rows: int
    share: float
    expected_share: float | None


class ActivityForecast(msgspec.Struct, frozen=True):
    """Rows of one activity at a location.

    Attributes:
        share: In percent of all rows.
        p_value: Of the chi-square test of the split; None without a split.
        is_mismatch: Whether the split differs from its windows by more than chance explains.
    """

    location: str
    activity_id: str
    activity_name: str | None
    rows: int
    share: float
    experiences: list[ExperienceForecast]
    p_value: float | None
    is_mismatch: bool


class Forecast(msgspec.Struct, frozen=True):
    """Experiences of the rows of a table, counted.

    Attributes:
        rows: Of the table.
        rows_with_error: Rows without a decision.
        activities: In the order of locations and rules.
        reasons: Location to reason to number of rows (of a page load: of rows of output).
        overlap: Number of activities to the number of rows that are in so many.
        missing: Columns that the rules read and the table lacks.
        unknown_locations: Requested locations that are not in the artifact.
    """

    rows: int
    rows_with_error: int
    activities: list[ActivityForecast]
    reasons: dict[str, dict[str, int]]
    overlap: dict[int, int]
    missing: list[str]
    unknown_locations: list[str]


def forecast(source: Any, artifact: ArtifactInput, *, progress: Any = None, **options: Any) -> Forecast:
    """Return how many rows of a table get each experience; exact for these rows.

    Args:
        source: As of `Decider.stream`.
        artifact: As of `Decider`.
        progress: As of `write`.
        options: Of `Decider`.

    Raises:
        OptionError: An option or the table is wrong.
        ArtifactError: The artifact cannot be used.
    """
    decider = Decider(artifact, **{**options, "outputs": ()})
    placed = decider.writer.placed
    codes: dict[str, int] = {}
    activity_of = np.array([codes.setdefault(one.rule.activity_id, len(codes)) for one in placed], np.int64)
    counts = np.zeros(len(placed), np.int64)
    reasons = np.zeros((len(decider.locations), len(REASONS)), np.int64)
    overlap = np.zeros(len(codes) + 1, np.int64)
    reader = decider.reader(source)
    done = 0
    for batch in batches_of(reader):
        rows, errors = decider.rows(batch)
        keys = []
        for place, entries in enumerate(decider.entries(rows, errors)):
            matched = entries.rules != NONE
            rules = entries.rules[matched]
            counts += np.bincount(rules, minlength=len(counts))
            reasons[place] += np.bincount(entries.reasons, minlength=len(REASONS))
            keys.append(entries.rows[matched] * max(len(codes), 1) + activity_of[rules])
        of_rows = np.unique(np.concatenate(keys)) // max(len(codes), 1)
        overlap += np.bincount(np.bincount(of_rows, minlength=rows.count), minlength=len(overlap))
        done += batch.num_rows
        if progress is not None:
            progress(done, reader.rows)
    return Forecast(
        decider.stats.rows,
        decider.stats.rows_with_error,
        _activities(placed, decider, counts.tolist()),
        {
            label: {name: int(count) for name, count in zip(REASONS, of, strict=True) if count}
            for label, of in zip(decider.locations, reasons, strict=True)
        },
        {number: int(count) for number, count in enumerate(overlap) if count},
        decider.missing,
        decider.unknown_locations,
    )


def _activities(placed: list[Placed], decider: Decider, counts: list[int]) -> list[ActivityForecast]:
    groups: dict[tuple[int, str], list[int]] = {}
    for number, one in enumerate(placed):
        groups.setdefault((decider.requested.index(one.requested), one.rule.activity_id), []).append(number)
    rows = decider.stats.rows or 1
    return [
        _activity(decider.locations[place], [placed[n] for n in numbers], [counts[n] for n in numbers], rows)
        for (place, _), numbers in groups.items()
    ]


def _activity(location: str, placed: list[Placed], counts: list[int], rows: int) -> ActivityForecast:
    by_experience: dict[str | None, list[int]] = {}
    for number, one in enumerate(placed):
        by_experience.setdefault(one.meta("experience.id"), []).append(number)
    total = sum(counts)
    expected = _expected(placed, list(by_experience.values()))
    made = []
    for index, (experience, numbers) in enumerate(by_experience.items()):
        count = sum(counts[number] for number in numbers)
        made.append(
            ExperienceForecast(
                experience,
                placed[numbers[0]].meta("experience.name"),
                count,
                100 * count / total if total else 0.0,
                None if expected is None else 100 * expected[index],
            )
        )
    p_value = None
    if expected is not None and total and len(expected) > 1:
        statistic = sum(
            (one.rows - total * share) ** 2 / (total * share)
            for one, share in zip(made, expected, strict=True)
        )
        p_value = chi_square_p_value(statistic, len(expected) - 1)
    return ActivityForecast(
        location,
        placed[0].rule.activity_id,
        placed[0].meta("activity.name"),
        total,
        100 * total / rows,
        made,
        p_value,
        p_value is not None and p_value < MISMATCH_BELOW,
    )


def _expected(placed: list[Placed], groups: list[list[int]]) -> list[float] | None:
    """Return the shares by the windows; None unless all rules have one audience and a window."""
    audiences = {(one.rule.audience, one.rule.tokens) for one in placed}
    if len(audiences) > 1 or not all(one.rule.has_window and one.rule.test is None for one in placed):
        return None
    taken = np.full(len(ALLOCATIONS), NONE)
    for number in reversed(range(len(placed))):
        taken[admitted(placed[number].rule)] = number
    sizes = [sum(int(np.count_nonzero(taken == number)) for number in group) for group in groups]
    total = sum(sizes)
    return [size / total for size in sizes] if all(sizes) else None


def chi_square_p_value(statistic: float, degrees: int) -> float:
    """Return the probability of a larger statistic by chance.

    Args:
        statistic: Of the chi-square test.
        degrees: Degrees of freedom, 1 or more.
    """
    half = statistic / 2
    if degrees % 2 == 0:
        term = total = math.exp(-half)
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return min(1.0, total)
    total = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for k in range(1, (degrees + 1) // 2):
        total += term
        term *= half / (k + 0.5)
    return min(1.0, total)
