"""Texts about experiences in the output of `targetry report`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from targetry.humanize.text import truncate_text
from targetry.report.looks import Look
from targetry.report.report import ActivityReport, ExperienceReport


def variance_text(activity: ActivityReport, experience: ExperienceReport) -> str:
    """Return what the adjustment by the time before the test did to the variance of a lift."""
    metric = experience.metrics.get(activity.metric)
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


def looks_by_day(activity: ActivityReport) -> list[tuple[ExperienceReport, Look]]:
    """Return the figures of the primary metric after each day, none if the report lacks them."""
    rows = [
        (one, look)
        for one in activity.experiences
        if (metric := one.metrics.get(activity.metric))
        for look in metric.over_time or ()
    ]
    return sorted(rows, key=lambda row: row[1].day)


def day_text(day: int) -> str:
    """Return a day since 1970 as an ISO date."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
    except OverflowError:
        return f"day {day}"
