"""Report on activities: visitors, conversion rates, lifts and split check of their experiences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
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
    """Conversion rate, conversions per visitor, with its confidence interval."""

    value: float
    interval: Interval


class ExperienceReport(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of an experience, as `ledger.sums` defines them.

    `visitors` are those whose first impression is of this experience; `impressions` are of any
    visitor. `share` is the allocated percentage. `rate` is None without visitors. `lift` is None
    for the control, without visitors or control conversions, and in an activity whose experiences
    have audiences of their own. `revenue` does not include the `unusable_totals`, order totals that
    are not a number or exceed `MAX_ORDER_TOTAL`.
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
    """Figures of an activity: the sums of its experiences, of which the first is the control.

    `switched` counts the visitors with impressions of several experiences, `outside` those with a
    click or an order but no earlier impression, who are in no other figure. `sample_ratio` covers
    the visitors since `shares_since_ms`, the last change of the shares; it is None for an activity
    without a split or with too few visitors.
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
    """Report on activities in the order of their descriptions.

    `confidence` applies to all intervals.
    `period` is None for a report on a list of events, and for a ledger without events.
    """

    confidence: float
    activities: list[ActivityReport]
    period: Period | None = None


def make_report(events: Iterable[LedgerEvent], activities: Sequence[ActivityDescription] = ()) -> Report:
    """Report on all activities that are described or have events.

    Args:
        events: Each event once, in any order.
        activities: Descriptions; of several with one id the last counts.

    Raises:
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    return _build_report(aggregate(events, activities), activities)


def report_on_ledger(reader: Reader) -> Report:
    """Report on a ledger: from its sums, or from its events in a file of the first format.

    Raises:
        LedgerError: The ledger cannot be read.
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    activities = reader.activities()
    if not reader.has_sums:
        return make_report(reader.events(), activities)
    return _build_report(reader.sums(), activities, reader.period())


def _build_report(
    sums: Mapping[str, ActivitySums], activities: Sequence[ActivityDescription], period: Period | None = None
) -> Report:
    described = {activity.id: activity for activity in activities}
    others = sorted(sums.keys() - described.keys(), key=id_sort_key)
    everything = [*described.values(), *(ActivityDescription(key) for key in others)]
    made = [_activity(one, sums.get(one.id) or ActivitySums()) for one in everything]
    return Report(CONFIDENCE, made, period)


def _activity(activity: ActivityDescription, count: ActivitySums) -> ActivityReport:
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


_Row = tuple[ExperienceDescription, ExperienceSums]


def _rows(activity: ActivityDescription, count: ActivitySums) -> Iterator[_Row]:
    """Yield the described experiences in their order, then the others."""
    described = {one.id: one for one in activity.experiences}
    others = sorted(count.experiences.keys() - described.keys(), key=id_sort_key)
    for one in (*described.values(), *map(ExperienceDescription, others)):
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
    """Check the split; return None also if an experience without a share has visitors."""
    compared = [(one.share, count.entered) for one, count in rows if one.share or count.entered]
    shares = [share for share, _ in compared if share]
    if len(shares) < len(compared):
        return None
    return sample_ratio([entered for _, entered in compared], shares)
