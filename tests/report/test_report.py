"""Report: counting of visitors and orders, rates, lifts and split check."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from support.ledger import ACTIVITY, event, outcome
from support.python_process import environment
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.report.comparison import GuardrailReport
from targetry.report.inference.bayes import compare_rates
from targetry.report.inference.statistics import Sample, lift, rate_interval, sample_ratio
from targetry.report.notes import activity_notes
from targetry.report.options import Guardrail, ReportOptions
from targetry.report.report import ActivityReport, Rate, Report, make_report

pytest.importorskip("scipy")


FIXED = ReportOptions(fixed=True)


def only(
    events: Sequence[LedgerEvent],
    activity: ActivityDescription = ACTIVITY,
    options: ReportOptions = FIXED,
) -> ActivityReport:
    (made,) = make_report(events, [activity], options).activities
    return made


def figures(made: ActivityReport) -> list[tuple[int, int, int, float]]:
    """Return visitors, conversions, orders and revenue of each experience."""
    return [(one.visitors, one.conversions, one.orders, one.revenue) for one in made.experiences]


# Counting of visitors


def test_visitor_counts_for_the_first_experience() -> None:
    made = only(
        [
            event("3", at=3000, experience_id="0"),
            event("2", at=2000, experience_id="1"),
            event("4", "click", at=4000, experience_id="0"),
        ]
    )
    assert figures(made) == [(0, 0, 0, 0), (1, 1, 0, 0)]
    assert [one.impressions for one in made.experiences] == [1, 1]
    assert (made.visitors, made.impressions, made.switched) == (1, 2, 1)


def test_first_of_simultaneous_impressions_has_the_smaller_id() -> None:
    first, second = event("a", experience_id="1"), event("b", experience_id="0")
    assert only([first, second]) == only([second, first])
    assert [one.visitors for one in only([first, second]).experiences] == [0, 1]


def test_display_is_an_impression() -> None:
    assert only([event("a", "display"), event("b", "click")]).conversions == 1


CONVERSIONS = {
    "a click": ([event("c", "click", at=1001)], 1, 0),
    "a click at the same moment": ([event("c", "click", at=1000)], 1, 0),
    "many clicks": ([event(f"c{n}", "click", at=2000) for n in range(5)], 1, 0),
    "a click before the impression": ([event("c", "click", at=999)], 0, 1),
    "a click before and one after it": ([event("b", "click", at=1), event("c", "click", at=2000)], 1, 0),
    "a click of another visitor": ([event("c", "click", "bob", at=2000)], 0, 1),
    "a click of another activity": ([event("c", "click", at=2000, activity_id="2")], 0, 0),
    "a click of an unknown token": ([event("c", "click", at=2000, activity_id="", experience_id="")], 0, 0),
    "an order": ([event("o", "order", at=2000)], 1, 0),
    "a click too early and an order": ([event("c", "click", at=1), event("o", "order", at=2000)], 1, 0),
    "an order too early and a click": ([event("o", "order", at=1), event("c", "click", at=2000)], 1, 0),
    "a click whose experience is not known": ([event("c", "click", at=2000, experience_id="")], 1, 0),
}


@each_case("actions, conversions, outside", CONVERSIONS.values(), ids=CONVERSIONS)
def test_visitor_converts_once_after_an_impression(
    actions: list[LedgerEvent], conversions: int, outside: int
) -> None:
    made = make_report([event("i"), *actions], [ACTIVITY]).activities[0]
    assert (made.conversions, made.outside) == (conversions, outside)


def order(
    key: str,
    visitor: str = "ada",
    at: int = 2000,
    order_id: str | None = None,
    total: float = 1,
    activity: str = "",
) -> LedgerEvent:
    return event(
        key,
        "order",
        visitor,
        at,
        activity_id=activity,
        experience_id="",
        order_id=order_id,
        order_total=total,
    )


def test_order_without_activity_counts_for_every_activity_of_its_visitor() -> None:
    events = [
        event("i1"),
        event("i2", activity_id="2", experience_id="7"),
        event("i3", visitor="bob", activity_id="3"),
        order("o", total=9.5),
    ]
    made = make_report(events).activities
    assert [(one.id, one.orders, one.revenue, one.conversions) for one in made] == [
        ("1", 1, 9.5, 1),
        ("2", 1, 9.5, 1),
        ("3", 0, 0, 0),
    ]
    assert [one.outside for one in made] == [0, 0, 0]


def test_earliest_order_of_an_order_id_counts() -> None:
    events = [event("i"), order("o2", at=3000, order_id="A", total=5), order("o1", order_id="A", total=7)]
    events += [order("o3", order_id="A", total=8, activity="1", at=4000), order("o4", order_id="B", total=1)]
    assert figures(only(events))[0] == (1, 1, 2, 8.0)


def test_all_orders_without_an_id_count() -> None:
    events = [event("i"), *(order(f"o{n}", total=0.1) for n in range(10))]
    assert figures(only(events))[0] == (1, 1, 10, 1.0)


def test_order_without_a_total_is_an_order() -> None:
    assert figures(only([event("i"), event("o", "order", order_id="A")]))[0] == (1, 1, 1, 0.0)


@pytest.mark.parametrize("total", [1e308, -1e308, 1e12 + 1, math.inf, -math.inf])
def test_total_out_of_range_counts_as_order_without_revenue(total: float) -> None:
    made = only([event("i"), order("a", total=total), order("b", total=total), order("c", total=5)])
    assert (made.orders, made.revenue, made.unusable_totals) == (3, 5.0, 2)


def test_negative_total_is_subtracted_as_refund() -> None:
    assert only([event("i"), order("a", total=5), order("b", total=-2)]).revenue == 3.0


def test_impressions_of_unknown_activities_are_skipped() -> None:
    made = make_report([event("a", activity_id="", experience_id=""), event("b", experience_id="")])
    assert made.activities == ()


def test_activities_and_experiences_without_events_are_reported_with_zeros() -> None:
    made = only([])
    assert (made.name, made.visitors, made.sample_ratio) == ("Hero", 0, None)
    assert [(one.name, one.share, one.rate, one.lift) for one in made.experiences] == [
        ("A", 50.0, None, None),
        ("B", 50.0, None, None),
    ]


def test_undescribed_activities_follow_in_the_order_of_their_ids() -> None:
    events = [
        event(f"{activity}-{experience}", visitor=experience, activity_id=activity, experience_id=experience)
        for activity in ("10", "x", "9", "1")
        for experience in ("11", "2", "0")
    ]
    made = make_report(events, [ACTIVITY])
    assert [one.id for one in made.activities] == ["1", "9", "10", "x"]
    assert [[one.id for one in activity.experiences] for activity in made.activities] == [
        ["0", "1", "2", "11"],
        *[["0", "2", "11"]] * 3,
    ]


# Statistics. The expected values follow the formulas of textbooks.


def test_rate_has_a_wilson_interval() -> None:
    made = only([*outcome("0", 10, 1)])
    rate = made.experiences[0].rate
    assert rate is not None
    assert rate.value == 0.1
    # (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964
    assert (rate.interval.low, rate.interval.high) == pytest.approx((0.0178762, 0.4041500), abs=1e-6)


@given(st.integers(1, 3000), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_wilson_interval_matches_the_formula(visitors: int, data: st.DataObject) -> None:
    conversions = data.draw(st.integers(0, visitors))
    z, p, n = 1.959963984540054, conversions / visitors, visitors
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (p + z * z / (2 * n) - half) / (1 + z * z / n), (p + z * z / (2 * n) + half) / (1 + z * z / n)
    made = rate_interval(Sample(conversions, visitors))
    assert (made.low, made.high) == pytest.approx((low, high), abs=1e-12)
    assert 0 <= made.low <= p + 1e-12
    assert p - 1e-12 <= made.high <= 1


def test_lift_matches_the_formulas() -> None:
    made = only([*outcome("0", 1000, 100), *outcome("1", 1000, 130)])
    control, other = made.experiences
    assert control.lift is None
    found = other.lift
    assert found is not None
    assert found.interval is not None
    assert found.value == pytest.approx(0.3)
    # ln(1.3) ± 1.959964·√(1/130 - 1/1000 + 1/100 - 1/1000)
    spread = 1.959963984540054 * math.sqrt(1 / 130 - 1 / 1000 + 1 / 100 - 1 / 1000)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (1.3 * math.exp(-spread) - 1, 1.3 * math.exp(spread) - 1)
    )
    # χ² = 2000·(100·870 - 900·130)² / (1000·1000·230·1770) = 4.42152, of one degree of freedom
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(2000 * 30000**2 / (1e6 * 230 * 1770) / 2)))
    assert found.test == "chi-square"


def test_few_conversions_use_fishers_exact_test() -> None:
    found = lift(Sample(1, 10), Sample(8, 10))
    assert found is not None
    # (10·C(10,8) + C(10,9)·1) · 2 / C(20,9): tables as unlikely as this one or more, on both sides
    assert found.p_value == pytest.approx((10 * 45 + 10) * 2 / 167960)
    assert found.test == "fisher"


def test_lift_without_a_conversion_has_no_interval() -> None:
    found = lift(Sample(0, 1000), Sample(20, 1000))
    assert found is not None
    assert (found.value, found.interval) == (-1.0, None)
    assert found.p_value < 0.001
    assert lift(Sample(20, 1000), Sample(0, 1000)) is None


def test_lift_is_zero_if_all_visitors_convert() -> None:
    found = lift(Sample(5, 5), Sample(9, 9))
    assert found is not None
    assert (found.value, found.p_value) == (0.0, 1.0)


def test_experiences_with_audiences_of_their_own_are_not_compared() -> None:
    targeted = ActivityDescription(
        "1", "XT", "landing", (ExperienceDescription("0", "A"), ExperienceDescription("1", "B"))
    )
    made = only([*outcome("0", 100, 10), *outcome("1", 100, 30)], targeted)
    assert [one.lift for one in made.experiences] == [None, None]
    assert made.sample_ratio is None


def test_control_without_visitors_has_no_comparisons() -> None:
    assert [one.lift for one in only(outcome("1", 10, 5)).experiences] == [None, None]


# The split


def test_split_that_matches_the_shares_is_accepted() -> None:
    ratio = only([*outcome("0", 52, 0), *outcome("1", 48, 0)]).sample_ratio
    assert ratio is not None
    assert (ratio.observed, ratio.expected) == ([52, 48], [50.0, 50.0])
    assert ratio.chi_square == pytest.approx(0.16)
    assert ratio.p_value == pytest.approx(math.erfc(math.sqrt(0.16 / 2)))
    assert not ratio.is_mismatch


def test_split_that_differs_from_the_shares_is_a_mismatch() -> None:
    ratio = only([*outcome("0", 600, 0), *outcome("1", 400, 0)]).sample_ratio
    assert ratio is not None
    assert ratio.is_mismatch
    assert ratio.chi_square == pytest.approx(40.0)


def test_shares_are_relative_to_the_participants() -> None:
    halves = sample_ratio([200, 100], [20.0, 10.0])
    assert halves is not None
    assert (halves.expected, halves.p_value) == ([200.0, 100.0], 1.0)


SPLITS: dict[str, tuple[tuple[ExperienceDescription, ...], list[LedgerEvent]]] = {
    "one experience": ((ExperienceDescription("0", share=100.0),), outcome("0", 5, 0)),
    "no share is known": ((), [*outcome("0", 5, 0), *outcome("1", 5, 0)]),
    "visitors where no share is": (
        (ExperienceDescription("0", share=100.0), ExperienceDescription("1", share=0.0)),
        [*outcome("0", 5, 0), *outcome("1", 5, 0)],
    ),
    "nobody came": ((ExperienceDescription("0", share=50.0), ExperienceDescription("1", share=50.0)), []),
}


@pytest.mark.parametrize(("experiences", "events"), SPLITS.values(), ids=SPLITS)
def test_split_without_enough_data_is_not_checked(
    experiences: tuple[ExperienceDescription, ...], events: list[LedgerEvent]
) -> None:
    assert only(events, ActivityDescription("1", "Hero", "ab", experiences)).sample_ratio is None


def test_experience_without_a_share_is_not_in_the_split() -> None:
    made = (
        ExperienceDescription("0", share=50.0),
        ExperienceDescription("1", share=50.0),
        ExperienceDescription("2", share=0.0),
    )
    ratio = only(
        [*outcome("0", 5, 0), *outcome("1", 5, 0)], ActivityDescription("1", "Hero", "ab", made)
    ).sample_ratio
    assert ratio is not None
    assert ratio.observed == [5, 5]


def test_visitors_before_a_change_of_shares_are_not_in_the_split_check() -> None:
    early = [event(f"e{n}", visitor=f"e{n}", at=500) for n in range(300)]
    late = [*outcome("0", 50, 0), *outcome("1", 50, 0)]
    changed = msgspec.structs.replace(ACTIVITY, shares_since_ms=1000)
    made = only([*early, *late], changed)
    assert made.visitors == 400
    assert made.sample_ratio is not None
    assert made.sample_ratio.observed == [50, 50]


def test_experiences_have_the_figures_since_a_change_of_shares() -> None:
    early = [
        event(f"{kind}{n}", kind, visitor=f"e{n}", at=500)
        for n in range(300)
        for kind in ("impression", "click")
    ]
    order = event("o", "order", "1-0-0", at=3000, activity_id="", order_id="o", order_total=700.0)
    late = [*outcome("0", 50, 10), *outcome("1", 50, 20), order]
    changed = msgspec.structs.replace(ACTIVITY, shares_since_ms=1000)
    options = ReportOptions(fixed=True, cap=500)
    control, other = only([*early, *late], changed, options).experiences
    assert (control.visitors, control.conversions) == (350, 310)
    assert msgspec.structs.astuple(control.figures)[:-1] == (50, 10, 1, 700.0)
    assert control.figures.rate == Rate(0.2, rate_interval(Sample(10, 50), 0.95))
    assert (other.figures.visitors, other.figures.conversions) == (50, 20)
    assert [one.since_change for one in only(late, changed, options).experiences] == [None, None]


def test_split_is_checked_next_to_an_experience_that_has_vanished() -> None:
    events = [*outcome("0", 600, 0), *outcome("1", 400, 0), *outcome("7", 30, 0)]
    ratio = only(events).sample_ratio
    assert ratio is not None
    assert (ratio.observed, ratio.expected, ratio.is_mismatch) == ([600, 400], [500.0, 500.0], True)


# Claims of equality

Drawn = tuple[str, str, str, str, int, str | None, float | None]
kinds = st.sampled_from(["impression", "display", "click", "order"])
few_events = st.lists(
    st.tuples(
        kinds,
        st.sampled_from(["ada", "bob", "eve"]),
        st.sampled_from(["1", "2", ""]),
        st.sampled_from(["0", "1", ""]),
        st.integers(1000, 1005),
        st.sampled_from([None, "A", "B"]),
        st.none() | st.floats(0, 1000),
    ),
    max_size=14,
)


def numbered(drawn: list[Drawn]) -> list[LedgerEvent]:
    return [
        event(str(n), kind, visitor, at, activity_id=a, experience_id=e, order_id=order_id, order_total=total)
        for n, (kind, visitor, a, e, at, order_id, total) in enumerate(drawn)
    ]


@given(few_events, st.randoms(use_true_random=False))
@settings(max_examples=examples(100), deadline=None)
def test_report_does_not_depend_on_the_order_of_events(drawn: list[Drawn], random: Random) -> None:
    events = numbered(drawn)
    made = make_report(events, [ACTIVITY])
    random.shuffle(events)
    assert make_report(events, [ACTIVITY]) == made


@each_case("visitors", range(1, 50))
def test_interval_of_extreme_rates_contains_the_rate(visitors: int) -> None:
    assert rate_interval(Sample(0, visitors)).low == 0.0
    assert rate_interval(Sample(visitors, visitors)).high == 1.0


@given(few_events)
@settings(max_examples=examples(100), deadline=None)
def test_figures_add_up(drawn: list[Drawn]) -> None:
    events = numbered(drawn)
    for made in make_report(events, [ACTIVITY]).activities:
        shown = [
            one
            for one in events
            if one.kind in ("impression", "display") and one.activity_id == made.id and one.experience_id
        ]
        assert made.impressions == len(shown) == sum(one.impressions for one in made.experiences)
        assert (
            made.visitors
            == len({one.visitor for one in shown})
            == sum(one.visitors for one in made.experiences)
        )
        assert made.conversions == sum(one.conversions for one in made.experiences)
        assert made.revenue == pytest.approx(sum(one.revenue for one in made.experiences))
        assert made.switched <= made.visitors
        for one in made.experiences:
            assert one.conversions <= one.visitors
            assert (one.orders > 0) <= (one.conversions > 0)
            assert one.rate is None or one.rate.interval.low <= one.rate.value <= one.rate.interval.high


def test_report_survives_a_json_round_trip() -> None:
    made = make_report([*outcome("0", 30, 10), *outcome("1", 30, 20)], [ACTIVITY])
    text = msgspec.json.encode(made)
    assert msgspec.json.decode(text, type=Report) == made
    assert b'"sampleRatio"' in text
    assert b'"pValue"' in text


@pytest.mark.slow
def test_missing_scipy_names_the_extra() -> None:
    script = (
        "import sys; sys.modules['scipy'] = None\n"
        "from support.ledger import outcome\n"
        "from targetry.report.report import make_report\n"
        "from targetry.errors import TargetError\n"
        "try: make_report(outcome('0', 2, 1))\n"
        "except TargetError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "this needs the package scipy: pip install 'targetry[report]'\n"


# Changed shares, vanished experiences, wrong clocks


def entered(experience: str, visitors: int, conversions: int, at: int) -> list[LedgerEvent]:
    """Return visitors whose first impression is at a time, and clicks of some of them."""
    events = []
    for number in range(visitors):
        visitor = f"{at}-{experience}-{number}"
        events.append(event(visitor, visitor=visitor, at=at, experience_id=experience))
        if number < conversions:
            events.append(event(f"{visitor}-click", "click", visitor, at + 1, experience_id=experience))
    return events


@pytest.mark.parametrize("fixed", [True, False], ids=["one look", "every look"])
def test_lift_compares_only_visitors_since_the_shares_changed(fixed: bool) -> None:
    # The experience is as good as the control; its visitors come from a better time.
    events = [*entered("0", 900, 90, 1000), *entered("1", 100, 10, 1000)]
    events += [*entered("0", 200, 100, 5000), *entered("1", 800, 400, 5000)]
    changed = msgspec.structs.replace(ACTIVITY, shares_since_ms=4000)
    made = only(events, changed, ReportOptions(fixed=fixed))
    lift = made.experiences[1].lift
    assert lift is not None
    assert lift.value == pytest.approx(0)
    assert (made.visitors, made.compared) == (2_000, 1_000)
    same = only(events, options=ReportOptions(fixed=fixed)).experiences[1].lift
    assert same is not None
    assert same.value > 1


# shares of the control and two others → which of the others have a verdict
COMPARED_SHARES: dict[str, tuple[tuple[float | None, ...], list[bool]]] = {
    "all have visitors": ((40.0, 30.0, 30.0), [True, True]),
    "one gets none": ((50.0, 0.0, 50.0), [False, True]),
    "one was taken out": ((50.0, None, 50.0), [False, True]),
    "one gets all": ((0.0, 100.0, 0.0), [False, False]),
    "the control was taken out": ((None, 50.0, 50.0), [False, False]),
    "no share is known": ((None, None, None), [True, True]),
}


@each_case("shares, expected", COMPARED_SHARES.values(), ids=COMPARED_SHARES)
def test_experience_is_compared_if_it_and_the_control_have_a_share(
    shares: tuple[float | None, ...], expected: list[bool]
) -> None:
    experiences = tuple(ExperienceDescription(str(key), None, share) for key, share in enumerate(shares))
    events = [one for key in "012" for one in outcome(key, 60, 30)]
    made = only(events, msgspec.structs.replace(ACTIVITY, experiences=experiences))
    assert [one.verdict is not None for one in made.experiences[1:]] == expected


def test_chance_to_beat_the_control_is_of_visitors_since_the_shares_changed() -> None:
    events = [*entered("0", 900, 90, 1000), *entered("1", 100, 10, 1000)]
    events += [*entered("0", 200, 100, 5000), *entered("1", 800, 400, 5000)]
    changed = msgspec.structs.replace(
        ACTIVITY,
        shares_since_ms=4000,
        experiences=(ExperienceDescription("0", "A", 20.0), ExperienceDescription("1", "B", 80.0)),
    )
    control, other = only(events, changed, ReportOptions(bayes=True)).experiences
    assert control.bayes is None
    assert other.bayes == compare_rates(Sample(400, 800), Sample(100, 200))
    assert only(events, changed).experiences[1].bayes is None
    broken = only(events, options=ReportOptions(bayes=True))
    assert broken.experiences[1].verdict == "split is broken"
    assert broken.experiences[1].bayes is None


DAY_MS = 86_400_000


def test_visitors_from_the_future_are_counted_but_predict_nothing() -> None:
    events = [*entered("0", 50, 20, 1000), *entered("1", 50, 20, 1000), *entered("1", 3, 0, 10**15)]
    options = ReportOptions(planned=200)
    for now_ms, expected in ((2000, 3), (None, 0), (2 * 10**15, 0)):
        (made,) = make_report(events, [ACTIVITY], options, now_ms=now_ms).activities
        assert (made.visitors, made.compared, made.from_future) == (103, 103, expected)
    (made,) = make_report(events, [ACTIVITY], options, now_ms=2000).activities
    assert made.days_left == 1


@pytest.mark.parametrize(
    ("at", "expected"), [(999_999, 0), (1_795_964_564, 3), (3_999_999_999, 3), (4_102_444_800, 0)]
)
def test_visitors_with_times_in_seconds_are_counted(at: int, expected: int) -> None:
    events = [*entered("0", 5, 2, 1000), *entered("1", 3, 2, at), *entered("0", 4, 2, 1_795_964_564_000)]
    (made,) = make_report(events, [ACTIVITY], now_ms=1_795_964_565_000).activities
    assert made.in_seconds == expected
    notes = " ".join(activity_notes(make_report(events, [ACTIVITY]), made))
    assert ("3 visitors came in January or February 1970" in notes) == bool(expected)


def test_clocks_that_differ_by_an_hour_are_no_future() -> None:
    now_ms = DAY_MS - 60_000
    events = [*entered("0", 5, 2, 1000), *entered("1", 5, 2, DAY_MS + 60_000)]
    (made,) = make_report(events, [ACTIVITY], now_ms=now_ms).activities
    assert made.from_future == 0


def test_day_of_the_report_is_that_of_the_time_zone() -> None:
    evening = 2 * DAY_MS - 4 * 3_600_000  # the next morning in Tokyo
    events = [*entered("0", 5, 2, evening), *entered("1", 5, 2, evening)]
    for now_ms, expected in ((evening, 0), (evening - DAY_MS, 10)):
        (made,) = make_report(events, [ACTIVITY], ReportOptions(zone="Asia/Tokyo"), now_ms=now_ms).activities
        assert made.from_future == expected


# visitors by day, day of the report → days until 1,000 planned visitors, whole days without any
TRAFFIC = {
    "a day": ({0: 100}, 0, 9, 0),
    "a day that has begun": ({0: 100}, 1, 9, 0),
    "a day without visitors": ({0: 100}, 2, 18, 1),
    "growing": ({0: 20, 13: 40, 14: 400}, 14, 18, 0),
    "slowed": ({0: 500, 10: 28}, 20, 236, 9),
    "stopped": ({0: 100}, 15, None, 14),
    "plan is reached": ({0: 1_000}, 40, 0, 39),
}


@each_case("visitors, today, days_left, idle_days", TRAFFIC.values(), ids=TRAFFIC)
def test_days_left_follow_the_traffic_of_two_weeks(
    visitors: dict[int, int], today: int, days_left: int | None, idle_days: int
) -> None:
    events = [
        one
        for day, count in visitors.items()
        for experience in "01"
        for one in entered(experience, count // 2, 0, day * DAY_MS + 1000)
    ]
    now_ms = today * DAY_MS + 1000
    (made,) = make_report(events, [ACTIVITY], ReportOptions(planned=1_000), now_ms=now_ms).activities
    assert (made.days_left, made.idle_days) == (days_left, idle_days)


# days since the latest visitor, conversions → note
IDLE = {
    "a weekend": (3, 200, False),
    "longer": (4, 200, True),
    "a verdict is reached": (4, 400, False),
    "no time of the report": (None, 200, False),
}


@each_case("days, conversions, expected", IDLE.values(), ids=IDLE)
def test_traffic_that_stopped_is_noted(days: int | None, conversions: int, expected: bool) -> None:
    events = [*outcome("0", 500, 200), *outcome("1", 500, conversions)]
    made = make_report(events, [ACTIVITY], now_ms=None if days is None else days * DAY_MS)
    notes = " ".join(activity_notes(made, made.activities[0]))
    assert ("no visitor has come for 3 days" in notes) == expected


def test_report_on_no_visitor_of_the_past_predicts_nothing() -> None:
    events = [*entered("0", 50, 20, 10**15), *entered("1", 50, 20, 10**15)]
    (made,) = make_report(events, [ACTIVITY], ReportOptions(planned=200), now_ms=2000).activities
    assert (made.from_future, made.days_left) == (100, None)


def test_experience_that_left_the_activity_is_not_compared() -> None:
    events = [*outcome("0", 1000, 100), *outcome("1", 1000, 130), *outcome("9", 500, 90)]
    activity = make_report(events, [ACTIVITY], ReportOptions(bayes=True)).activities[0]
    alone = make_report(events[:2230], [ACTIVITY], ReportOptions(bayes=True)).activities[0]
    *compared, left = activity.experiences
    assert (left.id, left.visitors, left.lift, left.verdict, left.bayes) == ("9", 500, None, None, None)
    assert compared == list(alone.experiences), (
        "the number of comparisons is that of the experiences that stay"
    )


# shares, planned → visitors at which the intervals of the second and the third are tightest
TIGHTEST = [
    ((40.0, 40.0, 20.0), 60_000, [48_000, 36_000]),
    ((4.0, 4.0, 2.0), 60_000, [48_000, 36_000]),
    ((40.0, 40.0, 20.0), None, [10_000, 10_000]),
    ((None, None, None), 60_000, [60_000, 60_000]),
    ((50.0, 50.0, None), 60_000, [60_000]),
]


@each_case("shares, planned, expected", TIGHTEST)
def test_pair_of_experiences_has_its_part_of_the_plan(
    shares: tuple[float | None, ...], planned: int | None, expected: list[int]
) -> None:
    experiences = tuple(ExperienceDescription(str(key), None, share) for key, share in enumerate(shares))
    events = [one for e in "012" for one in outcome(e, 60, 30)]
    activity = msgspec.structs.replace(ACTIVITY, experiences=experiences)
    (made,) = make_report(events, [activity], ReportOptions(planned=planned)).activities
    lifts = [lift for one in made.experiences if (lift := one.metrics["conversion"].lift) is not None]
    assert [lift.n_star for lift in lifts] == expected


def test_guardrail_has_its_part_of_the_plan() -> None:
    def guardrail(planned: int, **shares: float) -> GuardrailReport:
        experiences = tuple(ExperienceDescription(key[1:], None, share) for key, share in shares.items())
        events = [one for key in shares for one in outcome(key[1:], 60, 30)]
        activity = msgspec.structs.replace(ACTIVITY, experiences=experiences)
        options = ReportOptions(planned=planned, guardrails=(Guardrail("conversion", 0.02),))
        (found,) = only(events, activity, options).experiences[-1].guardrails
        return found

    assert guardrail(60_000, e0=40, e1=40, e2=20) == guardrail(36_000, e0=40, e2=20)
