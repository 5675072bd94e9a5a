"""Plans of tests: visitors for a lift, lifts of visitors."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import msgspec
import pytest

from support.cases import each_case
from targetry.errors import OptionError
from targetry.ledger.sums import Cohort
from targetry.report.comparison import compare
from targetry.report.inference.plan import PlanOptions, make_plan, sample_curve
from targetry.report.inference.sample_size import Baseline, rates_sample
from targetry.report.options import ReportOptions

norm = pytest.importorskip("scipy.stats").norm

RATE = PlanOptions(baseline=Baseline(0.05), lift=0.1)


def test_plan_multiplies_the_formula_for_one_look() -> None:
    fixed = make_plan(msgspec.structs.replace(RATE, fixed=True))
    assert fixed.groups == [31_234, 31_234]  # two rates of 5 and 5.5 %, 80 % power
    made = make_plan(RATE)
    assert (made.factor, made.visitors) == (1.65, 103_071)


def test_uneven_shares_have_the_variance_of_each_rate_at_every_look() -> None:
    uneven = msgspec.structs.replace(RATE, shares=(90.0, 10.0))
    whole = (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 * (0.05 * 0.95 + 9 * 0.055 * 0.945) / 0.005**2 / 0.9
    assert make_plan(uneven).visitors == math.ceil(1.65 * whole)
    one_look = rates_sample(0.05, 0.055, 0.05, 0.8, 1 / 9) / 0.9
    assert make_plan(msgspec.structs.replace(uneven, fixed=True)).visitors == math.ceil(one_look)
    assert one_look < whole


def test_lift_and_visitors_are_inverse() -> None:
    made = make_plan(msgspec.structs.replace(RATE, lift=None, visitors=103_071))
    assert made.lift == pytest.approx(0.1, rel=1e-4)


# option → visitors become more or fewer
CHANGES: dict[str, tuple[dict[str, Any], int]] = {
    "a smaller lift": ({"lift": 0.05}, 1),
    "more power": ({"power": 0.9}, 1),
    "fewer false alarms": ({"alpha": 0.01}, 1),
    "unequal shares": ({"shares": (90.0, 10.0)}, 1),
    "a third experience": ({"shares": (1.0, 1.0, 1.0)}, 1),
    "two metrics": ({"metrics": 2}, 1),
    "one look": ({"fixed": True}, -1),
    "a higher rate": ({"baseline": Baseline(0.2)}, -1),
    "a loss": ({"lift": -0.1}, -1),
}


@each_case("changes, sign", CHANGES.values(), ids=CHANGES)
def test_each_option_changes_the_visitors(changes: dict[str, Any], sign: int) -> None:
    changed = make_plan(msgspec.structs.replace(RATE, **changes)).visitors
    assert (changed - make_plan(RATE).visitors) * sign > 0


def test_days_are_whole_weeks_and_weeks_have_their_lifts() -> None:
    made = make_plan(msgspec.structs.replace(RATE, daily=12_000))
    assert made.days == 14
    assert list(made.after_weeks) == [1, 2, 4]
    lifts = list(made.after_weeks.values())
    assert all(one is not None for one in lifts)
    assert lifts == sorted(lifts, reverse=True)  # type: ignore[type-var]
    assert make_plan(msgspec.structs.replace(RATE, daily=1)).after_weeks[1] is None


def test_mean_needs_its_deviation() -> None:
    made = make_plan(PlanOptions(baseline=Baseline(4.0, 12.0), lift=0.05, fixed=True))
    # (1.95996 + 0.84162)² · 2 · 12² / 0.2²
    assert made.groups == pytest.approx([56_512] * 2, abs=1)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"lift": None}, "lift: either a lift or a number of visitors must be given"),
    "both": ({"visitors": 10}, "lift: either a lift or a number of visitors must be given"),
    "no lift": ({"lift": 0.0}, "lift: must be a percentage above -100 and not 0, not 0"),
    "a loss of all": ({"lift": -1.0}, "lift: must be a percentage above -100"),
    "not a number": ({"lift": float("nan")}, "lift: must be a percentage"),
    "a rate above 1": ({"lift": 20.0}, "lift: makes a rate of 100 % or more of 5 %"),
    "a baseline of 1": ({"baseline": Baseline(1.0)}, "baseline: must be a rate below 100 %, not 100 %"),
    "no baseline": ({"baseline": Baseline(0.0)}, "baseline: must be a number above 0"),
    "no deviation": ({"baseline": Baseline(2.0, 0.0)}, "deviation: must be a number above 0"),
    "power": ({"power": 1.0}, "power: must be a number between 0 and 1"),
    "power below alpha": ({"power": 0.04}, "power: must be above alpha (0.05), not 0.04"),
    "alpha": ({"alpha": 0.0}, "alpha: must be a number between 0 and 1"),
    "one share": ({"shares": (50.0,)}, "shares: must be two or more numbers above 0"),
    "a share of 0": ({"shares": (50.0, 0.0)}, "shares: must be two or more numbers above 0"),
    "no metric": ({"metrics": 0}, "metrics: must be at least 1"),
    "no visitors": ({"lift": None, "visitors": 0}, "visitors: must be at least 1"),
    "no daily visitors": ({"daily": 0.0}, "daily: must be a number above 0"),
}


@each_case("changes, message", WRONG.values(), ids=WRONG)
def test_wrong_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        PlanOptions(**{"baseline": RATE.baseline, "lift": 0.1, **changes})
    assert str(caught.value).startswith(message)


@pytest.mark.slow
def test_planned_visitors_find_the_lift_as_often_as_planned() -> None:
    """Simulate 400 tests of the planned size with 40 looks; the standard error is 2 points."""
    made = make_plan(PlanOptions(baseline=Baseline(0.3), lift=0.2))
    random, looks, found = Random(2), 40, 0
    each = made.groups[0] // looks
    options = ReportOptions(planned=made.visitors)
    for _ in range(400):
        groups: list[dict[int, Cohort]] = [{}, {}]
        for rate, group in zip((0.3, 0.36), groups, strict=True):
            for day in range(looks):
                group[day] = Cohort(each, sum(random.random() < rate for _ in range(each)))
        (_, other) = compare(groups, options, compared=[1], is_broken=False).metrics
        lift = other["conversion"].lift
        assert lift is not None
        found += lift.p_value < 0.05
    assert 0.72 <= found / 400 <= 0.88


@pytest.mark.parametrize(
    ("baseline", "lift", "low", "high"),
    [
        (Baseline(0.6), 0.3, 0.15, 0.66),
        (Baseline(0.05), -0.5, -0.975, -0.25),
        (Baseline(4, 12), -0.5, -0.975, -0.25),
        (Baseline(4, 12), 0.1, 0.05, 0.3),
    ],
)
def test_curve_has_possible_lifts_around_the_planned_one(
    baseline: Baseline, lift: float, low: float, high: float
) -> None:
    options = PlanOptions(baseline=baseline, lift=lift)
    curve = dict(sample_curve(options, lift))
    assert (min(curve), max(curve)) == pytest.approx((low, high))
    assert make_plan(options).visitors == math.ceil(curve[lift])
