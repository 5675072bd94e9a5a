"""Report on activities: visitors, conversion rates, lifts and split check of their experiences."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from targetry.errors import OptionError
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent, id_sort_key
from targetry.ledger.schema import DAY_MS
from targetry.ledger.store import LedgerReader
from targetry.ledger.sums import ActivitySums, Cohort, ExperienceSums, Period, day_of_step, step_ms
from targetry.report.aggregation import SumsSource, aggregated
from targetry.report.comparison import Comparison, GuardrailReport, MetricLift, MetricReport, compare
from targetry.report.inference.bayes import BayesReport, compare_rates
from targetry.report.inference.split_check import ALARM_BELOW
from targetry.report.inference.statistics import (
    Interval,
    Lift,
    Sample,
    SampleRatio,
    SequentialCheck,
    lift,
    rate_interval,
    sample_ratio,
)
from targetry.report.inference.visitor_sums import HistoricCohort, add_history, cap_at_percentile
from targetry.report.looks import Totals, cumulate
from targetry.report.options import DEFAULT_METRIC, ReportOptions
from targetry.report.series import (
    AmountBin,
    SplitLook,
    amount_bins,
    days_left,
    idle_days,
    split_over_time,
    verdict_days,
    visitors_of,
    visitors_until,
)

TARGETED: Final = "landing"
"""Type of an activity that compares nothing: its experiences have audiences of their own."""

_CLOCK_MS: Final = 3_600_000  # by which the clocks of edges are allowed to differ
# Days since 1970 of the milliseconds that are the seconds of a time between 2001 and 2096.
_SECONDS_FROM_DAY: Final = 11
_SECONDS_TO_DAY: Final = 46
_DEFAULTS: Final = ReportOptions()


class Rate(msgspec.Struct, frozen=True):
    """Mean of a metric with its interval; that of a conversion rate holds for one look."""

    value: float
    interval: Interval


class ComparedFigures(msgspec.Struct, frozen=True):
    """Figures of an experience's visitors since the shares of the activity changed.

    `revenue` is that before the cap. `rate` is None without visitors.
    """

    visitors: int
    conversions: int
    orders: int
    revenue: float
    rate: Rate | None


class ExperienceReport(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of an experience, as `ledger.sums` defines them.

    `visitors` are those whose first impression is of this experience; `impressions` are of any
    visitor. `share` is the allocated percentage. `rate` is None without visitors. `lift` is None
    for the control, without visitors or control conversions, and in an activity whose experiences
    have audiences of their own. `revenue` does not include the `unusable_totals`, order totals that
    are not a number or exceed `MAX_ORDER_TOTAL`.

    `verdict_day` is the day on which the verdict was reached, in days since 1970. It needs the
    figures of each day, and is None for a verdict that is not final. `amounts` is the distribution
    of the buyers' revenue before the cap, None unless it was requested. `bayes` compares the
    conversion since the shares changed with the control's; None unless it was requested, for the
    control, and for a split that is broken. `since_change` has the figures of the compared visitors
    if there are earlier ones; None if all visitors are compared.
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
    metrics: Mapping[str, MetricReport] = {}
    guardrails: tuple[GuardrailReport, ...] = ()
    verdict: str | None = None
    verdict_day: int | None = None
    amounts: tuple[AmountBin, ...] | None = None
    bayes: BayesReport | None = None
    since_change: ComparedFigures | None = None

    @property
    def figures(self) -> ComparedFigures | ExperienceReport:
        """Figures of the visitors who are compared, to show next to lifts."""
        return self if self.since_change is None else self.since_change

    @property
    def label(self) -> str:
        """Name of the experience, or its id in words."""
        return self.name if self.name is not None else f"experience {self.id}"


class ActivityReport(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of an activity: the sums of its experiences, of which the first is the control.

    `switched` counts the visitors with impressions of several experiences, `outside` those with a
    click or an order but no earlier impression, who are in no other figure. `sample_ratio` covers
    the visitors since `shares_since_ms`, the last change of the shares; it is None for an activity
    without a split or with too few visitors.

    `metric` is the primary metric. `compared` counts the visitors of the compared figures.
    `planned` is the planned number of them, None without a plan. `days_left` is the number of days
    until they reach it, at the rate of the 14 days before the report; None without visitors in
    these. `idle_days` is the number of whole days since the latest visitor. `capped` visitors had
    more revenue than the cap, `cut` in all. `largest_part` is the largest part of the revenue of an
    experience that one visitor made. `from_future` counts compared visitors whose first impression
    is later than the report, because a clock is wrong; they are in no prediction. `in_seconds`
    counts those whose first impression seems to have a time in seconds, not in milliseconds. `cap`
    is the amount up to which a visitor's revenue counts. `history` is the part of the compared
    visitors who have events in the days before their first impression; None unless the report was
    to be adjusted by these. `split_over_time` has the compared visitors after each day, None unless
    it was requested and the split is checked.
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
    experiences: tuple[ExperienceReport, ...]
    compared: int = 0
    days_left: int | None = None
    idle_days: int = 0
    capped: int = 0
    cut: float = 0.0
    largest_part: float = 0.0
    from_future: int = 0
    in_seconds: int = 0
    cap: float | None = None
    history: float | None = None
    split_over_time: tuple[SplitLook, ...] | None = None
    planned: int | None = None
    metric: str = DEFAULT_METRIC

    @property
    def label(self) -> str:
        """Name of the activity, or its id in words."""
        return self.name if self.name is not None else f"activity {self.id}"

    @property
    def has_lifts(self) -> bool:
        """Whether an experience has a lift of the primary metric."""
        return any(self.primary_lift(one) for one in self.experiences)

    @property
    def has_control(self) -> bool:
        """Whether an experience is compared with the first one."""
        return any(one.verdict for one in self.experiences)

    def primary_mean(self, experience: ExperienceReport) -> Rate | None:
        """Return the mean of the primary metric in an experience, None without visitors."""
        if self.metric == "conversion":
            return experience.figures.rate
        metric = experience.metrics.get(self.metric)
        return None if metric is None else Rate(metric.mean, metric.interval)

    def primary_lift(self, experience: ExperienceReport) -> Lift | MetricLift | None:
        """Return the lift of an experience by the primary metric, None if it is not compared.

        Its p-value is the corrected one, which the verdict follows.
        """
        metric = experience.metrics.get(self.metric)
        corrected = None if metric is None else metric.lift
        if self.metric != "conversion":
            return corrected
        if experience.lift is None or corrected is None:
            return experience.lift
        return msgspec.structs.replace(experience.lift, p_value=corrected.p_value)

    def experience(self, key: str) -> ExperienceReport:
        """Return an experience by its id or name. Raises `OptionError` if there is none."""
        return _find("experience", self.experiences, key)


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """Report on activities in the order of their descriptions.

    `confidence` applies to all intervals. `fixed` says that the figures are for one look at the
    end; otherwise they are valid at every look. `metric` is the primary metric and `planned` the
    planned number of visitors of an activity without a plan of its own. `margin` is the largest
    lift that counts as no difference, `cap` the amount up to which a visitor's revenue counts.
    `cuped` is the number of days before the first impression by which the figures are adjusted.
    `period` is None for a report on a list of events, and for a ledger without events. `uncounted`
    is about the number of events that are recorded but in no figure, because they could not be
    counted: the ledger was locked, or only reading is allowed. `zone` is the time zone of all days.
    """

    confidence: float
    activities: tuple[ActivityReport, ...]
    period: Period | None = None
    fixed: bool = False
    metric: str = DEFAULT_METRIC
    planned: int | None = None
    margin: float | None = None
    cap: float | None = None
    cuped: int | None = None
    uncounted: int = 0
    zone: str = "UTC"

    def activity(self, key: str) -> ActivityReport:
        """Return an activity by its id or name. Raises `OptionError` if there is none."""
        return _find("activity", self.activities, key)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `targetry report -o json` prints it."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return found


_One = TypeVar("_One", ActivityReport, ExperienceReport)


def _find(kind: str, everything: Sequence[_One], key: str) -> _One:
    for one in everything:
        if one.id == key:
            return one
    for one in everything:
        if one.name == key:
            return one
    known = ", ".join(repr(one.id) for one in everything[:20]) or "none"
    raise OptionError(kind, f"there is no {kind} with the id or name {key!r}; the ids are: {known}")


def make_report(
    events: Iterable[LedgerEvent],
    activities: Sequence[ActivityDescription] = (),
    options: ReportOptions = _DEFAULTS,
    *,
    now_ms: int | None = None,
) -> Report:
    """Report on all activities that are described or have events.

    Args:
        events: Each event once, in any order.
        activities: Descriptions; of several with one id the last counts.
        options: The options of the report.
        now_ms: The time of the report in epoch milliseconds; None if no event can be later.

    Raises:
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    with aggregated(events, activities) as made:
        return build_report(made, activities, options, now_ms=now_ms)


def report_on_ledger(
    reader: LedgerReader, options: ReportOptions = _DEFAULTS, *, now_ms: int | None = None
) -> Report:
    """Report on a ledger: from its sums, or from its events in a file of an earlier format.

    Args:
        reader: The ledger.
        options: The options of the report.
        now_ms: The time of the report in epoch milliseconds; by default the clock's.

    Raises:
        LedgerError: The ledger cannot be read.
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    activities = reader.activities()
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    if not reader.has_sums:
        return make_report(reader.events(), activities, options, now_ms=now_ms)
    report = build_report(reader, activities, options, reader.period(), now_ms=now_ms)
    return msgspec.structs.replace(report, uncounted=reader.uncounted)


def without_series(report: Report) -> Report:
    """Return the report without the figures of each day and the distributions of revenue."""
    return msgspec.structs.replace(
        report,
        activities=tuple(
            msgspec.structs.replace(
                activity,
                split_over_time=None,
                experiences=tuple(
                    msgspec.structs.replace(
                        one,
                        amounts=None,
                        metrics={
                            name: msgspec.structs.replace(metric, over_time=None)
                            for name, metric in one.metrics.items()
                        },
                    )
                    for one in activity.experiences
                ),
            )
            for activity in report.activities
        ),
    )


def build_report(
    source: SumsSource,
    activities: Sequence[ActivityDescription],
    options: ReportOptions,
    period: Period | None = None,
    *,
    now_ms: int | None,
    is_corrected: bool = True,
) -> Report:
    """Report on the figures of a source.

    Args:
        source: The source of the figures.
        activities: Descriptions; of several with one id the last counts.
        options: The options of the report.
        period: The period that the events cover.
        now_ms: The time of the report in epoch milliseconds; None if no event can be later.
        is_corrected: As of `compare`.

    Raises:
        MissingExtraError: The extra `report` is not installed, and there is something to compute.
    """
    zone = options.time_zone
    today = math.inf if now_ms is None else day_of_step(zone)((now_ms + _CLOCK_MS) // step_ms(zone))
    sums = source.sums(options.cap, amounts=options.amounts, zone=zone)
    caps: Mapping[str, float] = {} if options.cap is None else dict.fromkeys(sums, options.cap)
    if options.cap_percentile is not None:
        caps = cap_at_percentile(sums, source.visitors(0, zone), options.cap_percentile)
    history: Mapping[str, float] = {}
    if options.cuped is not None:
        history = add_history(sums, source.visitors(options.cuped * DAY_MS, zone), caps)
    described = {activity.id: activity for activity in activities}
    others = sorted(sums.keys() - described.keys(), key=id_sort_key)
    everything = [*described.values(), *(ActivityDescription(key) for key in others)]
    made = tuple(
        msgspec.structs.replace(
            _activity(
                one,
                sums.get(one.id) or ActivitySums(),
                options.for_activity(one.id),
                today,
                is_corrected=is_corrected,
            ),
            cap=caps.get(one.id),
            history=history.get(one.id),
        )
        for one in everything
    )
    return Report(
        options.confidence,
        made,
        period,
        options.fixed,
        options.primary_metric,
        options.planned,
        options.margin,
        options.cap,
        options.cuped,
        zone=options.zone,
    )


def _activity(
    activity: ActivityDescription,
    count: ActivitySums,
    options: ReportOptions,
    today: float,
    *,
    is_corrected: bool,
) -> ActivityReport:
    rows = list(_rows(activity, count))
    others = compared_positions(activity.type, [one.share for one, _ in rows])
    cohorts = [one.cohorts for _, one in rows]
    totals = cumulate(cohorts)
    split, looks = _split(rows, totals, options)
    is_broken = split is not None and (split.sequential or split).is_mismatch
    compared = compare(
        cohorts,
        options,
        compared=others,
        is_broken=is_broken,
        is_corrected=is_corrected,
        parts=_parts([one.share for one, _ in rows]),
    )
    latest = totals[-1][1] if totals else [Cohort() for _ in rows]
    past = [look for look in totals if look[0] <= today]
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
        sample_ratio=split,
        experiences=tuple(_experiences(rows, latest, compared, options, others)),
        compared=visitors_of(latest),
        days_left=days_left(past, today, options.planned),
        idle_days=idle_days(past, today),
        capped=sum(one.capped for one in latest),
        cut=math.fsum(one.cut for one in latest),
        largest_part=_largest_part(latest),
        from_future=visitors_of(latest) - visitors_until(totals, today),
        in_seconds=visitors_until(totals, _SECONDS_TO_DAY) - visitors_until(totals, _SECONDS_FROM_DAY - 1),
        split_over_time=looks if options.over_time and split is not None else None,
        planned=options.planned,
        metric=options.primary_metric,
    )


def compared_positions(kind: str | None, shares: Sequence[float | None]) -> list[int]:
    """Return the positions of the experiences that can be compared with the control.

    Their visitors and the control's are random parts of the activity's. An experience without a
    share has none of them, if others have one, and one with a share of 0 gets none.

    Args:
        kind: The type of the activity.
        shares: The share of each experience, the control's first.
    """
    if kind == TARGETED:
        return []
    others = range(1, len(shares))
    if all(share is None for share in shares):
        return [*others]
    return [place for place in others if shares[place]] if shares[0] else []


def _parts(shares: Sequence[float | None]) -> dict[int, float]:
    """Return the part of the visitors that each experience and the control have by their shares."""
    whole = math.fsum(share for share in shares if share)
    if not shares or not shares[0]:
        return {}
    return {place: (shares[0] + share) / whole for place, share in enumerate(shares) if place and share}


def _largest_part(latest: Sequence[Cohort]) -> float:
    return max((one.largest / one.revenue for one in latest if one.revenue > 0), default=0.0)


_Row = tuple[ExperienceDescription, ExperienceSums]


def _rows(activity: ActivityDescription, count: ActivitySums) -> Iterator[_Row]:
    """Yield the described experiences in their order, then the others."""
    described = {one.id: one for one in activity.experiences}
    others = sorted(count.experiences.keys() - described.keys(), key=id_sort_key)
    for one in (*described.values(), *map(ExperienceDescription, others)):
        yield one, count.experiences.get(one.id) or ExperienceSums()


def _experiences(
    rows: list[_Row],
    latest: Sequence[Cohort],
    compared: Comparison,
    options: ReportOptions,
    others: Collection[int],
) -> Iterator[ExperienceReport]:
    days = verdict_days(compared.metrics, options, others)
    has_earlier = any(one.visitors > own.visitors for (_, one), own in zip(rows, latest, strict=True))
    for place, (row, own, metrics, guardrails, day) in enumerate(
        zip(rows, latest, compared.metrics, compared.guardrails, days, strict=True)
    ):
        is_other = place in others
        found = _conversion_lift(own, latest[0], metrics, options) if is_other else None
        one = _experience(row, rows[0] if is_other else None, found, metrics, guardrails, options)
        yield msgspec.structs.replace(
            one,
            verdict_day=day if one.verdict is not None else None,
            bayes=_bayes(own, latest[0], metrics) if options.bayes and is_other else None,
            since_change=_since_change(own, options) if has_earlier else None,
        )


def _since_change(own: Cohort, options: ReportOptions) -> ComparedFigures:
    return ComparedFigures(
        own.visitors,
        own.conversions,
        round(own.orders),
        own.revenue + own.cut,
        _rate(Sample(own.conversions, own.visitors) if own.visitors else None, options),
    )


def _rate(sample: Sample | None, options: ReportOptions) -> Rate | None:
    return None if sample is None else Rate(sample.rate, rate_interval(sample, options.confidence))


def _experience(
    row: _Row,
    control: _Row | None,
    found: Lift | None,
    metrics: dict[str, MetricReport],
    guardrails: list[GuardrailReport],
    options: ReportOptions,
) -> ExperienceReport:
    experience, count = row
    is_compared = bool(control and control[1].visitors and count.visitors)
    primary = metrics.get(options.primary_metric)
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
        rate=_rate(_sample(count), options),
        lift=found if is_compared else None,
        metrics=metrics,
        guardrails=tuple(guardrails),
        amounts=amount_bins(count.amounts) if options.amounts else None,
        verdict=primary.verdict if primary and is_compared else None,
    )


def _conversion_lift(
    own: Cohort, control: Cohort, metrics: Mapping[str, MetricReport], options: ReportOptions
) -> Lift | None:
    """Return the lift of the visitors since the shares changed."""
    if options.fixed and not isinstance(own, HistoricCohort):
        samples = _samples(own, control)
        return lift(*samples, options.confidence) if samples else None
    found = metrics["conversion"].lift if "conversion" in metrics else None
    return Lift(found.value, found.interval, found.p_value, found.method) if found else None


def _bayes(own: Cohort, control: Cohort, metrics: Mapping[str, MetricReport]) -> BayesReport | None:
    samples, conversion = _samples(own, control), metrics.get("conversion")
    if samples is None or conversion is None or conversion.verdict == "split is broken":
        return None
    return compare_rates(*samples)


def _samples(own: Cohort, control: Cohort) -> tuple[Sample, Sample] | None:
    if not (own.visitors and control.visitors):
        return None
    return Sample(own.conversions, own.visitors), Sample(control.conversions, control.visitors)


def _sample(count: ExperienceSums) -> Sample | None:
    return Sample(count.conversions, count.visitors) if count.visitors else None


def _split(
    rows: list[_Row], totals: Totals, options: ReportOptions
) -> tuple[SampleRatio | None, tuple[SplitLook, ...]]:
    """Check the split between the experiences that have a share, also after each day."""
    shares = {position: one.share for position, (one, _) in enumerate(rows) if one.share}
    made = sample_ratio([rows[position][1].entered for position in shares], list(shares.values()))
    if made is None:
        return None, ()
    looks = split_over_time(totals, shares, fixed=options.fixed)
    p_value = looks[-1].p_value
    if p_value is not None:
        check = SequentialCheck(p_value, p_value < ALARM_BELOW)
        made = msgspec.structs.replace(made, sequential=check)
    return made, looks
