"""Caps at a percentile, and adjustment by what visitors did before the test."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from support.cases import each_case
from support.ledger import ACTIVITY, event
from targetry.errors import OptionError
from targetry.ledger.event import LedgerEvent
from targetry.ledger.sums import ActivitySums, VisitorSums
from targetry.report.aggregation import aggregated
from targetry.report.inference.cuped import adjusted_estimates
from targetry.report.inference.estimates import Moments
from targetry.report.inference.visitor_sums import cap_at_percentile
from targetry.report.options import ReportOptions
from targetry.report.report import ActivityReport, make_report

pytest.importorskip("scipy")

DAY_MS = 86_400_000
FIRST_MS = 40 * DAY_MS


def order(key: str, visitor: str, at: int, total: float, order_id: str | None = None) -> LedgerEvent:
    return event(
        key,
        "order",
        visitor,
        at,
        activity_id="",
        experience_id="",
        order_id=order_id or key,
        order_total=total,
    )


def visitors(*events: LedgerEvent, history_ms: int = 10 * DAY_MS) -> list[VisitorSums]:
    with aggregated(events, [ACTIVITY]) as made:
        return sorted(made.visitors(history_ms))


IMPRESSION = event("i", at=FIRST_MS)

# events before the first impression → has history, converted, orders, revenue
BEFORE = {
    "nothing": ([], (False, False, 0, 0)),
    "order": ([order("a", "ada", FIRST_MS - 1, 20.0)], (True, True, 1, 20)),
    "first moment": ([order("a", "ada", FIRST_MS - 10 * DAY_MS, 20.0)], (True, True, 1, 20)),
    "older order": ([order("a", "ada", FIRST_MS - 10 * DAY_MS - 1, 20.0)], (False, False, 0, 0)),
    "order at the impression": ([order("a", "ada", FIRST_MS, 20.0)], (False, False, 0, 0)),
    "order that is sent twice": (
        [order("a", "ada", FIRST_MS - 9, 20.0, "x"), order("b", "ada", FIRST_MS - 5, 20.0, "x")],
        (True, True, 1, 20),
    ),
    "total that is out of range": ([order("a", "ada", FIRST_MS - 9, 1e300)], (True, True, 1, 0)),
    "click elsewhere": ([event("c", "click", at=FIRST_MS - 9, activity_id="7")], (True, True, 0, 0)),
    "impression elsewhere": ([event("c", at=FIRST_MS - 9, activity_id="7")], (True, False, 0, 0)),
    "another visitor": ([order("a", "bob", FIRST_MS - 9, 20.0)], (False, False, 0, 0)),
}


@each_case("events, expected", BEFORE.values(), ids=BEFORE)
def test_history_is_what_the_visitor_did_before(
    events: list[LedgerEvent], expected: tuple[bool, bool, int, float]
) -> None:
    (found,) = (one for one in visitors(IMPRESSION, *events) if one.activity_id == "1")
    assert found[:3] == ("1", "0", 40)
    assert found[-4:] == expected


def shop(count: int = 400, seed: int = 1, spends: float = 1.0) -> list[LedgerEvent]:
    """Return visitors who spend about as much after their first impression as before it."""
    random = Random(seed)
    found = []
    for number in range(count):
        visitor, experience = f"v{number}", str(number % 2)
        means = random.lognormvariate(3, 1)
        before, after = (means * random.uniform(0.8, 1.2) for _ in range(2))
        found.append(event(f"{visitor}-i", visitor=visitor, at=FIRST_MS, experience_id=experience))
        found.append(order(f"{visitor}-before", visitor, FIRST_MS - DAY_MS, before))
        if number % 10:
            factor = spends if number % 2 else 1.0
            found.append(order(f"{visitor}-after", visitor, FIRST_MS + 1, after * factor))
    return found


SHOP = shop()


def only(events: list[LedgerEvent], options: ReportOptions) -> ActivityReport:
    (made,) = make_report(events, [ACTIVITY], options).activities
    return made


def width(made: ActivityReport, metric: str = "revenue") -> float:
    lift = made.experiences[1].metrics[metric].lift
    assert lift is not None
    assert lift.interval is not None
    return lift.interval.high - lift.interval.low


def test_adjustment_is_the_same_in_every_time_zone() -> None:
    plain = only(SHOP, ReportOptions(metric="revenue", cuped=7))
    made = only(SHOP, ReportOptions(metric="revenue", cuped=7, zone="America/New_York"))
    assert width(made) == pytest.approx(width(plain))


def test_cap_at_a_percentile_is_the_same_in_every_time_zone() -> None:
    plain = only(SHOP, ReportOptions(fixed=True, metric="revenue", cap_percentile=0.9))
    made = only(
        SHOP, ReportOptions(fixed=True, metric="revenue", cap_percentile=0.9, zone="America/New_York")
    )
    assert (made.capped, made.cut) == (plain.capped, pytest.approx(plain.cut))
    assert width(made) == pytest.approx(width(plain))


@pytest.mark.parametrize("fixed", [False, True], ids=["every look", "one look"])
def test_adjusted_interval_of_revenue_is_narrower(fixed: bool) -> None:
    plain = only(SHOP, ReportOptions(fixed=fixed, metric="revenue"))
    made = only(SHOP, ReportOptions(fixed=fixed, metric="revenue", cuped=7))
    assert made.history == 1.0
    assert plain.history is None
    assert width(made) < 0.7 * width(plain)
    assert width(made, "rpo") == width(plain, "rpo")
    methods = [one.experiences[1].metrics["revenue"].lift for one in (plain, made)]
    assert [one.method.endswith("-cuped") for one in methods if one] == [False, True]
    for name in ("orders", "revenue"):
        figures = [one.experiences[1].metrics[name] for one in (plain, made)]
        assert figures[0].mean == figures[1].mean
        assert figures[0].interval == figures[1].interval


def test_adjusted_lift_is_that_of_the_moments_of_visitors() -> None:
    groups = []
    for experience in "01":
        found = [one for one in visitors(*SHOP) if one.experience_id == experience]
        pairs = [(one.revenue, one.revenue_before) for one in found]
        sums = [sum(x * y for x, y in zip(first, second, strict=True)) for first, second in (
            ([x for x, _ in pairs], [1.0] * len(pairs)),
            ([x for x, _ in pairs], [x for x, _ in pairs]),
            ([y for _, y in pairs], [1.0] * len(pairs)),
            ([y for _, y in pairs], [y for _, y in pairs]),
            ([x for x, _ in pairs], [y for _, y in pairs]),
        )]  # fmt: skip
        groups.append(Moments(len(pairs), *sums))
    expected = adjusted_estimates(groups)
    assert expected is not None
    lift = only(SHOP, ReportOptions(metric="revenue", cuped=7)).experiences[1].metrics["revenue"].lift
    assert lift is not None
    assert lift.value == pytest.approx(expected[1].mean / expected[0].mean - 1)


def test_few_visitors_with_a_history_adjust_nothing() -> None:
    early = [one for one in SHOP if not one.id.endswith("-before") or int(one.visitor[1:]) < 100]
    plain, made = (only(early, ReportOptions(metric="revenue", cuped=one)) for one in (None, 7))
    assert made.history == 0.25
    assert made.experiences == plain.experiences


def test_history_that_does_not_vary_adjusts_nothing() -> None:
    same = [
        msgspec.structs.replace(one, order_total=5.0) if one.id.endswith("-before") else one for one in SHOP
    ]
    plain, made = (only(same, ReportOptions(metric="revenue", cuped=one)) for one in (None, 7))
    assert made.experiences == plain.experiences
    assert adjusted_estimates([Moments(1, 1, 1), Moments(5, 1, 1)]) is None


def test_cap_at_a_percentile_equals_that_cap() -> None:
    amounts = sorted(one.revenue for one in visitors(*SHOP) if one.revenue)
    made = only(SHOP, ReportOptions(fixed=True, metric="revenue", cap_percentile=0.9))
    assert made.cap == amounts[323]  # 324 of 360 buyers are 90 %
    expected = only(SHOP, ReportOptions(fixed=True, metric="revenue", cap=made.cap))
    assert made.capped == expected.capped == 36
    assert made.cut == pytest.approx(expected.cut)
    assert made.largest_part == pytest.approx(expected.largest_part)
    for one, other in zip(made.experiences, expected.experiences, strict=True):
        assert one.metrics["revenue"].mean == pytest.approx(other.metrics["revenue"].mean)
        assert one.metrics["rpo"].interval.low == pytest.approx(other.metrics["rpo"].interval.low)
        assert one.verdict == other.verdict


@each_case("percentile, cap", [(0.55, 55.0), (0.9, 90.0), (0.999, 100.0), (1e-9, 1.0)])
def test_cap_is_the_least_amount_of_that_part_of_the_buyers(percentile: float, cap: float) -> None:
    buyers = [VisitorSums("1", "0", 0, True, 1, float(n), False, False, 0, 0.0) for n in range(1, 101)]
    assert cap_at_percentile({"1": ActivitySums()}, buyers, percentile) == {"1": cap}


def test_cap_at_a_percentile_counts_for_the_history_too() -> None:
    options = {"fixed": True, "metric": "revenue", "cuped": 7}
    made = only(SHOP, ReportOptions(cap_percentile=0.9, **options))  # type: ignore[arg-type]
    expected = only(SHOP, ReportOptions(cap=made.cap, **options))  # type: ignore[arg-type]
    assert width(made) == pytest.approx(width(expected))


def test_cap_at_a_percentile_needs_an_amount() -> None:
    made = only([IMPRESSION], ReportOptions(fixed=True, cap_percentile=0.9))
    assert (made.cap, made.capped) == (None, 0)


# options → message
MISTAKES = {
    "percentile at every look": ({"cap_percentile": 0.9}, "cap_percentile: needs `fixed`: a cap that moves"),
    "two caps": (
        {"cap_percentile": 0.9, "cap": 5.0, "fixed": True},
        "cap_percentile: must not be given with",
    ),
    "percentile of 100": ({"cap_percentile": 1.0, "fixed": True}, "cap_percentile: must be a number between"),
    "no days": ({"cuped": 0}, "cuped: must be an integer from 1 to 3650, not 0"),
    "part of a day": ({"cuped": 0.5}, "cuped: must be an integer from 1 to 3650, not 0.5"),
}


@each_case("options, message", MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_an_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        ReportOptions(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)
