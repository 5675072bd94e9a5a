"""Report by segment: the figures of each value of a fact, or of new and returning visitors.

A fact is one that an edge recorded. A visitor is returning if the ledger has an event from at least
half an hour before the first impression of the activity, and so of an earlier session.

Segments are looked at to explain a result, not to decide by: there are no verdicts, and the
p-values of an activity are corrected once, by Benjamini and Hochberg over all its segments and
experiences. An interval holds for its segment and experience alone. Cochran's test says whether the
lifts of the segments differ at all. Figures are not adjusted by the visitors' history, and a cap
that depends on the data does not apply.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final

import msgspec

from targetry.errors import OptionError
from targetry.ledger.event import NEW, ActivityDescription, ExperienceDescription
from targetry.ledger.store import LedgerReader
from targetry.ledger.sums import ActivitySums, Segments, VisitorSums, day_of_step, step_ms
from targetry.report.aggregation import aggregated
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.estimates import Estimate
from targetry.report.inference.heterogeneity import Heterogeneity, heterogeneity
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.multiple_comparisons import benjamini_hochberg, holm
from targetry.report.inference.split_check import ALARM_BELOW
from targetry.report.inference.statistics import MISMATCH_BELOW
from targetry.report.looks import cumulate
from targetry.report.options import ActivityPlan, ReportOptions
from targetry.report.report import TARGETED, ActivityReport, ExperienceReport, build_report

_NAME: Final = re.compile(r"[\w.-]{1,200}")


class SegmentFigures(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of an experience in one segment, of the primary metric.

    `visitors` are those since the shares last changed. `lift` is the relative difference to the
    control in this segment, and `lift_interval` holds for this comparison alone. Both and the
    p-value are None for the control and while a group has too few converters or buyers.
    """

    id: str
    name: str | None
    visitors: int
    mean: float | None
    lift: float | None = None
    lift_interval: tuple[float, float] | None = None
    p_value: float | None = None


class ActivitySegment(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of an activity in one segment; `value` is None for visitors without the fact.

    `split_p_value` is that of the check of the segment's split, multiplied by the number of
    segments; None if the split is not checked. `is_mismatch` says that the split is broken.
    """

    value: str | None
    visitors: int
    experiences: tuple[SegmentFigures, ...]
    split_p_value: float | None = None
    is_mismatch: bool = False


class ExperienceHeterogeneity(Heterogeneity, frozen=True, rename="camel"):
    """Test that the lifts of an experience are equal in all segments that are compared.

    The p-value is corrected for the number of experiences.
    """

    id: str
    name: str | None


class SegmentReport(msgspec.Struct, frozen=True, rename="camel"):
    """Segments of each activity by its id, the largest first.

    `heterogeneity` has the tests of each activity's experiences, without those that have enough
    converters or buyers in fewer than two segments. `without_history` has the ids of activities
    that began on the day of the ledger's first event or before, in a report by `new`: the ledger
    cannot know who of their first visitors is returning.
    """

    by: str
    activities: dict[str, tuple[ActivitySegment, ...]]
    heterogeneity: dict[str, tuple[ExperienceHeterogeneity, ...]] = {}
    without_history: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name of the difference between the segments, for titles."""
        return segment_label(self.by)


def segment_label(by: str) -> str:
    """Return the name of the difference between segments: that of the fact, or words for `NEW`."""
    return "earlier visits" if by == NEW else by


def report_by_segment(
    reader: LedgerReader, by: str, options: ReportOptions, activities: Sequence[ActivityReport]
) -> SegmentReport:
    """Report on the segments of activities.

    Args:
        reader: The ledger.
        by: Name of the fact, such as `browser`, or `new` for new and returning visitors.
        options: The options of the report.
        activities: The activities, as of `report_on_ledger`.

    Raises:
        OptionError: No event has the fact, or its name is wrong.
        LedgerError: The ledger cannot be read.
        MissingExtraError: The extra `report` is not installed.
    """
    sums = _sums(reader, by, options) if _NAME.fullmatch(by) else {}
    if by != NEW and not sums.keys() - {""}:
        raise OptionError("by", f"no impression has the fact {by!r}; record it by targetry edge --segment")
    plain = msgspec.structs.replace(
        options,
        over_time=False,
        amounts=False,
        guardrails=(),
        plans={
            key: ActivityPlan(planned=one.planned, metric=one.metric) for key, one in options.plans.items()
        },
        cuped=None,
        cap_percentile=None,
    )
    described = [_description(one) for one in activities]
    found: dict[str, list[ActivitySegment]] = {one.id: [] for one in activities}
    pairs: dict[str, defaultdict[str, _Pairs]] = {one.id: defaultdict(list) for one in activities}
    for value, of_value in sums.items():
        chosen = {key: one for key, one in of_value.items() if key in found}
        made = build_report(_SegmentSums(chosen), described, plain, now_ms=None, is_corrected=False)
        for activity in made.activities:
            if activity.compared:
                found[activity.id].append(_segment(value, activity))
                for key, pair in _pairs(activity, chosen[activity.id]):
                    pairs[activity.id][key].append(pair)
    return SegmentReport(
        by,
        {key: _corrected(rows, options) for key, rows in found.items() if rows},
        {
            one.id: tests
            for one in activities
            if (tests := tuple(_differences(one, pairs[one.id], options.for_activity(one.id))))
        },
        tuple(_without_history(reader, sums, options)) if by == NEW else (),
    )


def _sums(reader: LedgerReader, by: str, options: ReportOptions) -> Segments:
    if reader.has_sums:
        return reader.segments(by, options.cap, options.time_zone)
    with aggregated(reader.events(), reader.activities()) as made:
        return made.segments(by, options.cap, options.time_zone)


def _without_history(reader: LedgerReader, sums: Segments, options: ReportOptions) -> Iterator[str]:
    """Yield the activities that began on the day of the ledger's first event or before."""
    period, zone = reader.period() if reader.has_sums else None, options.time_zone
    if period is None:
        return
    days: defaultdict[str, set[int]] = defaultdict(set)
    for of_value in sums.values():
        for key, activity in of_value.items():
            days[key].update(day for one in activity.experiences.values() for day in one.cohorts)
    began = {key: min(of_activity) for key, of_activity in days.items() if of_activity}
    # The event that was recorded first is not the oldest one in a ledger that was filled later.
    first = min([day_of_step(zone)(period.from_ms // step_ms(zone)), *began.values()])
    yield from (key for key, day in began.items() if day <= first)


_Pairs = list[tuple[Estimate, Estimate]]


def _segment(value: str, activity: ActivityReport) -> ActivitySegment:
    figures = tuple(_figures(one, activity.metric) for one in activity.experiences)
    split = activity.sample_ratio
    p_value = None if split is None else (split.sequential or split).p_value
    return ActivitySegment(value or None, activity.compared, figures, p_value)


def _pairs(activity: ActivityReport, sums: ActivitySums) -> Iterator[tuple[str, tuple[Estimate, Estimate]]]:
    """Yield the estimates of each experience with enough converters, with those of its control."""
    metric = METRICS[activity.metric]
    latest = {key: cumulate([one.cohorts])[-1][1][0] for key, one in sums.experiences.items() if one.cohorts}
    estimates = {
        key: made
        for key, one in latest.items()
        if metric.count(one) >= metric.least and (made := metric.estimate(one)) is not None
    }
    control = estimates.pop(activity.experiences[0].id, None)
    for key, own in estimates.items():
        if control is not None and activity.type != TARGETED:
            yield key, (own, control)


def _differences(
    activity: ActivityReport, pairs: Mapping[str, _Pairs], options: ReportOptions
) -> Iterator[ExperienceHeterogeneity]:
    sequence = None if options.fixed else ConfidenceSequence(options.alpha, options.tightest)
    names = {one.id: one.name for one in activity.experiences}
    tests = {key: made for key in names if key in pairs and (made := heterogeneity(pairs[key], sequence))}
    p_values = holm([one.p_value for one in tests.values()])
    for (key, one), p_value in zip(tests.items(), p_values, strict=True):
        yield ExperienceHeterogeneity(one.segments, one.q, one.i_squared, p_value, key, names[key])


class _SegmentSums:
    """Sums of a segment, whose visitors are not read one by one."""

    def __init__(self, sums: dict[str, ActivitySums]) -> None:
        self._sums = sums

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        return self._sums

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[VisitorSums]:
        return iter(())


def _description(activity: ActivityReport) -> ActivityDescription:
    experiences = tuple(ExperienceDescription(one.id, one.name, one.share) for one in activity.experiences)
    return ActivityDescription(
        activity.id, activity.name, activity.type, experiences, activity.shares_since_ms
    )


def _figures(one: ExperienceReport, name: str) -> SegmentFigures:
    metric = one.metrics.get(name)
    if metric is None:
        return SegmentFigures(one.id, one.name, 0, None)
    lift = metric.lift
    if lift is None:
        return SegmentFigures(one.id, one.name, metric.n, metric.mean)
    interval = None if lift.interval is None else (lift.interval.low, lift.interval.high)
    return SegmentFigures(one.id, one.name, metric.n, metric.mean, lift.value, interval, lift.p_value)


def _corrected(segments: Sequence[ActivitySegment], options: ReportOptions) -> tuple[ActivitySegment, ...]:
    """Return the segments in the order of their size, with corrected p-values."""
    p_values = [one.p_value for part in segments for one in part.experiences if one.p_value is not None]
    corrected = iter(benjamini_hochberg(p_values))
    made = [
        msgspec.structs.replace(
            _checked(part, len(segments), MISMATCH_BELOW if options.fixed else ALARM_BELOW),
            experiences=tuple(
                one if one.p_value is None else msgspec.structs.replace(one, p_value=next(corrected))
                for one in part.experiences
            ),
        )
        for part in segments
    ]
    return tuple(sorted(made, key=lambda part: (-part.visitors, part.value or "")))


def _checked(part: ActivitySegment, segments: int, alarm_below: float) -> ActivitySegment:
    if part.split_p_value is None:
        return part
    p_value = min(1.0, segments * part.split_p_value)
    return msgspec.structs.replace(part, split_p_value=p_value, is_mismatch=p_value < alarm_below)
