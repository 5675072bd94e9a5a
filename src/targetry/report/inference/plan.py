"""Plan of a test: the visitors that it needs for a lift, and the lifts that visitors can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from targetry.errors import OptionError
from targetry.report.inference.metrics import MANY, METRICS
from targetry.report.inference.sample_size import (
    Baseline,
    comparable_sample,
    means_sample,
    rates_sample,
    sequential_factor,
    smallest_lift,
)

_LEAST_LIFT, _MOST_LIFT = 1e-4, 100.0
_WEEKS: Final = (1, 2, 4)
_WEEK_DAYS: Final = 7
_MOST_VISITORS: Final = 2**53 - 1


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Goals and circumstances of a planned test.

    Attributes:
        baseline: The control's mean, and for a metric other than a rate its standard deviation.
        lift: The lift to find, as a fraction; None to compute it from `visitors`.
        visitors: Visitors of the whole test; None to compute them from `lift`.
        power: Chance of finding the lift.
        alpha: Chance of a false alarm in the whole test.
        shares: Shares of the experiences; the first is the control's.
        metrics: Number of metrics that decide; with the experiences they give the comparisons.
        daily: Visitors of a day.
        fixed: Whether the test is looked at once, at its end.

    Raises:
        OptionError: A value is out of range, or `lift` and `visitors` are both given or both
            missing.
    """

    baseline: Baseline
    lift: float | None = None
    visitors: int | None = None
    power: float = 0.8
    alpha: float = 0.05
    shares: tuple[float, ...] = (50.0, 50.0)
    metrics: int = 1
    daily: float | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        if (self.lift is None) == (self.visitors is None):
            raise OptionError("lift", "either a lift or a number of visitors must be given")
        for name in ("power", "alpha"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise OptionError(name, f"must be a number between 0 and 1, not {value!r}")
        if self.power <= self.alpha:
            raise OptionError("power", f"must be above alpha ({self.alpha:g}), not {self.power:g}")
        check_shares(self.shares)
        if self.metrics < 1:
            raise OptionError("metrics", f"must be at least 1, not {self.metrics}")
        if self.visitors is not None and self.visitors < 1:
            raise OptionError("visitors", f"must be at least 1, not {self.visitors!r}")
        if self.daily is not None and not (math.isfinite(self.daily) and self.daily > 0):
            raise OptionError("daily", f"must be a number above 0, not {self.daily!r}")
        self._check_baseline()

    def _check_baseline(self) -> None:
        mean, deviation = self.baseline.mean, self.baseline.deviation
        if not (math.isfinite(mean) and mean > 0):
            raise OptionError("baseline", f"must be a number above 0, not {mean!r}")
        if deviation is not None:
            if not (math.isfinite(deviation) and deviation > 0):
                raise OptionError("deviation", f"must be a number above 0, not {deviation!r}")
        elif mean >= 1:
            raise OptionError("baseline", f"must be a rate below 100 %, not {100 * mean:g} %")
        if self.lift is None:
            return
        if not math.isfinite(self.lift) or self.lift == 0 or self.lift <= -1:
            raise OptionError("lift", f"must be a percentage above -100 and not 0, not {100 * self.lift:g}")
        if deviation is None and mean * (1 + self.lift) >= 1:
            raise OptionError("lift", f"makes a rate of 100 % or more of {100 * mean:g} %")


def check_shares(shares: Sequence[float]) -> None:
    """Raise `OptionError` unless these are the shares of two or more experiences."""
    if len(shares) < 2 or not all(math.isfinite(one) and one > 0 for one in shares):
        raise OptionError("shares", f"must be two or more numbers above 0, not {list(shares)}")


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    """Plan of a test.

    `groups` are the visitors of each experience, `visitors` those of the whole test. `days` are
    whole weeks, since the days of a week differ; None without daily visitors. `factor` is the size
    of the test as a multiple of one that is looked at once. `is_least` says that the lift needs
    fewer visitors than a report needs for a comparison. `after_weeks` has the smallest lift that
    can be found after some weeks, None where even a lift of 10,000 % cannot.
    """

    lift: float | None
    visitors: int
    groups: list[int]
    days: int | None
    factor: float
    alpha: float
    power: float
    after_weeks: dict[int, float | None]
    is_least: bool = False


def make_plan(options: PlanOptions) -> Plan:
    """Compute a plan.

    Raises:
        OptionError: The lift needs more visitors than can be counted.
        MissingExtraError: The extra `report` is not installed.
    """
    sizes = _Sizes(options)
    if options.lift is not None:
        lift: float | None = options.lift
        visitors = _counted(sizes.whole(options.lift), len(options.shares))
    else:
        assert options.visitors is not None
        visitors = options.visitors
        lift = sizes.smallest_lift(visitors)
    return Plan(
        lift=lift,
        visitors=visitors,
        groups=[math.ceil(visitors * one / math.fsum(options.shares)) for one in options.shares],
        days=_days(visitors, options.daily),
        factor=sizes.factor,
        alpha=sizes.alpha,
        power=options.power,
        after_weeks={
            weeks: sizes.smallest_lift(weeks * _WEEK_DAYS * options.daily)
            for weeks in (_WEEKS if options.daily else ())
            if options.daily
        },
        is_least=options.lift is not None and sizes.of_test(options.lift) < sizes.of_comparison(options.lift),
    )


def sample_curve(options: PlanOptions, lift: float) -> list[tuple[float, float]]:
    """Return lifts from a half to three times one, with the visitors of the whole test for each.

    Lifts that are not possible are left out: a mean stays above 0, and a rate below 100 %.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    sizes = _Sizes(options)
    lifts = [lift * step / 20 for step in range(10, 61)]
    return [(one, sizes.whole(one)) for one in lifts if -1 < one <= _most(options)]


class _Sizes:
    """Visitors of the whole test that lifts need; the experience that needs most decides.

    `alpha` is the chance of a false alarm in each comparison, `factor` that of `Plan`.
    """

    def __init__(self, options: PlanOptions) -> None:
        self._options = options
        self.alpha = options.alpha / ((len(options.shares) - 1) * options.metrics)
        self.factor = 1.0 if options.fixed else sequential_factor(self.alpha, options.power)

    def whole(self, lift: float) -> float:
        """Return the visitors for the test and for its comparisons."""
        return max(self.of_test(lift), self.of_comparison(lift))

    def of_test(self, lift: float) -> float:
        """Return the visitors with whom the test finds a lift."""
        options, baseline = self._options, self._options.baseline

        def sample(ratio: float) -> float:
            if baseline.deviation is not None:
                difference = baseline.mean * lift
                return means_sample(baseline.deviation, difference, self.alpha, options.power, ratio)
            rates = baseline.mean, baseline.mean * (1 + lift)
            return rates_sample(*rates, self.alpha, options.power, ratio, is_pooled=options.fixed)

        return self.factor * self._largest(sample)

    def of_comparison(self, lift: float) -> float:
        """Return the visitors with whom a report compares rates; 0 for other metrics."""
        if self._options.baseline.deviation is not None:
            return 0.0
        first, least, power = self._options.baseline.mean, METRICS["conversion"].least, self._options.power
        second = first * (1 + lift)
        return self._largest(lambda one: comparable_sample(first, second, least, MANY * least, power, one))

    def smallest_lift(self, visitors: float) -> float | None:
        """Return the smallest gain that visitors can show, None if they cannot show any."""
        found = smallest_lift(self.of_test, visitors, _LEAST_LIFT, _most(self._options))
        if found is None or self.of_comparison(found) <= visitors:
            return found
        half = 0.5 / self._options.baseline.mean - 1  # up to which a lift makes rare conversions frequent
        return smallest_lift(self.of_comparison, visitors, found, half) if half > found else None

    def _largest(self, sample: Callable[[float], float]) -> float:
        control, *others = self._options.shares
        try:
            size = max(sample(share / control) for share in others)
        except (OverflowError, ZeroDivisionError):  # more than a number can count
            return math.inf
        return size * math.fsum(self._options.shares) / control


def _counted(visitors: float, groups: int) -> int:
    """Return whole visitors, of whom each group has the two that a variance needs."""
    if not visitors <= _MOST_VISITORS:
        raise OptionError("lift", f"needs more than {_MOST_VISITORS:,} visitors; choose a larger one")
    return max(2 * groups, math.ceil(visitors))


def _most(options: PlanOptions) -> float:
    """Return the largest lift to consider: a rate stays below 100 %."""
    if options.baseline.deviation is not None:
        return _MOST_LIFT
    return min(_MOST_LIFT, (1 - 1e-9) / options.baseline.mean - 1)


def _days(visitors: int, daily: float | None) -> int | None:
    if daily is None:
        return None
    return math.ceil(visitors / daily / _WEEK_DAYS) * _WEEK_DAYS
