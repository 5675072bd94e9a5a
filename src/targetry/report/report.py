"""What came of each activity: its experiences with their rates, lifts and the check of the split, from events alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from targetry.ledger.event import Activity, Event, Experience
from targetry.ledger.reader import Reader
from targetry.ledger.sums import ActivitySums, ExperienceSums, Period
from targetry.report.aggregation import aggregate
from targetry.report.ordering import id_sort_key
from targetry.report.statistics import (
    CONFIDENCE,
    Interval,
    Lift,
    Sample,
    SampleRatio,
    lift,
    rate_interval,
    sample_ratio,
)

_TARGETED = "landing"


class Rate(msgspec.Struct, frozen=True):
    """Conversions per visitor, with its interval."""

    value: float
    interval: Interval


class ExperienceReport(msgspec.Struct, frozen=True, rename="camel"):
    """`visitors` first saw this experience; `impressions` are those of it, whoever had them. See `ledger.sums`.

    `revenue` leaves out `unusable_totals`: order totals that are not a number or are beyond `MAX_ORDER_TOTAL`.

    `share` is percent, as asked for. `rate` is None without visitors; `lift` for the control, for an experience that nothing
    can be said of yet, and in an activity whose experiences have audiences of their own.
    """

    id: str
    name: str | None
    share: float | None
    visitors: int
    impressions: int
    conversions: int
    orders: int
    revenue: float
    unusable_totals: int
    rate: Rate | None
    lift: Lift | None


class ActivityReport(msgspec.Struct, frozen=True, rename="camel"):
    """The first experience is the control. Figures of the activity are the sums of its experiences.

    `switched`: visitors who saw more than one experience. `outside`: visitors who clicked or ordered but not after an
    impression; no other figure holds them. `sample_ratio` is None where no split was asked for or it cannot be told;
    it is of visitors who came since `shares_since_ms`, when the shares were last changed.
    """

    id: str
    name: str | None
    type: str | None
    visitors: int
    impressions: int
    conversions: int
    orders: int
    revenue: float
    unusable_totals: int
    switched: int
    outside: int
    shares_since_ms: int
    sample_ratio: SampleRatio | None
    experiences: list[ExperienceReport]


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """`confidence` is that of all intervals. Activities are in the order in which they were described.

    `period` is None for a report on events that are in no ledger, or none at all.
    """

    confidence: float
    activities: list[ActivityReport]
    period: Period | None = None


def make_report(events: Iterable[Event], activities: Sequence[Activity] = ()) -> Report:
    """Report on all activities that are described or have events.

    Args:
        events: Each event once, in any order.
        activities: Names and shares to report; of several with one id the last counts.

    Raises:
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    return _build_report(aggregate(events, activities), activities)


def report_on_ledger(reader: Reader) -> Report:
    """Report on a ledger: from its sums, or from its events if a file of the first format has no sums.

    Raises:
        LedgerError: The ledger cannot be read.
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    activities = reader.activities()
    if not reader.has_sums:
        return make_report(reader.events(), activities)
    return _build_report(reader.sums(), activities, reader.period())


def _build_report(
    sums: Mapping[str, ActivitySums], activities: Sequence[Activity], period: Period | None = None
) -> Report:
    described = {activity.id: activity for activity in activities}
    others = sorted(sums.keys() - described.keys(), key=id_sort_key)
    everything = [*described.values(), *(Activity(key) for key in others)]
    made = [_activity(one, sums.get(one.id) or ActivitySums()) for one in everything]
    return Report(CONFIDENCE, made, period)


def _activity(activity: Activity, count: ActivitySums) -> ActivityReport:
    rows = list(_rows(activity, count))
    return ActivityReport(
        id=activity.id,
        name=activity.name,
        type=activity.type,
        visitors=sum(one.visitors for _, one in rows),
        impressions=sum(one.impressions for _, one in rows),
        conversions=sum(one.conversions for _, one in rows),
        orders=sum(one.orders for _, one in rows),
        revenue=math.fsum(one.revenue for _, one in rows),
        unusable_totals=sum(one.unusable_totals for _, one in rows),
        switched=count.switched,
        outside=count.outside,
        shares_since_ms=activity.shares_since_ms,
        sample_ratio=_sample_ratio(rows),
        experiences=_experiences(rows, is_compared=activity.type != _TARGETED),
    )


_Row = tuple[Experience, ExperienceSums]


def _rows(activity: Activity, count: ActivitySums) -> Iterator[_Row]:
    """The described experiences in their order, then those that only events know."""
    described = {one.id: one for one in activity.experiences}
    others = sorted(count.experiences.keys() - described.keys(), key=id_sort_key)
    for one in (*described.values(), *map(Experience, others)):
        yield one, count.experiences.get(one.id) or ExperienceSums()


def _experiences(rows: list[_Row], *, is_compared: bool) -> list[ExperienceReport]:
    control = _sample(rows[0][1]) if rows and is_compared else None
    return [_experience(row, None if row is rows[0] else control) for row in rows]


def _experience(row: _Row, control: Sample | None) -> ExperienceReport:
    experience, count = row
    sample = _sample(count)
    return ExperienceReport(
        id=experience.id,
        name=experience.name,
        share=experience.share,
        visitors=count.visitors,
        impressions=count.impressions,
        conversions=count.conversions,
        orders=count.orders,
        revenue=count.revenue,
        unusable_totals=count.unusable_totals,
        rate=Rate(sample.rate, rate_interval(sample)) if sample else None,
        lift=lift(sample, control) if sample and control else None,
    )


def _sample(count: ExperienceSums) -> Sample | None:
    return Sample(count.conversions, count.visitors) if count.visitors else None


def _sample_ratio(rows: list[_Row]) -> SampleRatio | None:
    """None also when visitors came to an experience that has no share now: the shares are not those they came by."""
    compared = [(one.share, count.entered) for one, count in rows if one.share or count.entered]
    shares = [share for share, _ in compared if share]
    if len(shares) < len(compared):
        return None
    return sample_ratio([entered for _, entered in compared], shares)
