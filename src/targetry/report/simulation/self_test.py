"""Self test of the statistics: simulated tests that are looked at again and again.

Each scenario draws visitors whose truth is known, follows them with the functions of the report
from the first look to the last, and counts the runs in which a figure was ever wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from targetry.ledger.sums import Cohort
from targetry.report.inference.confidence_sequence import DEFAULT_PLANNED, ConfidenceSequence
from targetry.report.inference.heterogeneity import heterogeneity
from targetry.report.inference.metrics import METRICS, ReportMetric
from targetry.report.inference.plan import PlanOptions, make_plan
from targetry.report.inference.sample_size import Baseline
from targetry.report.inference.split_check import ALARM_BELOW, split_p_value
from targetry.report.looks import Compared, Totals, follow
from targetry.report.options import METRIC_NAMES, MONEY
from targetry.report.simulation.error_rate import ErrorRate, error_rate, least_p_value, sequential_method
from targetry.report.simulation.groups import (
    Array,
    draw_group,
    draw_group_with_history,
    draw_rates,
    look_sizes,
)

ALPHA: Final = 0.05
_LIFT: Final = 0.2
_MARGIN: Final = 0.02
_RATE: Final = 0.05
_HIGH_RATE: Final = 0.97
_DAYS: Final = 20
_DAILY: Final = 1_000  # visitors of a group
_DAYS_TO_CONVERT: Final = 4  # on average
_CAP: Final = 100.0
_POWER: Final = 0.8
_SEGMENTS: Final = (0.4, 0.3, 0.2, 0.06, 0.04)  # parts of the visitors
_TOLERANCE: Final = 0.03  # of the chance to miss a lift that a test was planned for

Progress = Callable[[int, int], object]


class Scenario(NamedTuple):
    """Kind of simulated tests.

    A run returns for each name whether that figure was ever wrong, which may happen in `limit` of
    the runs. `factor` multiplies the number of runs: a small limit needs more.
    """

    names: Sequence[str]
    looks: int
    limit: float
    run: Callable[[np.random.Generator], Sequence[bool]]
    factor: int = 1


def run_self_test(runs: int, seed: int, progress: Progress | None = None) -> list[ErrorRate]:
    """Simulate all scenarios.

    Args:
        runs: The runs of each scenario.
        seed: The seed of the random numbers.
        progress: Receives the numbers of finished and of all runs.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    scenarios = _scenarios()
    found = []
    done, whole = 0, runs * sum(one.factor for one in scenarios)
    for place, scenario in enumerate(scenarios):
        random = np.random.default_rng([seed, place])
        wrong = np.zeros(len(scenario.names), np.int64)
        for _ in range(runs * scenario.factor):
            wrong += scenario.run(random)
            done += 1
            if progress is not None:
                progress(done, whole)
        found += [
            error_rate(name, scenario.looks, int(count), runs * scenario.factor, scenario.limit)
            for name, count in zip(scenario.names, wrong, strict=True)
        ]
    return found


def _scenarios() -> list[Scenario]:
    long, short = look_sizes(20, 50_000, 400), look_sizes(20, 20_000, 170)
    return [
        *(_equal_rates(rate, long) for rate in (0.5, 0.1, 0.03, 0.01)),
        _equal_money(None, short),
        _equal_money(_CAP, short),
        _several(look_sizes(20, 20_000, 100)),
        _better_rate(short),
        _better_money(short),
        _guardrails(short),
        *(_split(shares, look_sizes(10, 100_000, 330)) for shares in ((50.0, 50.0), (10.0, 90.0))),
        _broken_split(look_sizes(10, 100_000, 330)),
        _planned(),
        _adjusted(look_sizes(50, 5_000, 110)),
        _segments(look_sizes(20, 20_000, 100)),
        _unequal_shares(look_sizes(100, 40_000, 170)),
        _late_conversions(),
    ]


def _equal_rates(rate: float, sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        return [
            _alarms("conversion", _pair(draw_rates(random, sizes, rate), draw_rates(random, sizes, rate)))
        ]

    return Scenario([f"false alarm: conversion of {100 * rate:g} %"], len(sizes), ALPHA, run)


def _equal_money(cap: float | None, sizes: Array) -> Scenario:
    metrics = METRIC_NAMES[1:] if cap is None else MONEY

    def run(random: np.random.Generator) -> list[bool]:
        totals = _pair(*(draw_group(random, sizes, _RATE, cap=cap) for _ in range(2)))
        return [_alarms(one, totals) for one in metrics]

    kind = "" if cap is None else ", capped"
    return Scenario(
        [f"false alarm: {METRICS[one].label.lower()}{kind}" for one in metrics],
        len(sizes),
        ALPHA,
        run,
    )


def _several(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        totals = _pair(*(draw_rates(random, sizes, 0.1) for _ in range(4)))
        p_value = least_p_value("conversion", totals, sequential_method(ALPHA, DEFAULT_PLANNED, 3))
        return [p_value is not None and p_value < ALPHA]

    return Scenario(["false alarm: any of 3 experiences"], len(sizes), ALPHA, run)


def _better_rate(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        control, other = (draw_rates(random, sizes, rate) for rate in (_RATE, _RATE * (1 + _LIFT)))
        return [_misses("conversion", _pair(control, other), _LIFT)]

    return Scenario(["true lift missed: conversion"], len(sizes), ALPHA, run)


def _better_money(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        control, other = (draw_group(random, sizes, _RATE, factor) for factor in (1.0, 1 + _LIFT))
        return [_misses(one, _pair(control, other), _LIFT) for one in MONEY]

    return Scenario(
        [f"true lift missed: {METRICS[one].label.lower()}" for one in MONEY],
        len(sizes),
        ALPHA,
        run,
    )


def _guardrails(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        control, same, lower = (draw_group(random, sizes, _RATE, one) for one in (1.0, 1.0, 1 - _MARGIN))
        harmless = _one_sided(_pair(control, same))
        at_margin = _one_sided(_pair(control, lower))
        return [
            at_margin is not None and at_margin.low > -_MARGIN,
            harmless is not None and harmless.high < 0,
        ]

    return Scenario(
        [
            "guardrail safe at its margin",
            "guardrail harmed without a difference",
        ],
        len(sizes),
        ALPHA,
        run,
    )


def _adjusted(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        control, same, other = (draw_group_with_history(random, sizes, one) for one in (1.0, 1.0, 1 + _LIFT))
        return [
            _alarms("revenue", _pair(control, same)),
            _misses("revenue", _pair(control, other), _LIFT),
        ]

    return Scenario(
        ["false alarm: revenue adjusted by history", "true lift missed: adjusted revenue"],
        len(sizes),
        ALPHA,
        run,
    )


def _segments(sizes: Array) -> Scenario:
    """Return tests of a true lift that is the same in each of several segments."""
    of_each = [np.maximum(1, (part * sizes).astype(np.int64)) for part in _SEGMENTS]

    def run(random: np.random.Generator) -> list[bool]:
        metric = METRICS["conversion"]
        looks = zip(
            *(
                zip(*(draw_rates(random, one, rate) for rate in (_RATE, _RATE * (1 + _LIFT))), strict=True)
                for one in of_each
            ),
            strict=True,
        )
        return [any(_differ(metric, segments) for segments in looks)]

    return Scenario([f"false alarm: equal lifts of {len(_SEGMENTS)} segments differ"], len(sizes), ALPHA, run)


def _differ(metric: ReportMetric, segments: Sequence[tuple[Cohort, Cohort]]) -> bool:
    pairs = [
        (own, base)
        for control, other in segments
        if min(metric.count(control), metric.count(other)) >= metric.least
        and (own := metric.estimate(other))
        and (base := metric.estimate(control))
    ]
    found = heterogeneity(pairs, ConfidenceSequence(ALPHA))
    return found is not None and found.p_value < ALPHA


def _split(shares: tuple[float, float], sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        return [_split_alarms(random, sizes, shares[0], shares)]

    return Scenario([f"false alarm: split {shares[0]:g}/{shares[1]:g}"], len(sizes), ALARM_BELOW, run, 4)


def _unequal_shares(sizes: Array) -> Scenario:
    """Return tests in which the variance of a small group is unknown for long."""
    smaller = sizes // 10

    def run(random: np.random.Generator) -> list[bool]:
        parts = (sizes - smaller, smaller)
        rates = _pair(*(draw_rates(random, one, _HIGH_RATE) for one in parts))
        money = _pair(*(draw_group(random, one, _RATE, cap=_CAP) for one in parts))
        alike = [(day, list(map(_with_one_price, pair))) for day, pair in rates]
        return [_alarms("conversion", rates), _alarms("revenue", money), _alarms("revenue", alike)]

    return Scenario(
        [
            f"false alarm: conversion of {100 * _HIGH_RATE:g} %, shares 90/10",
            "false alarm: revenue per visitor, capped, shares 90/10",
            f"false alarm: revenue of {100 * _HIGH_RATE:g} % at one price, shares 90/10",
        ],
        len(sizes),
        ALPHA,
        run,
    )


def _with_one_price(sums: Cohort) -> Cohort:
    """Return the sums with an order of each converter, all of the amount 1."""
    count, total = sums.conversions, float(sums.conversions)
    return Cohort(sums.visitors, count, count, total, total, total, total, total)


def _late_conversions() -> Scenario:
    """Return tests whose visitors convert days later, which changes the figures of earlier days."""
    visitors = _DAILY * np.arange(1, _DAYS + 1)

    def draw(random: np.random.Generator) -> Array:
        """Return the conversions up to a day (column) of the visitors up to a day (row)."""
        day = np.repeat(np.arange(_DAYS), random.binomial(_DAILY, _RATE, _DAYS))
        converts = day + np.floor(random.exponential(_DAYS_TO_CONVERT, len(day))).astype(np.int64)
        counts = np.zeros((_DAYS, _DAYS), np.int64)
        is_seen = converts < _DAYS
        np.add.at(counts, (day[is_seen], converts[is_seen]), 1)
        return counts.cumsum(axis=0).cumsum(axis=1)

    def run(random: np.random.Generator) -> list[bool]:
        groups = [draw(random) for _ in range(2)]
        return [
            any(
                _alarms("conversion", _pair(*(_cohorts(visitors, one[:, day], day) for one in groups)))
                for day in range(_DAYS)
            )
        ]

    return Scenario([f"false alarm: conversions {_DAYS_TO_CONVERT} days later"], _DAYS, ALPHA, run)


def _cohorts(visitors: Array, conversions: Array, last: int) -> list[Cohort]:
    """Return the sums after each day up to the last one."""
    rows = zip(visitors[: last + 1].tolist(), conversions[: last + 1].tolist(), strict=True)
    return [Cohort(*row) for row in rows]


def _broken_split(sizes: Array) -> Scenario:
    def run(random: np.random.Generator) -> list[bool]:
        return [not _split_alarms(random, sizes, 51.0, (50.0, 50.0))]

    return Scenario(["not found: split 51/49 in place of 50/50"], len(sizes), 0.02, run)


def _planned() -> Scenario:
    plan = make_plan(PlanOptions(baseline=Baseline(_RATE), lift=_LIFT, power=_POWER))
    first = math.ceil(plan.groups[0] / 50)
    sizes = look_sizes(first, plan.groups[0], 200)

    def run(random: np.random.Generator) -> list[bool]:
        control, other = (draw_rates(random, sizes, rate) for rate in (_RATE, _RATE * (1 + _LIFT)))
        return [not _alarms("conversion", _pair(control, other), plan.visitors)]

    return Scenario(
        [f"not found: lift planned for {100 * _POWER:g} % power"], len(sizes), 1 - _POWER + _TOLERANCE, run
    )


def _pair(*groups: Sequence[Cohort]) -> Totals:
    return list(enumerate(zip(*groups, strict=True)))


def _compared(metric: str, totals: Totals, alpha: float, planned: int = DEFAULT_PLANNED) -> Compared | None:
    series = follow(METRICS[metric], totals, 1, sequential_method(alpha, planned), is_compared=True)
    return series.compared if series else None


def _alarms(metric: str, totals: Totals, planned: int = DEFAULT_PLANNED) -> bool:
    """Return whether a difference was significant at any look."""
    found = _compared(metric, totals, ALPHA, planned)
    return found is not None and found.p_value < ALPHA


def _misses(metric: str, totals: Totals, lift: float) -> bool:
    """Return whether the interval of any look excluded the true lift."""
    found = _compared(metric, totals, ALPHA)
    return found is not None and not found.low <= lift <= found.high


def _one_sided(totals: Totals) -> Compared | None:
    """Return the lift of a guardrail, whose interval is one-sided at twice the level."""
    return _compared("revenue", totals, 2 * ALPHA)


def _split_alarms(
    random: np.random.Generator, sizes: Array, share: float, shares: tuple[float, float]
) -> bool:
    """Draw a split; return whether any look finds it broken."""
    first = np.cumsum(random.binomial(np.diff(sizes, prepend=0), share / 100))
    looks = zip(first.tolist(), (sizes - first).tolist(), strict=True)
    return any(split_p_value(look, shares) < ALARM_BELOW for look in looks)
