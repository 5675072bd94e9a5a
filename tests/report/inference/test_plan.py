"""Plans of tests: visitors for a lift, lifts of visitors."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import msgspec
import pytest

from support.cases import each_case
from targetry.errors import OptionError
from targetry.ledger.sums import Cohort
from targetry.report.comparison import compare
from targetry.report.inference.plan import PlanOptions, make_plan, sample_curve
from targetry.report.inference.sample_size import Baseline, rates_sample
from targetry.report.options import ReportOptions

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
NORMAL: Final = NormalDist()

RATE = PlanOptions(baseline=Baseline(0.05), lift=0.1)


def test_plan_multiplies_the_formula_for_one_look() -> None:
    fixed = make_plan(msgspec.structs.replace(RATE, fixed=True))
    assert fixed.groups == [31_234, 31_234]  # two rates of 5 and 5.5 %, 80 % power
    made = make_plan(RATE)
    assert (made.factor, made.visitors) == (1.65, 103_071)


def test_uneven_shares_have_the_variance_of_each_rate_at_every_look() -> None:
    uneven = msgspec.structs.replace(RATE, shares=(90.0, 10.0))
    whole = (
        (NORMAL.inv_cdf(0.975) + NORMAL.inv_cdf(0.8)) ** 2
        * (0.05 * 0.95 + 9 * 0.055 * 0.945)
        / 0.005**2
        / 0.9
    )
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


# baseline, lift, shares → part of the tests that find the lift, at most
PLANNED = {
    "two halves": (0.3, 0.2, (50.0, 50.0), 0.89),
    "a larger control": (0.05, 0.2, (40.0, 20.0, 20.0, 20.0), 0.89),
    "few conversions": (0.01, 2.0, (50.0, 50.0), 1.0),
    "few conversions of the experience": (0.05, -0.9, (50.0, 50.0), 1.0),
    "few visitors without a conversion": (0.97, 0.02, (50.0, 50.0), 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize(("baseline", "lift", "shares", "most"), PLANNED.values(), ids=PLANNED)
def test_planned_visitors_find_the_lift_as_often_as_planned(
    baseline: float, lift: float, shares: tuple[float, ...], most: float
) -> None:
    """Simulate 200 tests of the planned size with 25 looks; the standard error is 3 points."""
    made = make_plan(PlanOptions(baseline=Baseline(baseline), lift=lift, shares=shares))
    random, looks, found = np.random.default_rng(2), 25, 0
    options = ReportOptions(planned=made.visitors)
    parts = {place: (shares[0] + share) / sum(shares) for place, share in enumerate(shares) if place}
    rates = [baseline * (1 + lift) if place == 1 else baseline for place in range(len(shares))]
    for _ in range(200):
        groups = [
            {
                day: Cohort(visitors // looks, int(random.binomial(visitors // looks, rate)))
                for day in range(looks)
            }
            for visitors, rate in zip(made.groups, rates, strict=True)
        ]
        metrics = compare(groups, options, compared=parts, is_broken=False, parts=parts).metrics
        found += metrics[1]["conversion"].verdict == ("better" if lift > 0 else "worse")
    assert 0.71 <= found / 200 <= most


# baseline, lift → visitors, and whether they are those of a comparison
BOLD = {
    "few conversions": (0.01, 2.0, 4_569, True),
    "enough conversions": (0.01, 1.0, 7_650, False),
    "few conversions of the experience": (0.05, -0.9, 3_323, True),
    "few visitors without a conversion": (0.97, 0.02, 4_502, True),
    "hardly a visitor without a conversion": (0.5, 0.999_999_999, 366, True),
}


@each_case("baseline, lift, visitors, is_least", BOLD.values(), ids=BOLD)
def test_plan_has_the_visitors_of_a_comparison(
    baseline: float, lift: float, visitors: int, is_least: bool
) -> None:
    made = make_plan(PlanOptions(baseline=Baseline(baseline), lift=lift))
    assert (made.visitors, made.is_least) == (visitors, is_least)


@each_case("baseline, visitors", [(0.01, 2_000), (0.01, 7_000), (0.3, 300), (0.9, 2_000), (0.97, 6_000)])
def test_smallest_lift_can_be_compared(baseline: float, visitors: int) -> None:
    options = PlanOptions(baseline=Baseline(baseline), visitors=visitors)
    lift = make_plan(options).lift
    assert lift is not None
    assert make_plan(msgspec.structs.replace(options, visitors=None, lift=lift)).visitors <= visitors


@each_case("baseline, visitors", [(0.01, 100), (0.97, 1_000)])
def test_visitors_that_cannot_be_compared_show_no_lift(baseline: float, visitors: int) -> None:
    assert make_plan(PlanOptions(baseline=Baseline(baseline), visitors=visitors)).lift is None


@each_case("changes", [{"baseline": Baseline(1e-300, 1.0)}, {"shares": (1e-320, 1.0)}, {"lift": 1e-9}])
def test_lift_that_needs_too_many_visitors_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="lift: needs more than 9,007,199,254,740,991 visitors"):
        make_plan(msgspec.structs.replace(RATE, **changes))


def test_mean_that_hardly_varies_needs_two_visitors_of_each_experience() -> None:
    assert make_plan(PlanOptions(baseline=Baseline(4, 1e-200), lift=0.1)).groups == [2, 2]


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
