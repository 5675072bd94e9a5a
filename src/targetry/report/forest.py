"""Picture of the lifts of segments with their intervals, for any renderer, and as an SVG element.

A row shows the lift of an experience in one segment. The range fits all lifts and the intervals of
the larger half of the segments; renderers cut the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import msgspec

from targetry.humanize.figures import format_signed_percent
from targetry.report.by_segment import ActivitySegment, SegmentFigures, SegmentReport
from targetry.report.inference.metrics import METRICS
from targetry.report.panels import format_lift, round_ticks, shorten_name
from targetry.report.report import ActivityReport, Report
from targetry.report.svg import color_of

_MOST_SEGMENTS: Final = 12
_MOST_ROWS: Final = 30
_MOST_CHARACTERS: Final = 22  # of a name next to figures on a phone
_TOP, _ROW, _FOOT, _BAR = 4, 34, 20, 24  # pixels
_FAINT: Final = 'fill="currentColor" fill-opacity=".65"'


class ForestRow(msgspec.Struct, frozen=True):
    """Lift of an experience in a segment; `position` is that of the experience in the report.

    `lift` is None while a group has too few converters or buyers, `interval` while the control's
    mean may be 0. `starts` says that the row is the first one of its segment.
    """

    segment: str
    visitors: int
    position: int
    name: str
    lift: float | None
    interval: tuple[float, float] | None
    starts: bool

    @property
    def figures(self) -> str:
        """Lift and interval as a text."""
        if self.lift is None:
            return "too early"
        ends = (
            "" if self.interval is None else " ({} … {})".format(*map(format_signed_percent, self.interval))
        )
        return f"{format_signed_percent(self.lift)} %{ends}"


class Forest(msgspec.Struct, frozen=True):
    """Rows of lifts in which `x_range` is visible; `overall` has the lifts of all visitors.

    `overall` are positions of experiences with their lifts. Ticks are positions with their labels.
    """

    title: str
    note: str
    rows: tuple[ForestRow, ...]
    overall: tuple[tuple[int, float], ...]
    x_range: tuple[float, float]
    x_ticks: tuple[tuple[float, str], ...]


def segment_forest(activity: ActivityReport, report: Report, segments: SegmentReport) -> Forest | None:
    """Return the picture of an activity's segments; None without a lift."""
    found = segments.activities.get(activity.id, ())
    others = [
        (position, one)
        for position, one in enumerate(activity.experiences)
        if position and any(part.experiences[position].lift is not None for part in found)
    ]
    if not others:
        return None
    shown = found[: max(1, min(_MOST_SEGMENTS, _MOST_ROWS // len(others)))]
    rows = tuple(
        _row(part, position, part.experiences[position], starts=number == 0)
        for part in shown
        for number, (position, _) in enumerate(others)
    )[:_MOST_ROWS]
    overall = tuple(
        (position, metric.lift.value)
        for position, one in others
        if (metric := one.metrics.get(activity.metric)) is not None and metric.lift is not None
    )
    kind = "for one look at the end" if report.fixed else "valid at every look"
    left = f"; the {len(shown)} largest of {len(found)}" if len(shown) < len(found) else ""
    begins = "; the ledger begins with the activity" if activity.id in segments.without_history else ""
    x_range = _range(rows, [lift for _, lift in overall])
    return Forest(
        f"Lift by {shorten_name(segments.label)}",
        f"{METRICS[activity.metric].label.lower()}, {100 * report.confidence:g} % intervals of each segment, {kind}; "
        f"dashed: all visitors{left}{begins}",
        rows,
        overall,
        x_range,
        round_ticks(*x_range, format_lift),
    )


def _row(part: ActivitySegment, position: int, one: SegmentFigures, *, starts: bool) -> ForestRow:
    name = one.name if one.name is not None else f"experience {one.id}"
    value = "unknown" if part.value is None else part.value
    return ForestRow(
        value,
        part.visitors,
        position,
        shorten_name(name),
        one.lift,
        one.lift_interval if one.lift is not None else None,
        starts,
    )


def _range(rows: Sequence[ForestRow], overall: Sequence[float]) -> tuple[float, float]:
    known = [one for one in rows if one.interval is not None]
    ends = [end for one in known[: math.ceil(len(known) / 2)] for end in one.interval or ()]
    values = [0.0, *overall, *(one.lift for one in rows if one.lift is not None), *ends]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1
    return low - room, high + room


def render_forest(forest: Forest) -> str:
    """Return the picture as an SVG element of any width. Texts are escaped."""
    return "\n".join(_elements(forest))


def _elements(forest: Forest) -> Iterator[str]:
    several = len({one.position for one in forest.rows}) > 1
    bottom = _TOP + _ROW * len(forest.rows) + (_ROW // 2) * several * sum(one.starts for one in forest.rows)
    label = f"{forest.title}, {forest.note}: " + "; ".join(
        f"{shorten_name(one.segment)}, {one.name}: {one.figures}" for one in forest.rows
    )
    yield (
        f'<svg class="panel" width="100%" height="{bottom + _FOOT}" role="img" fill="none" overflow="visible" '
        f'font-size="11" aria-label="{escape(label)}">'
    )
    for x, text in forest.x_ticks:
        at = _at(forest, x)
        anchor = "start" if at < 4 else "end" if at > 96 else "middle"
        yield f'<text x="{at}%" y="{bottom + 14}" text-anchor="{anchor}" {_FAINT}>{escape(text)}</text>'
    top = _TOP
    for one in forest.rows:
        if several and one.starts:
            yield f'<text x="0" y="{top + 12}" fill="currentColor" font-weight="600">{escape(_segment(one))}</text>'
            top += _ROW // 2
        yield from _row_elements(forest, one, top, one.name if several else _segment(one))
        top += _ROW
    yield "</svg>"


def _segment(one: ForestRow) -> str:
    return f"{shorten_name(one.segment, _MOST_CHARACTERS)} · {one.visitors:,}"


def _row_elements(forest: Forest, one: ForestRow, top: int, label: str) -> Iterator[str]:
    color = color_of(one.position)
    yield f'<text x="0" y="{top + 12}" fill="currentColor">{escape(label)}</text>'
    yield f'<text x="100%" y="{top + 12}" text-anchor="end" {_FAINT}>{escape(one.figures)}</text>'
    for x, _ in forest.x_ticks:
        yield _upright(forest, x, top, f'stroke="currentColor" stroke-opacity="{".5" if x == 0 else ".14"}"')
    for position, lift in forest.overall:
        if position == one.position:
            yield _upright(forest, lift, top, f'stroke="{color}" stroke-dasharray="3 2"')
    if one.lift is None:
        return
    y = top + _BAR
    if one.interval is not None:
        low, high = (_at(forest, end) for end in one.interval)
        yield (
            f'<line x1="{low}%" x2="{high}%" y1="{y}" y2="{y}" stroke="{color}" stroke-width="4" '
            f'stroke-opacity=".45" stroke-linecap="round"/>'
        )
    yield f'<circle cx="{_at(forest, one.lift)}%" cy="{y}" r="4.5" fill="{color}"><title>{escape(one.name)}</title></circle>'


def _upright(forest: Forest, x: float, top: int, style: str) -> str:
    """Return a line below the texts of a row."""
    at = _at(forest, x)
    return f'<line x1="{at}%" x2="{at}%" y1="{top + _BAR - 7}" y2="{top + _BAR + 7}" {style}/>'


def _at(forest: Forest, x: float) -> float:
    """Return a position on the x-axis in percent of the width, at most at its ends."""
    low, high = forest.x_range
    return round(2 + 96 * min(1.0, max(0.0, (x - low) / (high - low))), 2)
