"""Notes on the figures of an activity: what is compared, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from targetry.humanize.figures import describe_unusable_totals, pluralize
from targetry.humanize.text import truncate_text
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.visitor_sums import LEAST_COVERAGE
from targetry.report.looks import Look
from targetry.report.report import ActivityReport, ExperienceReport, Report
from targetry.report.verdicts import describe_cap, describe_largest_part

_LARGE_PART = 0.05  # of the revenue
_LITTLE_LEFT = 0.95  # of the variance


def activity_notes(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield the notes on an activity in the order of their weight."""
    if activity.shares_since_ms and activity.compared < activity.visitors:
        yield f"compares the {pluralize(activity.compared, 'visitor')} since the shares changed"
    yield from _incomparable(report, activity)
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
    if activity.orders and activity.largest_part > _LARGE_PART and activity.orders > 1 / _LARGE_PART:
        yield describe_largest_part(activity.largest_part)
    if activity.switched:
        visitors = pluralize(activity.switched, "visitor")
        yield f"{visitors} saw more than one experience and count for the first one"
    if activity.outside:
        visitors = pluralize(activity.outside, "visitor")
        yield f"{visitors} clicked or ordered without an earlier impression"
    if activity.from_future:
        visitors = pluralize(activity.from_future, "visitor")
        yield f"{visitors} came in the future: the clock of an edge or of this machine is wrong"
    if activity.unusable_totals:
        yield describe_unusable_totals(activity.unusable_totals)


def variance_text(report: Report, experience: ExperienceReport) -> str:
    """Return what the adjustment by the time before the test did to the variance of a lift."""
    metric = experience.metrics.get(report.metric)
    if metric is None or metric.lift is None:
        return ""
    left = metric.lift.variance_left
    if left is None:
        return "–"
    return f"{round(100 * (left - 1)) or 0:+} %"


def bayes_notes(activity: ActivityReport) -> Iterator[str]:
    """Yield the chances to beat the control, and what they are worth."""
    for one in activity.experiences:
        if one.bayes is not None:
            chance = f"{100 * one.bayes.chance_to_beat_control:.1f} % chance to beat the control"
            loss = f"expected loss {100 * one.bayes.expected_loss:.3f} points of conversion"
            yield f"{truncate_text(one.label)}: {chance}, {loss}"
    if any(one.bayes for one in activity.experiences):
        yield "these chances are for one look: looking again and again misleads"


def looks_by_day(report: Report, activity: ActivityReport) -> list[tuple[ExperienceReport, Look]]:
    """Return the figures of the primary metric after each day, none if the report lacks them."""
    rows = [
        (one, look)
        for one in activity.experiences
        if (metric := one.metrics.get(report.metric))
        for look in metric.over_time or ()
    ]
    return sorted(rows, key=lambda row: row[1].day)


def day_text(day: int) -> str:
    """Return a day since 1970 as an ISO date, in UTC."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
    except OverflowError:
        return f"day {day}"


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
            one.metrics[report.metric].lift for one in activity.experiences if report.metric in one.metrics
        ]
        left = [one.variance_left for one in lifts if one is not None and one.variance_left is not None]
        if not left and any(lifts):
            reason = "" if report.metric == "rpo" else ": all visitors did the same before"
            yield f"{METRICS[report.metric].label.lower()} is not adjusted{reason}"
        elif left and min(left) > _LITTLE_LEFT:
            yield "the adjustment hardly reduces the variance: what visitors did before does not predict the metric"


def _incomparable(report: Report, activity: ActivityReport) -> Iterator[str]:
    """Yield why experiences or a metric are not compared."""
    if any(one.share is not None for one in activity.experiences):
        for one in activity.experiences:
            if one.share is None and one.visitors:
                name = truncate_text(one.label)
                yield f"{name} is no longer part of the activity and is not compared"
    control = activity.experiences[0].metrics.get(report.metric) if activity.experiences else None
    others = (one.metrics.get(report.metric) for one in activity.experiences[1:])
    if activity.type != "landing" and control and control.mean <= 0 and control.counted and any(others):
        label = METRICS[report.metric].label.lower()
        yield f"the control's {label} is not above 0, so there is no lift"
