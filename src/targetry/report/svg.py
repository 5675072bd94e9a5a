"""Panels as SVG elements for pages: of any width, in the colors of their surroundings.

Texts and strokes keep their size when the width changes, and no style sheet is needed: axes have
the current color of the text around the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from targetry.report.panels import PALETTE, Panel, PanelLine

_LEFT, _WIDTH = 15.0, 83.0  # percent
_TOP, _HEIGHT, _FOOT = 12, 136, 22  # pixels
_SCALE: Final = 1000  # units of the plotted area's width
_LINE: Final = 13  # pixels
_FAINT: Final = 'fill="currentColor" fill-opacity=".65"'


def render_svg(panel: Panel) -> str:
    """Return a panel as an SVG element. Texts are escaped."""
    return "\n".join(_elements(panel))


def color_of(position: int | None) -> str:
    """Return the color of an experience, and that of the text without one."""
    return "currentColor" if position is None else PALETTE[position % len(PALETTE)]


def _elements(panel: Panel) -> Iterator[str]:
    yield (
        f'<svg class="panel" width="100%" height="{_TOP + _HEIGHT + _FOOT}" role="img" fill="none" overflow="visible" '
        f'font-size="11" aria-label="{escape(panel.description)}">'
    )
    for y, text in panel.y_ticks:
        at = _y(panel, y)
        yield (
            f'<line x1="{_LEFT}%" x2="{_LEFT + _WIDTH}%" y1="{at}" y2="{at}" stroke="currentColor" stroke-opacity=".14"/>'
        )
        yield f'<text x="{_LEFT - 1}%" y="{at + 4:.1f}" text-anchor="end" {_FAINT}>{escape(text)}</text>'
    for x, text in panel.x_ticks:
        at = _percent(panel, x)
        anchor = "start" if at < _LEFT + 4 else "end" if at > _LEFT + _WIDTH - 4 else "middle"
        yield (
            f'<text x="{at}%" y="{_TOP + _HEIGHT + 16}" text-anchor="{anchor}" {_FAINT}>{escape(text)}</text>'
        )
    for level in panel.levels:
        at = _y(panel, level.y)
        opacity = ".5" if level.position is None else ".9"
        yield (
            f'<line x1="{_LEFT}%" x2="{_LEFT + _WIDTH}%" y1="{at}" y2="{at}" stroke="{color_of(level.position)}" '
            f'stroke-opacity="{opacity}" stroke-dasharray="4 3"/>'
        )
    yield (
        f'<svg x="{_LEFT}%" y="{_TOP}" width="{_WIDTH}%" height="{_HEIGHT}" viewBox="0 0 {_SCALE} {_HEIGHT}" '
        'preserveAspectRatio="none">'
    )
    for line in panel.lines:
        yield from _curves(panel, line)
    yield "</svg>"
    yield from _marks(panel)
    yield "</svg>"


def _curves(panel: Panel, line: PanelLine) -> Iterator[str]:
    color = color_of(line.position)
    for band in line.bands:
        around = [
            *zip(band.xs, band.highs, strict=True),
            *zip(reversed(band.xs), reversed(band.lows), strict=True),
        ]
        yield f'<polygon points="{_points(panel, around)}" fill="{color}" fill-opacity=".16"/>'
    for outline in line.outlines:
        for edge in (outline.lows, outline.highs):
            points = _points(panel, list(zip(outline.xs, edge, strict=True)))
            yield f'<polyline points="{points}" stroke="{color}" stroke-dasharray="2 3" vector-effect="non-scaling-stroke"/>'
    yield (
        f'<polyline points="{_points(panel, list(zip(line.xs, line.ys, strict=True)))}" stroke="{color}" '
        f'stroke-width="2" stroke-linejoin="round" vector-effect="non-scaling-stroke"><title>{escape(line.name)}</title></polyline>'
    )


def _marks(panel: Panel) -> Iterator[str]:
    for number, mark in enumerate(panel.marks):
        at, y = _percent(panel, mark.x), _TOP + 10 + _LINE * number
        is_left = at < _LEFT + _WIDTH / 2
        color = color_of(mark.position)
        yield (
            f'<line x1="{at}%" x2="{at}%" y1="{_TOP}" y2="{_TOP + _HEIGHT}" stroke="{color}" stroke-dasharray="2 3"/>'
        )
        yield (
            f'<text x="{at + (1 if is_left else -1):.2f}%" y="{y}" text-anchor="{"start" if is_left else "end"}" '
            f'fill="{color}" font-weight="600">{escape(mark.text)}</text>'
        )


def _percent(panel: Panel, x: float) -> float:
    """Return a position on the x-axis in percent of the picture's width."""
    left, right = panel.x_range
    return round(_LEFT + _WIDTH * (x - left) / (right - left), 2)


def _y(panel: Panel, y: float) -> float:
    """Return a position on the y-axis in pixels."""
    low, high = panel.y_range
    return round(_TOP + _HEIGHT * (high - y) / (high - low), 1)


def _points(panel: Panel, points: list[tuple[float, float]]) -> str:
    """Return points in the units of the plotted area; those far outside come nearer."""
    left, right = panel.x_range
    return " ".join(
        f"{_SCALE * (x - left) / (right - left):.1f},{min(9999.0, max(-9999.0, _y(panel, y) - _TOP)):.1f}"
        for x, y in points
    )
