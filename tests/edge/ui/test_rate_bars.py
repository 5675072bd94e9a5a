from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ledger import ACTIVITY, outcome
from targetry.edge.ui.report_charts import RateBar, rate_bars
from targetry.report.options import ReportOptions
from targetry.report.report import ActivityReport, make_report

pytest.importorskip("scipy")


def reported(*counts: tuple[int, int]) -> ActivityReport:
    """Return the report of an activity, given visitors and conversions of each experience."""
    events = [
        event
        for key, (visitors, converted) in enumerate(counts)
        for event in outcome(str(key), visitors, converted)
    ]
    (activity,) = make_report(events, [ACTIVITY]).activities
    return activity


def test_bars_share_a_scale_from_0_to_a_round_number() -> None:
    activity = reported((60, 6), (60, 30))
    drawn = rate_bars(activity)
    assert drawn.end == 80
    first, second = drawn.bars
    assert first is not None
    assert second is not None
    assert (first.value, second.value) == (12.5, 62.5)
    assert drawn.control == 12.5
    assert first.start < first.value < first.start + first.width < second.start


def test_bars_are_of_the_primary_metric() -> None:
    orders = [
        msgspec.structs.replace(one, id=f"o{one.id}", kind="order", order_id=one.id, order_total=300.0)
        for e in "01"
        for one in outcome(e, 60, 30)
        if one.kind == "click"
    ]
    shown = [one for e in "01" for one in outcome(e, 60, 0)]
    (activity,) = make_report([*shown, *orders], [ACTIVITY], ReportOptions(metric="revenue")).activities
    drawn = rate_bars(activity)
    assert drawn.end == 400
    assert [one.value for one in drawn.bars if one is not None] == [37.5, 37.5]


def test_experience_without_visitors_has_no_bar() -> None:
    drawn = rate_bars(reported((5, 1)))
    assert drawn.bars[1] is None
    assert drawn.control is None, "there is nothing to compare with it"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=2))
def test_bars_stay_within_the_scale(counts: list[tuple[int, int]]) -> None:
    activity = reported(*((max(one), min(one)) for one in counts), (1, 0))
    for bar in rate_bars(activity).bars:
        if bar is not None:
            assert 0 <= bar.start <= bar.value <= 100
            assert bar.value <= round(bar.start + bar.width, 2) <= 100


@pytest.mark.parametrize(
    ("high", "end"),
    [(0.0, 100), (0.0034, 0.4), (0.1, 10), (0.11, 15), (0.21, 30), (0.26, 30), (0.51, 60), (1.0, 100)],
)
def test_scale_ends_at_the_next_round_number(high: float, end: float) -> None:
    activity = reported((5, 1))
    rate = activity.experiences[0].rate
    assert rate is not None
    rate = msgspec.structs.replace(
        rate, value=high, interval=msgspec.structs.replace(rate.interval, low=0.0, high=high)
    )
    first = msgspec.structs.replace(activity.experiences[0], rate=rate)
    drawn = rate_bars(msgspec.structs.replace(activity, experiences=[first]))
    assert drawn.end == end
    assert drawn.bars == [RateBar(0.0, *[round(100 * high / (end / 100), 2)] * 2)]
