"""Figures after each day that involve several experiences: traffic, split, and day of a verdict."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from targetry.ledger.sums import AMOUNT_BINS, Cohort
from targetry.report.comparison import MetricReport
from targetry.report.inference.multiple_comparisons import holm
from targetry.report.inference.split_check import split_p_value
from targetry.report.looks import Totals
from targetry.report.options import ReportOptions

_SIGNIFICANT: Final = ("better", "worse")
_RECENT_DAYS: Final = 14


class SplitLook(msgspec.Struct, frozen=True, rename="camel"):
    """Visitors of each experience up to a day, in days since 1970.

    `p_value` is the least one so far of the sequential check; None in a report for one look.
    """

    day: int
    visitors: tuple[int, ...]
    p_value: float | None


class AmountBin(msgspec.Struct, frozen=True):
    """Number of buyers whose revenue is at least `low` and less than `high`."""

    low: float
    high: float
    buyers: int


def split_over_time(totals: Totals, shares: Mapping[int, float], *, fixed: bool) -> tuple[SplitLook, ...]:
    """Return the split after each day.

    Args:
        totals: The sums of all experiences after each day.
        shares: The shares of the experiences that are checked, by their positions.
        fixed: Whether the check is for one look at the end.
    """
    p_value = 1.0
    found = []
    for day, sums in totals:
        look = split_p_value([sums[one].visitors for one in shares], list(shares.values()))
        p_value = min(p_value, look)
        found.append(SplitLook(day, tuple(one.visitors for one in sums), None if fixed else p_value))
    return tuple(found)


def amount_bins(amounts: Mapping[int, int]) -> tuple[AmountBin, ...]:
    """Return the distribution of amounts, the smallest first."""
    return tuple(
        AmountBin(10 ** (place / AMOUNT_BINS), 10 ** ((place + 1) / AMOUNT_BINS), buyers)
        for place, buyers in sorted(amounts.items())
    )


def visitors_of(sums: Iterable[Cohort]) -> int:
    """Return the visitors of all experiences."""
    return sum(one.visitors for one in sums)


def visitors_until(totals: Totals, day: float) -> int:
    """Return the visitors of all experiences up to a day, in days since 1970."""
    return visitors_of(next((sums for at, sums in reversed(totals) if at <= day), ()))


def days_left(totals: Totals, today: float, planned: int | None) -> int | None:
    """Return the days until a plan is reached, at the rate of the last two weeks.

    Args:
        totals: The sums of all experiences after each day up to today.
        today: The day of the report, in days since 1970; infinite if it is not known.
        planned: The planned visitors, None without a plan.

    Returns:
        The days, 0 if the plan is reached; None without a plan or without recent visitors.
    """
    if planned is None or not totals:
        return None
    visitors = visitors_of(totals[-1][1])
    if visitors >= planned:
        return 0
    last = totals[-1][0] + idle_days(totals, today)
    recent = visitors - visitors_until(totals, last - _RECENT_DAYS)
    days = min(_RECENT_DAYS, last - totals[0][0] + 1)
    return math.ceil((planned - visitors) * days / recent) if recent else None


def idle_days(totals: Totals, today: float) -> int:
    """Return the days between that of the latest visitor and today, which has only begun.

    Arguments are as of `days_left`; 0 if today is not known.
    """
    return int(max(0, today - 1 - totals[-1][0])) if totals and math.isfinite(today) else 0


def verdict_days(
    metrics: Sequence[Mapping[str, MetricReport]], options: ReportOptions, compared: Collection[int]
) -> list[int | None]:
    """Return the day on which each experience's verdict was reached, in days since 1970.

    It is None without a final verdict, in a report for one look, and without figures of each day.

    Args:
        metrics: The metrics of each experience, with their figures of each day.
        options: The options of the report.
        compared: Positions of the experiences that are compared with the first one.
    """
    reports = [one.get(options.primary_metric) for one in metrics]
    if options.fixed:
        return [None for _ in reports]
    significant = _significant_days(reports, options, compared)
    return [
        significant.get(position)
        if report is not None and report.verdict in _SIGNIFICANT
        else _settled_day(report, options)
        for position, report in enumerate(reports)
    ]


def _significant_days(
    reports: Sequence[MetricReport | None], options: ReportOptions, compared: Collection[int]
) -> dict[int, int]:
    """Return the first day on which the corrected p-value of each experience is below alpha."""
    found: dict[int, int] = {}
    latest = dict.fromkeys(compared, 1.0)
    looks = [
        (look.day, position, look.p_value)
        for position, one in enumerate(reports)
        if position in latest and one is not None
        for look in one.over_time or ()
        if look.p_value is not None
    ]
    for day in sorted({day for day, _, _ in looks}):
        latest |= {position: p_value for at, position, p_value in looks if at == day}
        for position, p_value in zip(latest, holm(list(latest.values())), strict=True):
            if p_value < options.alpha:
                found.setdefault(position, day)
    return found


def _settled_day(report: MetricReport | None, options: ReportOptions) -> int | None:
    """Return the day since which the interval lies within the margin."""
    margin = options.margin
    if report is None or margin is None or report.verdict != "no difference":
        return None
    day = None
    for look in reversed(report.over_time or ()):
        interval = look.lift_interval
        if interval is None or interval.low <= -margin or interval.high >= margin:
            break
        day = look.day
    return day
