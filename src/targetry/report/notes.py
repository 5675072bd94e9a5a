"""Notes on the figures of an activity: what is compared, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from targetry.humanize.figures import describe_unusable_totals, pluralize
from targetry.humanize.text import truncate_text
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.visitor_sums import LEAST_COVERAGE
from targetry.report.options import DEFAULT_METRIC
from targetry.report.report import TARGETED, ActivityReport, Report
from targetry.report.verdicts import describe_cap, describe_largest_part

_LARGE_PART: Final = 0.05  # of an experience's revenue
_LITTLE_LEFT: Final = 0.95  # of the variance
_MANY_IDLE_DAYS: Final = 3  # more than a weekend


def describe_visitors(activity: ActivityReport) -> str:
    """Return the number of an activity's visitors, and of those who are planned."""
    visitors = pluralize(activity.visitors, "visitor")
    if activity.planned is None:
        return visitors
    if activity.compared == activity.visitors:
        return f"{visitors} of {activity.planned:,} planned"
    return f"{visitors}, {activity.compared:,} of {activity.planned:,} planned since the shares changed"


def activity_notes(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield the notes on an activity in the order of their weight."""
    if activity.metric != DEFAULT_METRIC:
        yield f"the primary metric, which decides, is {METRICS[activity.metric].label.lower()}"
    if activity.shares_since_ms and activity.compared < activity.visitors:
        since = pluralize(activity.compared, "visitor")
        figures = f"the figures are those of {since}" if activity.compared else "no visitor has come"
        yield f"{figures} since the shares changed; earlier visitors are not comparable"
    yield from _incomparable(report, activity)
    is_waiting = any(one.verdict in ("not yet", "too early") for one in activity.experiences)
    if is_waiting and activity.idle_days >= _MANY_IDLE_DAYS:
        yield (
            f"no visitor has come for {activity.idle_days:,} days: check that the activity is live, "
            "and that its events are recorded"
        )
    if any(
        metric.lift and metric.lift.has_drifted
        for one in activity.experiences
        for metric in one.metrics.values()
    ):
        yield "the intervals of different days do not meet: the difference changes over time, so there is no verdict"
    yield from _adjustment(report, activity)
    if activity.capped:
        yield describe_cap(activity.capped, activity.cut)
    if report.cap is None and activity.cap is not None:
        yield f"the cap is {activity.cap:,.2f}, a percentile of the buyers' revenue"
    has_many = activity.orders > len(activity.experiences) / _LARGE_PART
    if has_many and activity.largest_part > _LARGE_PART:
        yield describe_largest_part(activity.largest_part)
    if activity.switched:
        visitors = pluralize(activity.switched, "visitor")
        yield f"{visitors} saw more than one experience; the first one counts"
    if activity.outside:
        visitors = pluralize(activity.outside, "visitor")
        yield f"{visitors} clicked or ordered without an earlier impression"
    if activity.from_future:
        visitors = pluralize(activity.from_future, "visitor")
        yield f"{visitors} came in the future: the clock of an edge or of this machine is wrong"
    if activity.in_seconds:
        visitors = pluralize(activity.in_seconds, "visitor")
        yield (
            f"{visitors} came in January or February 1970: the times of their notifications seem to be seconds; "
            "send milliseconds"
        )
    if activity.unusable_totals:
        yield describe_unusable_totals(activity.unusable_totals)


def _adjustment(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield whether the figures are adjusted by the time before the test."""
    if activity.history is None:
        return
    days = "day" if report.cuped == 1 else f"{report.cuped} days"
    have = f"{100 * activity.history:.0f} % of the visitors have events in the {days} before"
    if activity.history < LEAST_COVERAGE:
        yield f"not adjusted: {have}, and {100 * LEAST_COVERAGE:.0f} % are needed"
    else:
        yield f"lifts are adjusted by the time before the first impression: {have}"
        lifts = [
            one.metrics[activity.metric].lift
            for one in activity.experiences
            if activity.metric in one.metrics
        ]
        left = [one.variance_left for one in lifts if one is not None and one.variance_left is not None]
        if not left and any(lifts):
            reason = "" if activity.metric == "rpo" else ": all visitors did the same before"
            yield f"{METRICS[activity.metric].label.lower()} is not adjusted{reason}"
        elif left and min(left) > _LITTLE_LEFT:
            yield "the adjustment hardly reduces the variance: what visitors did before does not predict the metric"


def _incomparable(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield why experiences or a metric are not compared."""
    if any(one.share is not None for one in activity.experiences):
        for one in activity.experiences:
            if one.share is None and one.visitors:
                name = truncate_text(one.label)
                yield f"{name} is no longer part of the activity and is not compared"
    if (
        activity.metric != "conversion"
        and activity.visitors
        and not activity.orders
        and len(activity.experiences) > 1
    ):
        yield f"no order is recorded, so {METRICS[activity.metric].label.lower()} is not compared"
    control = activity.experiences[0].metrics.get(activity.metric) if activity.experiences else None
    others = [metric for one in activity.experiences[1:] if (metric := one.metrics.get(activity.metric))]
    if activity.type == TARGETED or control is None or control.mean > 0 or not others:
        return
    label = METRICS[activity.metric].label.lower()
    if control.counted:
        yield f"the control's {label} is not above 0, so there is no lift"
    elif any(one.verdict == "better" for one in others):
        yield f"the control's {label} is 0, so there is no lift: check that the control's events are recorded"
