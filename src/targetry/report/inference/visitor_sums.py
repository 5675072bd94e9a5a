"""Sums that need each visitor: caps at a percentile, and values from before the test."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from targetry.ledger.sums import ActivitySums, Cohort, VisitorSums

LEAST_COVERAGE: Final = 0.3
"""Part of the visitors who must have a history, or an adjustment by it is not worth its trust."""


class Covariate(msgspec.Struct, frozen=True):
    """Sums of a value before the test: its total, its squares, and its products with the metric."""

    total: float = 0.0
    squared: float = 0.0
    product: float = 0.0

    def plus(self, other: Covariate) -> Covariate:
        """Return the sums of both."""
        return Covariate(self.total + other.total, self.squared + other.squared, self.product + other.product)


class HistoricCohort(Cohort):
    """Sums of visitors, with those of their values before the test by the name of the metric."""

    history: dict[str, Covariate] = msgspec.field(default_factory=dict)

    def plus(self, other: Cohort) -> HistoricCohort:
        """Return the sums of both cohorts' visitors."""
        more = other.history if isinstance(other, HistoricCohort) else {}
        return HistoricCohort(
            **msgspec.structs.asdict(Cohort.plus(self, other)),
            history={name: one.plus(more.get(name, Covariate())) for name, one in self.history.items()},
        )


def cap_at_percentile(
    sums: Mapping[str, ActivitySums], visitors: Iterable[VisitorSums], percentile: float
) -> dict[str, float]:
    """Cap the revenue of visitors in the cohorts; return the cap of each activity.

    Args:
        sums: The sums by activity id, without a cap.
        visitors: The visitors of all activities.
        percentile: The part of the buyers, within 0..1, whose revenue is at most the cap.
    """
    buyers: defaultdict[str, list[VisitorSums]] = defaultdict(list)
    for one in visitors:
        if one.orders:
            buyers[one.activity_id].append(one)
    caps: dict[str, float] = {}
    for activity_id, found in buyers.items():
        amounts = sorted(one.revenue for one in found if one.revenue > 0)
        if amounts and activity_id in sums:
            # Rounded, since 0.55 times 100 is a little more than 55.
            place = math.ceil(round(percentile * len(amounts), 6)) - 1
            cap = caps[activity_id] = amounts[max(0, place)]
            _cap(sums[activity_id], found, cap)
    return caps


def _cap(sums: ActivitySums, buyers: Sequence[VisitorSums], cap: float) -> None:
    for experience in sums.experiences.values():
        for cohort in experience.cohorts.values():
            cohort.revenue = cohort.revenue_squared = cohort.revenue_orders = 0.0
            cohort.largest = cohort.cut = 0.0
    # In an order that does not depend on that of the events.
    ordered = sorted(buyers, key=lambda one: (one.revenue, one.orders))
    for cohort, one in _with_cohorts(sums, ordered):
        amount = min(one.revenue, cap)
        cohort.revenue += amount
        cohort.revenue_squared += amount * amount
        cohort.revenue_orders += amount * one.orders
        cohort.largest = max(cohort.largest, amount)
        cohort.capped += one.revenue > cap
        cohort.cut += one.revenue - amount


def add_history(
    sums: Mapping[str, ActivitySums], visitors: Iterable[VisitorSums], caps: Mapping[str, float]
) -> dict[str, float]:
    """Add the values from before the test to the cohorts of activities whose visitors have them.

    Args:
        sums: The sums by activity id.
        visitors: The visitors of all activities, with their history.
        caps: The amount up to which a visitor's revenue counts, of activities that have one.

    Returns:
        The part of each activity's visitors who have a history.
    """
    everyone: defaultdict[str, list[VisitorSums]] = defaultdict(list)
    for one in visitors:
        everyone[one.activity_id].append(one)
    coverage = {
        activity_id: sum(one.has_history for one in found) / len(found)
        for activity_id, found in everyone.items()
    }
    for activity_id, part in coverage.items():
        if part >= LEAST_COVERAGE and activity_id in sums:
            _add_history(sums[activity_id], everyone[activity_id], caps.get(activity_id, math.inf))
    return coverage


def _add_history(sums: ActivitySums, visitors: Iterable[VisitorSums], cap: float) -> None:
    for experience in sums.experiences.values():
        experience.cohorts = {
            day: HistoricCohort(**msgspec.structs.asdict(cohort))
            for day, cohort in experience.cohorts.items()
        }
    for cohort, one in _with_cohorts(sums, visitors):
        assert isinstance(cohort, HistoricCohort)
        values = {
            "conversion": (one.has_converted, one.converted_before),
            "orders": (one.orders, one.orders_before),
            "revenue": (min(one.revenue, cap), min(one.revenue_before, cap)),
        }
        cohort.history = {
            name: cohort.history.get(name, Covariate()).plus(
                Covariate(before, before * before, value * before)
            )
            for name, (value, before) in values.items()
        }


def _with_cohorts(
    sums: ActivitySums, visitors: Iterable[VisitorSums]
) -> Iterable[tuple[Cohort, VisitorSums]]:
    for one in visitors:
        experience = sums.experiences.get(one.experience_id)
        if experience is not None and (cohort := experience.cohorts.get(one.day)):
            yield cohort, one
