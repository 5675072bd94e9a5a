"""Figures after each day: the split, the day of a verdict, and the distribution of revenue."""

from __future__ import annotations

import msgspec
import pytest

from support.ledger import ACTIVITY, event
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.report.options import ReportOptions
from targetry.report.report import ActivityReport, make_report, without_series

pytest.importorskip("scipy")

DAY_MS = 86_400_000
DAYS = ReportOptions(over_time=True, amounts=True)


def visits(
    experience: str, day: int, visitors: int, buyers: int = 0, total: float = 0.0
) -> list[LedgerEvent]:
    """Return the impressions of a day's visitors, and orders of the first of them."""
    made = []
    for number in range(visitors):
        visitor, at = f"{experience}-{day}-{number}", day * DAY_MS + 1000
        made.append(event(visitor, visitor=visitor, experience_id=experience, at=at))
        if number < buyers:
            order = {"order_id": visitor, "order_total": total, "activity_id": "", "experience_id": ""}
            made.append(event(f"{visitor}-order", "order", visitor, at + 1, **order))
    return made


def reported(
    events: list[LedgerEvent], options: ReportOptions = DAYS, activity: ActivityDescription = ACTIVITY
) -> ActivityReport:
    (made,) = make_report(events, [activity], options).activities
    return made


BETTER = [
    one for day in range(6) for one in (*visits("0", day, 200, 20, 5.0), *visits("1", day, 200, 32, 9.0))
]


def test_verdict_has_the_first_day_on_which_it_holds() -> None:
    control, better = reported(BETTER).experiences
    assert (better.verdict, control.verdict_day) == ("better", None)
    p_values = {look.day: look.p_value for look in better.metrics["conversion"].over_time or ()}
    first = min(day for day, p_value in p_values.items() if p_value is not None and p_value < 0.05)
    assert better.verdict_day == first
    assert 0 < first < 5


def test_verdict_of_several_experiences_has_its_day_after_the_correction() -> None:
    third = msgspec.structs.replace(
        ACTIVITY, experiences=tuple(ExperienceDescription(key, key, 33.3) for key in "012")
    )
    events = [*BETTER, *(one for day in range(6) for one in visits("2", day, 200, 20, 5.0))]
    _, better, same = reported(events, activity=third).experiences
    assert (better.verdict, same.verdict, same.verdict_day) == ("better", "not yet", None)
    p_values = [(look.day, look.p_value or 0.0) for look in better.metrics["conversion"].over_time or ()]
    assert better.verdict_day == min(day for day, p_value in p_values if 2 * p_value < 0.05)
    assert better.verdict_day > min(day for day, p_value in p_values if p_value < 0.05)


def test_day_of_no_difference_begins_the_last_days_within_the_margin() -> None:
    events = [one for day in range(8) for one in (*visits("0", day, 200, 150), *visits("1", day, 200, 150))]
    options = msgspec.structs.replace(DAYS, margin=0.2)
    found = reported(events, options).experiences[1]
    within = [
        look.day
        for look in found.metrics["conversion"].over_time or ()
        if look.lift_interval and max(-look.lift_interval.low, look.lift_interval.high) < 0.2
    ]
    assert found.verdict == "no difference"
    assert found.verdict_day == within[0] > 0


@pytest.mark.parametrize(
    "options", [ReportOptions(), ReportOptions(fixed=True, over_time=True)], ids=["no days", "one look"]
)
def test_verdict_has_no_day_without_looks(options: ReportOptions) -> None:
    found = reported(BETTER, options).experiences[1]
    assert (found.verdict, found.verdict_day) == ("better", None)


def test_split_has_the_visitors_and_the_least_p_value_of_each_day() -> None:
    events = [*visits("0", 1, 500), *visits("1", 1, 400), *visits("0", 2, 400), *visits("1", 2, 500)]
    made = reported(events)
    first, last = made.split_over_time or ()
    assert [(one.day, one.visitors) for one in (first, last)] == [(1, (500, 400)), (2, (900, 900))]
    assert first.p_value == last.p_value
    assert first.p_value is not None
    assert first.p_value < 0.1
    assert made.sample_ratio is not None
    assert made.sample_ratio.sequential is not None
    assert made.sample_ratio.sequential.p_value == first.p_value
    assert reported(events, ReportOptions(fixed=True, over_time=True)).split_over_time is not None


def test_amounts_count_buyers_by_their_revenue() -> None:
    control, better = reported(BETTER).experiences
    (bin_,) = control.amounts or ()
    assert bin_.low <= 5.0 < bin_.high
    assert (bin_.buyers, sum(one.buyers for one in better.amounts or ())) == (120, 192)
    assert bin_.high / bin_.low == pytest.approx(10 ** (1 / 24))


def test_report_without_its_series_is_the_plain_report() -> None:
    plain = make_report(BETTER, [ACTIVITY])
    stripped = without_series(make_report(BETTER, [ACTIVITY], DAYS))
    (activity,) = stripped.activities
    assert activity.experiences[1].verdict_day is not None
    experiences = tuple(msgspec.structs.replace(one, verdict_day=None) for one in activity.experiences)
    activities = (msgspec.structs.replace(activity, experiences=experiences),)
    assert msgspec.structs.replace(stripped, activities=activities) == plain
