"""Comparison of experiences: looks, verdicts, corrections, guardrails, caps."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from support.slow import slow
from targetry.errors import OptionError
from targetry.ledger.sums import Cohort
from targetry.report.comparison import Comparison, MetricLift, compare
from targetry.report.inference.multiple_comparisons import holm
from targetry.report.inference.statistics import Sample, rates_p_value
from targetry.report.options import METRIC_NAMES, Guardrail, ReportOptions

pytest.importorskip("scipy")

PLANNED = ReportOptions(planned=60_000)


def cohort(visitors: int, conversions: int, amounts: tuple[float, ...] = ()) -> Cohort:
    return Cohort(
        visitors,
        conversions,
        len(amounts),
        len(amounts),
        len(amounts),
        math.fsum(amounts),
        math.fsum(one * one for one in amounts),
        math.fsum(amounts),
        max(amounts, default=0.0),
    )


def compared(*experiences: dict[int, Cohort], options: ReportOptions = PLANNED) -> Comparison:
    return compare(experiences, options, compared=range(1, len(experiences)), is_broken=False)


def lift_of(made: Comparison, position: int = 1, metric: str = "conversion") -> MetricLift:
    lift = made.metrics[position][metric].lift
    assert lift is not None
    return lift


def test_lift_of_a_planned_test_has_the_worked_figures() -> None:
    made = compared({0: cohort(20_611, 1_031)}, {0: cohort(20_596, 1_184)})
    lift = lift_of(made)
    assert lift.value == pytest.approx(0.14923598773993763, rel=1e-9)
    assert lift.interval is not None
    assert lift.interval.low == pytest.approx(0.012983911044180063, rel=1e-9)
    assert lift.interval.high == pytest.approx(0.30534756959377196, rel=1e-9)
    assert lift.p_value == pytest.approx(0.0215472130751198, rel=1e-9)
    assert (lift.method, lift.n_star) == ("asymptotic-cs-fieller", 60_000)
    assert made.metrics[1]["conversion"].verdict == "better"
    assert made.metrics[0]["conversion"].lift is None


# conversions of both, options → verdict
VERDICTS = {
    "better": (1_031, 1_184, PLANNED, "better"),
    "worse": (1_184, 1_031, PLANNED, "worse"),
    "not yet": (1_031, 1_060, PLANNED, "not yet"),
    "no difference": (10_000, 10_010, ReportOptions(planned=60_000, margin=0.05), "no difference"),
    "margin that is too small": (10_000, 10_010, ReportOptions(planned=60_000, margin=0.01), "not yet"),
    "too early": (19, 59, PLANNED, "too early"),
    "control with few of many": (19, 400, PLANNED, "better"),
    "control with none of many": (0, 400, PLANNED, "better"),
    "control with none of many at one look": (0, 400, ReportOptions(fixed=True), "better"),
    "early for the other": (59, 19, PLANNED, "too early"),
    "few of many": (400, 19, PLANNED, "worse"),
    "none of many": (400, 0, PLANNED, "worse"),
    "control with few of many at one look": (19, 400, ReportOptions(fixed=True), "better"),
    "too early at one look": (7, 30, ReportOptions(fixed=True), "too early"),
    "one look": (1_031, 1_130, ReportOptions(fixed=True), "better"),
    "the same at every look": (1_031, 1_130, PLANNED, "not yet"),
    "less confidence": (1_031, 1_130, ReportOptions(planned=60_000, confidence=0.6), "better"),
}


@each_case("control, other, options, verdict", VERDICTS.values(), ids=VERDICTS)
def test_verdict(control: int, other: int, options: ReportOptions, verdict: str) -> None:
    made = compared({0: cohort(20_600, control)}, {0: cohort(20_600, other)}, options=options)
    assert made.metrics[1]["conversion"].verdict == verdict


# visitors and conversions of both → verdict
NEARLY_ALL_CONVERT = {
    "others are too few": (cohort(1_980, 1_960), cohort(20, 20), "too early"),
    "others are enough": (cohort(1_980, 1_960), cohort(2_000, 1_900), "worse"),
    "few others of many": (cohort(2_000, 1_990), cohort(2_000, 1_500), "worse"),
}


@each_case("control, other, verdict", NEARLY_ALL_CONVERT.values(), ids=NEARLY_ALL_CONVERT)
def test_verdict_where_nearly_all_convert(control: Cohort, other: Cohort, verdict: str) -> None:
    assert compared({0: control}, {0: other}).metrics[1]["conversion"].verdict == verdict


@each_case("others, verdict", [((20, 45), "too early"), ((30, 120), "worse")])
def test_revenue_waits_for_others_where_nearly_all_buy(others: tuple[int, int], verdict: str) -> None:
    options = ReportOptions(metric="revenue")
    groups = [{0: cohort(5_000, 5_000 - few, (10.0,) * (5_000 - few))} for few in others]
    assert compared(*groups, options=options).metrics[1]["revenue"].verdict == verdict


def test_direction_is_that_of_the_strongest_look() -> None:
    days = ({0: cohort(5_000, n), 1: cohort(5_000, m)} for n, m in ((500, 500), (610, 350), (700, 700)))
    made = compared(*days).metrics[1]["conversion"]
    assert made.lift is not None
    assert made.lift.interval is not None
    assert made.lift.interval.low < made.lift.value < 0
    assert made.lift.p_value < 0.05
    assert made.verdict == "better"


def test_broken_split_takes_the_verdicts_away() -> None:
    one, two = {0: cohort(20_611, 1_031)}, {0: cohort(20_596, 1_184)}
    made = compare([one, two], PLANNED, compared=[1], is_broken=True)
    assert made.metrics[1]["conversion"].verdict == "split is broken"


def test_targeted_experiences_have_means_but_no_lifts() -> None:
    made = compare([{0: cohort(500, 50)}, {0: cohort(500, 90)}], PLANNED, compared=[], is_broken=False)
    assert [one["conversion"].mean for one in made.metrics] == [0.1, 0.18]
    assert [one["conversion"].lift for one in made.metrics] == [None, None]


def test_running_p_value_keeps_the_strongest_look() -> None:
    strong = ({0: cohort(5_000, 400)}, {0: cohort(5_000, 560)})
    weak = ({0: cohort(5_000, 400), 1: cohort(5_000, 560)}, {0: cohort(5_000, 560), 1: cohort(5_000, 400)})
    first, second = lift_of(compared(*strong)), lift_of(compared(*weak))
    assert first.p_value == second.p_value < 0.001
    assert second.value == pytest.approx(0.0)
    assert second.e_value is not None
    assert second.e_value < 1


def test_verdict_follows_the_intervals_of_all_looks_not_the_latest_lift() -> None:
    control = {0: cohort(5_000, 1_000), 1: cohort(2_000, 400)}
    other = {0: cohort(5_000, 1_180), 1: cohort(2_000, 210)}
    lift = lift_of(compared(control, other))
    assert lift.value < 0
    assert not lift.has_drifted
    assert compared(control, other).metrics[1]["conversion"].verdict == "better"


def test_intervals_that_do_not_meet_are_a_drift_without_a_verdict() -> None:
    drifting = [
        {day: cohort(5_000, n) for day, n in enumerate(counts)} for counts in ((400, 900), (900, 100))
    ]
    made = compared(*drifting)
    assert lift_of(made).has_drifted
    assert made.metrics[1]["conversion"].verdict == "not yet"


def test_several_experiences_are_corrected_by_holm_and_wider_intervals() -> None:
    control, first, second = (
        {0: cohort(20_600, 1_031)},
        {0: cohort(20_600, 1_250)},
        {0: cohort(20_600, 1_260)},
    )
    options = ReportOptions(planned=60_000, confidence=0.9)
    alone = compared(control, second, options=ReportOptions(planned=60_000, confidence=0.95))
    both = compared(control, first, second, options=options)
    assert lift_of(both, 2).interval == lift_of(alone).interval  # 0.1 for two is 0.05 for each
    raw = [lift_of(compared(control, one, options=ReportOptions(planned=60_000))) for one in (first, second)]
    assert [lift_of(both, n).p_value for n in (1, 2)] == pytest.approx(holm([one.p_value for one in raw]))


def bought(count: int, amount: float, visitors: int = 5_000) -> Cohort:
    amounts = tuple(amount * (0.5 + n / count) for n in range(count))
    return cohort(visitors, count, amounts)


def test_money_is_compared_over_all_visitors_and_over_orders() -> None:
    made = compared({0: bought(500, 40)}, {0: bought(500, 60)})
    assert made.metrics[0]["revenue"].mean == pytest.approx(500 * 39.96 / 5_000, rel=1e-3)
    assert made.metrics[0]["rpo"].mean == pytest.approx(39.96, rel=1e-3)
    assert made.metrics[0]["orders"].mean == pytest.approx(0.1)
    assert lift_of(made, metric="revenue").value == pytest.approx(0.5)
    assert lift_of(made, metric="rpo").value == pytest.approx(0.5)
    assert made.metrics[1]["rpo"].verdict == "better"
    assert made.metrics[1]["orders"].verdict == "not yet"


def test_money_is_not_compared_before_25_buyers() -> None:
    made = compared({0: bought(24, 40)}, {0: bought(50, 60)})
    assert made.metrics[1]["revenue"].verdict == "too early"
    assert (made.metrics[0]["revenue"].counted, made.metrics[0]["revenue"].least) == (24, 25)


GUARDRAILS = {
    "safe": (500, 40, 500, 60, 0.02, "safe"),
    "harmed": (500, 60, 500, 40, 0.02, "harmed"),
    "not yet": (500, 40, 500, 40, 0.02, "not yet"),
    "a wide margin is safe": (2_000, 40, 2_000, 40, 0.5, "safe"),
    "a loss within the margin is safe": (2_000, 60, 2_000, 50, 0.5, "safe"),
    "too early": (10, 40, 50, 40, 0.02, "too early"),
}


@each_case("control, low, other, high, margin, state", GUARDRAILS.values(), ids=GUARDRAILS)
def test_guardrail(control: int, low: float, other: int, high: float, margin: float, state: str) -> None:
    options = ReportOptions(planned=60_000, guardrails=(Guardrail("revenue", margin),))
    made = compared({0: bought(control, low)}, {0: bought(other, high)}, options=options)
    assert made.guardrails[0] == []
    (found,) = made.guardrails[1]
    assert (found.metric, found.margin, found.state) == ("revenue", margin, state)


@given(st.integers(0, 4_000), st.integers(0, 4_000), st.booleans(), st.sampled_from([0.001, 0.02, 0.3]))
@settings(max_examples=examples(100))
def test_guardrail_of_the_primary_metric_is_known_before_the_verdict(
    control: int, other: int, fixed: bool, margin: float
) -> None:
    options = ReportOptions(planned=20_000, fixed=fixed, guardrails=(Guardrail("conversion", margin),))
    made = compared({0: cohort(4_000, control)}, {0: cohort(4_000, other)}, options=options)
    metric, (guardrail,) = made.metrics[1]["conversion"], made.guardrails[1]
    if metric.verdict == "better":
        assert guardrail.state == "safe"
    elif metric.verdict == "worse":
        is_within = guardrail.interval is not None and guardrail.interval.low > -margin
        assert guardrail.state == ("safe" if is_within else "harmed")


def test_figures_of_each_day_end_with_those_of_the_report() -> None:
    options = ReportOptions(planned=60_000, over_time=True)
    days = [{day: cohort(2_000, n + day) for day in range(5)} for n in (100, 140)]
    made = compared(*days, options=options).metrics[1]["conversion"]
    assert made.over_time is not None
    assert [one.day for one in made.over_time] == [0, 1, 2, 3, 4]
    last = made.over_time[-1]
    assert made.lift is not None
    assert (last.visitors, last.mean, last.interval) == (made.n, made.mean, made.interval)
    assert (last.lift, last.lift_interval, last.p_value) == (
        made.lift.value,
        made.lift.interval,
        made.lift.p_value,
    )
    assert compared(*days).metrics[1]["conversion"].over_time is None


money = st.lists(st.floats(0.01, 500), min_size=25, max_size=60)


@given(
    money,
    money,
    st.integers(60, 5_000),
    st.booleans(),
    st.sampled_from([0.8, 0.95, 0.99]),
    st.sampled_from(METRIC_NAMES),
)
@settings(max_examples=examples(150), deadline=None)
def test_interval_excludes_zero_exactly_if_the_latest_look_is_significant(
    one: list[float], other: list[float], visitors: int, fixed: bool, confidence: float, metric: str
) -> None:
    options = ReportOptions(fixed=fixed, confidence=confidence, metric=metric)
    assume(not (fixed and metric == "conversion"))  # its test is Pearson's or Fisher's
    groups = [{0: cohort(visitors, len(amounts), tuple(amounts))} for amounts in (one, other)]
    lift = compared(*groups, options=options).metrics[1][metric].lift
    assume(lift is not None and lift.interval is not None)
    assert lift is not None
    assert lift.interval is not None
    if min(abs(lift.interval.low), abs(lift.interval.high)) > 1e-9:
        assert (lift.interval.low > 0 or lift.interval.high < 0) == (lift.p_value < options.alpha)


@each_case("conversions", [(25, 41), (21, 60), (1_031, 1_130)])
def test_one_look_at_rates_has_the_corrected_p_value_of_their_test(conversions: tuple[int, int]) -> None:
    options = ReportOptions(fixed=True)
    first, second = (cohort(2_000, one) for one in conversions)
    test, _ = rates_p_value(Sample(conversions[1], 2_000), Sample(conversions[0], 2_000))
    made = compared({0: first}, {0: second}, {0: second}, options=options)
    assert lift_of(compared({0: first}, {0: second}, options=options)).p_value == test
    assert [lift_of(made, place).p_value for place in (1, 2)] == holm([test, test])


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), min_size=2, max_size=12))
@settings(max_examples=examples(60), deadline=None)
def test_days_that_are_split_leave_the_latest_figures(days: list[tuple[int, int]]) -> None:
    cohorts = [cohort(visitors, min(visitors, conversions)) for visitors, conversions in days]
    whole = Cohort()
    for one in cohorts:
        whole = whole.plus(one)
    options = ReportOptions(fixed=True)
    split = compared(dict(enumerate(cohorts)), {0: cohort(500, 60)}, options=options)
    joined = compared({len(days): whole}, {0: cohort(500, 60)}, options=options)
    assert split == joined


@pytest.mark.parametrize("tests", [30, *slow(300)])
def test_peeking_at_equal_experiences_seldom_alarms(tests: int) -> None:
    """Look 60 times at each of many tests without a difference; few alarm, unlike fixed ones."""
    random = Random(1)
    alarms = fixed = 0
    for _ in range(tests):
        groups: list[dict[int, Cohort]] = [{}, {}]
        for day in range(60):
            for group in groups:
                group[day] = cohort(100, sum(random.random() < 0.2 for _ in range(100)))
        made = compared(*groups, options=ReportOptions())
        alarms += lift_of(made).p_value < 0.05
        looks = compared(*groups, options=ReportOptions(fixed=True, over_time=True)).metrics[1]["conversion"]
        assert looks.over_time is not None
        fixed += any(one.p_value is not None and one.p_value < 0.05 for one in looks.over_time)
    assert alarms <= 0.05 * tests
    assert fixed >= 0.2 * tests


def test_experience_without_conversions_harms_its_guardrail() -> None:
    options = ReportOptions(
        planned=20_000, guardrails=(Guardrail("conversion", 0.02), Guardrail("rpo", 0.02))
    )
    made = compared({0: cohort(5_000, 400)}, {0: cohort(5_000, 0)}, options=options)
    lift = made.metrics[1]["conversion"].lift
    assert lift is not None
    assert (lift.value, lift.interval) == (-1.0, None)
    assert [one.state for one in made.guardrails[1]] == ["harmed", "too early"]


def test_control_without_conversions_has_a_verdict_and_no_lift() -> None:
    options = ReportOptions(over_time=True, guardrails=(Guardrail("conversion", 0.02),))
    made = compared({0: cohort(5_000, 0)}, {0: cohort(5_000, 400)}, options=options)
    found = made.metrics[1]["conversion"]
    assert (found.lift, found.verdict) == (None, "better")
    assert [one.state for one in made.guardrails[1]] == ["safe"]
    few = compared({0: cohort(5_000, 0)}, {0: cohort(5_000, 39)}, options=options)
    assert few.metrics[1]["conversion"].verdict == "too early"


def test_experiences_that_are_too_early_count_as_comparisons() -> None:
    pair = [{0: cohort(20_611, 1_031)}, {0: cohort(20_596, 1_184)}]
    one = lift_of(compared(*pair, {0: cohort(10, 1)}))
    whole = lift_of(compared(*pair, {0: cohort(20_600, 1_031)}))
    assert one.p_value == whole.p_value


def test_orders_per_visitor_are_not_below_zero() -> None:
    made = compared({0: bought(60, 40)}, {0: bought(60, 40)}).metrics[0]["orders"]
    assert made.interval.low >= 0


@each_case("confidence", [0.1, 0.5])
def test_guardrails_need_a_confidence_above_a_half(confidence: float) -> None:
    with pytest.raises(OptionError, match="above 50 % with guardrails"):
        ReportOptions(confidence=confidence, guardrails=(Guardrail("revenue", 0.02),))


def test_values_that_do_not_vary_have_no_interval() -> None:
    options = ReportOptions(margin=0.1, metric="rpo")
    same = {0: cohort(500, 60, (50 / 3,) * 60)}
    made = compared(same, same, options=options).metrics[1]["rpo"]
    assert made.lift is not None
    assert (made.lift.value, made.lift.interval, made.lift.p_value) == (0.0, None, 1.0)
    assert (made.interval.low, made.interval.high) == (made.mean, made.mean)
    assert made.verdict == "not yet"


def test_lift_of_a_rate_is_at_least_minus_100_percent() -> None:
    made = compared({0: cohort(400, 90)}, {0: cohort(400, 2)}, options=ReportOptions(confidence=0.9999))
    lift = made.metrics[1]["conversion"].lift
    assert lift is not None
    assert lift.interval is not None
    assert lift.interval.low == -1


def test_drifting_difference_is_no_equality() -> None:
    days = range(20)
    control = {day: cohort(1_000, 200) for day in days}
    other = {day: cohort(1_000, 400 if day < 3 else 165) for day in days}
    made = compared(control, other, options=ReportOptions(planned=10_000, margin=0.2)).metrics[1][
        "conversion"
    ]
    assert made.lift is not None
    assert made.lift.has_drifted
    assert made.verdict == "not yet"
