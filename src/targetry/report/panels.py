"""Panels of an activity's pictures, with their lines, ranges and ticks, for any renderer.

A panel shows rates, lifts or the split after each day, or the distribution of the revenue. Early
days have wide intervals, so the ranges fit the later ones, and renderers clip the rest.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

import msgspec

from targetry.report.inference.metrics import METRICS
from targetry.report.inference.split_check import ALARM_BELOW
from targetry.report.inference.statistics import Interval
from targetry.report.looks import Look
from targetry.report.options import DEFAULT_METRIC
from targetry.report.report import ActivityReport, ExperienceReport, Report
from targetry.report.series import AmountBin, SplitLook

_T = TypeVar("_T")

PALETTE: Final = ("#64748b", "#3b82f6", "#10a37f", "#f59e0b", "#a855f7", "#ef4444", "#06b6d4", "#84cc16")
"""Colors of experiences by position; later ones start again."""

_MOST_LINES: Final = 8
_MOST_BANDS: Final = 3  # bands of more lines hide each other
_MOST_OUTLINES: Final = 2
_MOST_POINTS: Final = 120
_LEAST_BARS: Final = 6
_MOST_BARS: Final = 16
_BINS_OF_A_BAR: Final = (1, 2, 3, 4, 6, 8, 12, 24, 48, 96, 1e9)
_MAX_CHARACTERS: Final = 40
_MOST_IN_TITLE: Final = 24  # characters of a name
_TICKS: Final = 4
_LONG_DAYS: Final = 300
_MOST_DAYS: Final = 3650
_SMALL: Final = 0.0001  # p-value
_GAP_DAYS: Final = 30
_STRAY_PART: Final = 0.05  # of the visitors
_MARK_ROOM: Final = 0.1  # of the height, for the text of a mark
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


class PanelBand(msgspec.Struct, frozen=True):
    """Area between two curves."""

    xs: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class PanelLine(msgspec.Struct, frozen=True):
    """Line of an experience, with its position in the report.

    `latest` is the last value as a text, empty for a distribution. `bands` are shaded, and
    `outlines` have dotted edges.
    """

    position: int
    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    bands: tuple[PanelBand, ...] = ()
    outlines: tuple[PanelBand, ...] = ()
    latest: str = ""


class PanelLevel(msgspec.Struct, frozen=True):
    """Dashed horizontal line: of an experience, or of the panel."""

    y: float
    position: int | None = None


class PanelMark(msgspec.Struct, frozen=True):
    """Vertical line with its text: of an experience, or of the panel."""

    x: float
    text: str
    position: int | None = None


class Panel(msgspec.Struct, frozen=True):
    """Panel in which `x_range` and `y_range` are visible.

    Ticks are positions with their labels. Values on the x-axis are days since 1970, or decimal
    logarithms of amounts.
    """

    title: str
    note: str
    lines: tuple[PanelLine, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    levels: tuple[PanelLevel, ...] = ()
    marks: tuple[PanelMark, ...] = ()

    @property
    def description(self) -> str:
        """Title, note, latest values and marks, for readers who do not see the picture."""
        names: dict[int | None, str] = {one.position: one.name for one in self.lines}
        texts = [f"{one.name} {one.latest}".strip() for one in self.lines]
        texts += [f"{names.get(one.position, '')} {one.text}".strip() for one in self.marks]
        return f"{self.title}, {self.note}: {'; '.join(texts)}"


def activity_panels(activity: ActivityReport, report: Report) -> list[Panel]:
    """Return the panels of an activity for which the report has figures."""
    new = _new_visitors(activity)
    days = _drawn_days(new)
    shown = _restricted(activity, days)
    made = (
        _means(shown, report),
        _lifts(shown, report),
        _daily_visitors(activity, report, days, sum(n for day, n in new.items() if day not in days)),
        _split(shown, report),
        _amounts(activity, report),
    )
    return [one for one in made if one is not None]


def shorten_name(text: str, most: int = _MAX_CHARACTERS) -> str:
    """Return a name on one line, of at most 40 characters, for a picture.

    A name with letters that are written from right to left is isolated, so that it does not reorder
    the figures next to it.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    is_reordered = any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text)
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}" if is_reordered else text


def _new_visitors(activity: ActivityReport) -> Counter[int]:
    """Return the visitors of the shown experiences by the day of their first impression."""
    new: Counter[int] = Counter()
    for _, _, looks in _followed(activity, "conversion"):
        for look, before in zip(looks, [0, *(one.visitors for one in looks)], strict=False):
            new[look.day] += look.visitors - before
    return new


def _drawn_days(new: Counter[int]) -> range:
    """Return the days without those of few visitors whose clocks are wrong by months or years.

    They would squeeze all other days into a line.
    """
    days = sorted(new)
    if not days:
        return range(0)
    return range(_first_drawn(days, new), _first_drawn(days[::-1], new) + 1)


def _first_drawn(days: Sequence[int], new: Counter[int]) -> int:
    first, strays = days[0], 0
    for day, following in pairwise(days):
        strays += new[day]
        if strays > _STRAY_PART * new.total():
            break
        if abs(following - day) > _GAP_DAYS:
            first = following
    return first


def _restricted(activity: ActivityReport, days: range) -> ActivityReport:
    """Return an activity with the figures of these days."""
    looks = activity.split_over_time
    experiences = []
    for one in activity.experiences:
        metrics = dict(one.metrics)
        if (metric := metrics.get(activity.metric)) is not None and metric.over_time is not None:
            followed = [look for look in metric.over_time if look.day in days]
            metrics[activity.metric] = msgspec.structs.replace(metric, over_time=followed)
        experiences.append(msgspec.structs.replace(one, metrics=metrics))
    return msgspec.structs.replace(
        activity,
        experiences=tuple(experiences),
        split_over_time=None if looks is None else tuple(look for look in looks if look.day in days),
    )


def _means(activity: ActivityReport, report: Report) -> Panel | None:
    is_rate = activity.metric == "conversion"
    lines = _with_few_bands(
        [
            _line(position, one, looks, [look.mean for look in looks], [look.interval for look in looks])
            for position, one, looks in _followed(activity, activity.metric)
        ]
    )
    values = _later_values(lines)
    return _over_time(
        METRICS[activity.metric].label,
        f"up to each day ({report.zone})"
        + (f", with {100 * report.confidence:g} % intervals" if any(one.bands for one in lines) else ""),
        lines,
        _format_percent if is_rate else _format_number,
        (max(0.0, min(values)) if is_rate else min(values), max(values)) if values else None,
        marks=_verdict_marks(activity),
    )


def _lifts(activity: ActivityReport, report: Report) -> Panel | None:
    lines, first = [], math.inf
    for position, one, all_looks in _followed(activity, activity.metric):
        first = min(first, float(all_looks[0].day))
        looks = [look for look in all_looks if look.lift is not None]
        if looks:
            intervals = [look.lift_interval for look in looks]
            line = _line(position, one, looks, [look.lift or 0.0 for look in looks], intervals)
            narrow = [(float(look.day), look.one_look_interval) for look in looks]
            lines.append(msgspec.structs.replace(line, outlines=_bands(_thinned(narrow))))
    shown = _with_few_bands(lines)
    values = [0.0, *_later_values(shown)]
    kind = "for one look at the end" if report.fixed else "valid at every look"
    return _over_time(
        f"Lift over {shorten_name(activity.experiences[0].label, _MOST_IN_TITLE)}"
        if activity.experiences
        else "Lift",
        ("" if activity.metric == DEFAULT_METRIC else f"{METRICS[activity.metric].label.lower()}, ")
        + (
            f"{100 * report.confidence:g} % intervals {kind}"
            if any(one.bands for one in shown)
            else f"up to each day ({report.zone})"
        )
        + ("; dotted: for one look" if any(one.outlines for one in shown) else ""),
        shown,
        format_lift,
        (min(values), max(values)),
        first=first,
        levels=(PanelLevel(0.0),),
        marks=_verdict_marks(activity),
    )


def _daily_visitors(activity: ActivityReport, report: Report, days: range, strays: int) -> Panel | None:
    """Return the visitors of each day; those of days without any are 0.

    They are those of conversion, which has figures of each day, also of days without an order.
    """
    if not 0 < len(days) <= _MOST_DAYS:
        return None
    lines = []
    for position, one, looks in _followed(activity, "conversion"):
        total = 0
        new = dict.fromkeys(days, 0)
        for look in looks:
            if look.day in days:
                new[look.day] = look.visitors - total
            total = look.visitors
        kept = _thinned(list(new.items()))
        ends = tuple(float(day) for day, _ in kept), tuple(float(count) for _, count in kept)
        lines.append(PanelLine(position, shorten_name(one.label), *ends))
    return _over_time(
        "New visitors per day",
        f"by the day of their first impression ({report.zone})"
        + (f"; {strays:,} on days far away" if strays else ""),
        lines,
        _format_number,
        (0.0, max(y for one in lines for y in one.ys)),
    )


def _split(activity: ActivityReport, report: Report) -> Panel | None:
    looks = activity.split_over_time
    if not looks:
        return None
    lines, levels = [], []
    whole = math.fsum(one.share for one in activity.experiences if one.share)
    divided = [position for position, one in enumerate(activity.experiences) if one.share]
    for position, one in _shown(activity):
        if position not in divided:
            continue
        totals = [sum(look.visitors[other] for other in divided) or 1 for look in looks]
        parts = [
            (float(look.day), look.visitors[position] / total)
            for look, total in zip(looks, totals, strict=True)
        ]
        kept = _thinned(parts)
        lines.append(
            PanelLine(
                position, shorten_name(one.label), tuple(x for x, _ in kept), tuple(part for _, part in kept)
            )
        )
        levels.append(PanelLevel((one.share or 0) / whole, position))
    broken = next((one.day for one in looks if one.p_value is not None and one.p_value < ALARM_BELOW), None)
    values = [*_later_values(lines), *(one.y * factor for one in levels for factor in (0.95, 1.05))]
    return _over_time(
        "Split",
        f"up to each day ({report.zone}); dashed: shares{_split_p_value(looks[-1])}",
        lines,
        _format_percent,
        (min(values), max(values)),
        levels=tuple(levels),
        marks=() if broken is None else (PanelMark(float(broken), f"broken, {_format_day(broken)}"),),
    )


def _split_p_value(look: SplitLook) -> str:
    if look.p_value is None:
        return ""
    return f"; p-value {look.p_value:.2g}" if look.p_value >= _SMALL else f"; p-value < {_SMALL}"


class _Bars(NamedTuple):
    """Bars of a histogram on a scale of powers of ten; `first` times `width` is the left end."""

    width: float
    first: int
    number: int

    def heights(self, bins: Sequence[AmountBin]) -> list[int]:
        """Return the buyers in each bar."""
        heights = [0] * self.number
        for one in bins:
            middle = (math.log10(one.low) + math.log10(one.high)) / 2
            heights[math.floor(middle / self.width) - self.first] += one.buyers
        return heights


def _bars(bins: Sequence[AmountBin], most: int) -> _Bars:
    """Return about `most` bars at most, each of whole bins."""
    ends = [math.log10(end) for one in bins for end in (one.low, one.high)]
    low, high = min(ends), max(ends)
    fine = min(math.log10(one.high / one.low) for one in bins)
    width = fine * next(n for n in _BINS_OF_A_BAR if high - low <= n * fine * most)
    first = math.floor(low / width + 1e-6)
    return _Bars(width, first, math.ceil(high / width - 1e-6) - first)


def _amounts(activity: ActivityReport, report: Report) -> Panel | None:
    """Return the distribution of the buyers' revenue, in steps of equal ratios."""
    counted = [(position, one, one.amounts) for position, one in _shown(activity) if one.amounts]
    buyers = [sum(one.buyers for one in bins) for _, _, bins in counted]
    if sum(buyers) < 2:
        return None
    most = max(_LEAST_BARS, min(_MOST_BARS, round(2 * min(buyers) ** (1 / 3))))
    bars = _bars([one for _, _, bins in counted for one in bins], most)
    edges = [bars.width * (bars.first + place) for place in range(bars.number + 1)]
    xs = [edge for pair in pairwise(edges) for edge in pair]
    lines = []
    for position, one, bins in counted:
        heights = bars.heights(bins)
        ys = [count / sum(heights) for count in heights for _ in range(2)]
        ends = (xs[0], *xs, xs[-1]), (0.0, *ys, 0.0)
        lines.append(PanelLine(position, shorten_name(one.label), *ends))
    high = max(y for one in lines for y in one.ys)
    left, right = edges[0], edges[-1]
    cap = report.cap
    is_capped = cap is not None and left < math.log10(cap) < right
    return Panel(
        "Revenue per buyer",
        "share of the buyers by what each of them spent",
        tuple(lines),
        (left, right),
        (0.0, 1.05 * high),
        _amount_ticks(left, right),
        round_ticks(0.0, 1.05 * high, _format_percent),
        marks=(PanelMark(math.log10(cap), "cap"),) if cap is not None and is_capped else (),
    )


def _shown(activity: ActivityReport) -> list[tuple[int, ExperienceReport]]:
    """Return the experiences with visitors and their positions: the first, and the most visited."""
    visited = [(position, one) for position, one in enumerate(activity.experiences) if one.visitors]
    most = sorted(visited, key=lambda row: (row[0] > 0, -row[1].visitors))[:_MOST_LINES]
    return sorted(most, key=lambda row: row[0])


def _followed(activity: ActivityReport, name: str) -> list[tuple[int, ExperienceReport, Sequence[Look]]]:
    """Return the shown experiences with their figures of a metric after each day."""
    return [
        (position, one, metric.over_time)
        for position, one in _shown(activity)
        if (metric := one.metrics.get(name)) is not None and metric.over_time
    ]


def _verdict_marks(activity: ActivityReport) -> tuple[PanelMark, ...]:
    return tuple(
        PanelMark(float(one.verdict_day), f"{one.verdict}, {_format_day(one.verdict_day)}", position)
        for position, one in _shown(activity)
        if one.verdict_day is not None and one.verdict is not None
    )


def _with_few_bands(lines: Sequence[PanelLine]) -> Sequence[PanelLine]:
    """Return the lines, without their bands and outlines if there are many."""
    if len(lines) > _MOST_BANDS:
        return [msgspec.structs.replace(one, bands=(), outlines=()) for one in lines]
    if len(lines) > _MOST_OUTLINES:
        return [msgspec.structs.replace(one, outlines=()) for one in lines]
    return lines


def _line(
    position: int,
    one: ExperienceReport,
    looks: Sequence[Look],
    values: Sequence[float],
    intervals: Sequence[Interval | None],
) -> PanelLine:
    points = _thinned(
        [(float(look.day), y, interval) for look, y, interval in zip(looks, values, intervals, strict=True)]
    )
    xs, ys = tuple(x for x, _, _ in points), tuple(y for _, y, _ in points)
    bands = _bands([(x, interval) for x, _, interval in points])
    return PanelLine(position, shorten_name(one.label), xs, ys, bands)


def _bands(points: Sequence[tuple[float, Interval | None]]) -> tuple[PanelBand, ...]:
    """Return a band for each run of intervals that are known."""
    runs: list[list[tuple[float, Interval]]] = [[]]
    for x, interval in points:
        if interval is None or not math.isfinite(interval.high - interval.low):
            runs.append([])
        else:
            runs[-1].append((x, interval))
    return tuple(
        PanelBand(
            tuple(x for x, _ in run), tuple(end.low for _, end in run), tuple(end.high for _, end in run)
        )
        for run in runs
        if len(run) > 1
    )


def _thinned(points: Sequence[_T]) -> list[_T]:
    """Return at most `_MOST_POINTS` points, the first and the last among them."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    return [points[round(n * (len(points) - 1) / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS)]


def _later_values(lines: Sequence[PanelLine]) -> list[float]:
    """Return the values of the last three quarters of the days, and the intervals of the half."""
    days = [x for one in lines for x in one.xs]
    if not days:
        return []
    first, last = min(days), max(days)
    quarter, half = first + (last - first) / 4, first + (last - first) / 2
    found = [y for one in lines for x, y in zip(one.xs, one.ys, strict=True) if x >= quarter]
    for band in (band for one in lines for band in one.bands):
        ends = zip(band.xs, band.lows, band.highs, strict=True)
        found += [end for x, *both in ends if x >= half for end in both]
    return found


def _over_time(
    title: str,
    note: str,
    lines: Sequence[PanelLine],
    form: Callable[[float], str],
    bounds: tuple[float, float] | None,
    *,
    first: float = math.inf,
    levels: tuple[PanelLevel, ...] = (),
    marks: tuple[PanelMark, ...] = (),
) -> Panel | None:
    """Return a panel from the first day on; None for less than two days."""
    days = {x for one in lines for x in one.xs}
    if len(days) < 2 or bounds is None:
        return None
    first, last = min(first, *days), max(days)
    low, high = bounds
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    shown = tuple(one for one in marks if first <= one.x <= last)
    y_range = (0.0 if low == 0 else low - room, high + room + _MARK_ROOM * len(shown) * (high - low))
    return Panel(
        title,
        note,
        tuple(msgspec.structs.replace(one, latest=form(one.ys[-1])) for one in lines),
        (first, last),
        y_range,
        _day_ticks(first, last),
        round_ticks(*y_range, form),
        levels,
        shown,
    )


def round_ticks(low: float, high: float, form: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
    """Return round values within a range."""
    least = (high - low) / _TICKS
    unit = 10.0 ** math.floor(math.log10(least))
    step = unit * next(one for one in _STEPS if one * unit >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((step * n, form(step * n)) for n in range(first, last + 1))


def _day_ticks(first: float, last: float) -> tuple[tuple[float, str], ...]:
    count = int(min(_TICKS, last - first + 1))
    days = sorted({round(first + (last - first) * n / (count - 1)) for n in range(count)})
    return tuple((float(day), _format_day(day, is_long=last - first > _LONG_DAYS)) for day in days)


def _amount_ticks(left: float, right: float) -> tuple[tuple[float, str], ...]:
    decades = range(math.floor(left), math.ceil(right) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [place for n in decades for step in steps if left <= (place := n + math.log10(step)) <= right]
        if len(found) <= 2 * _TICKS - 2:
            break
    every = max(1, math.ceil(len(found) / (2 * _TICKS)))
    return tuple((place, _format_number(round(10**place, 9))) for place in found[::every])


def _format_day(day: int, *, is_long: bool = False) -> str:
    try:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    except OverflowError:
        return f"day {day}"
    return f"{date:%b %Y}" if is_long else f"{date:%b} {date.day}"


def _format_percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def format_lift(value: float) -> str:
    """Return a lift in percent with its sign, without a sign if it is 0."""
    return f"{100 * value:+.4g} %" if round(value, 9) else "0 %"


def _format_number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
