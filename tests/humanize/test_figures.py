"""Formats of numbers."""

from __future__ import annotations

from support.cases import each_case
from targetry.humanize.figures import format_signed_percent


@each_case("value, text", [(0.0512, "+5.1"), (-0.0512, "-5.1"), (-0.0001, "+0.0"), (-0.0, "+0.0")])
def test_signed_percent_has_no_negative_zero(value: float, text: str) -> None:
    assert format_signed_percent(value) == text
