"""Typed builder of audience conditions: `geo.country == "US"` as Python.

    us = geo.country == "US"
    audience = us & (mbox.tier.in_(["gold", "platinum"]) | ~page.url_lc.contains("/checkout"))

Comparisons build conditions; `&`, `|` and `~` join them. The conditions are those of the same text
in a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, get_type_hints

from targetry.activities.expressions.forms import ends_with, starts_with
from targetry.activities.expressions.parser import parse_expression
from targetry.activities.expressions.printer import print_expression

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Operand:
    """A value of a request, or a condition about it, as JSON Logic.

    Comparisons with a text, a number, a boolean, None, a time with an offset, or another operand
    give conditions.

    Attributes:
        logic: The JSON Logic.
    """

    __slots__ = ("logic",)

    def __init__(self, logic: Any) -> None:
        self.logic = logic

    def __eq__(self, other: Comparable) -> Audience:  # type: ignore[override]
        return Audience({"==": [self.logic, _logic(other)]})

    def __ne__(self, other: Comparable) -> Audience:  # type: ignore[override]
        return Audience({"!=": [self.logic, _logic(other)]})

    def __lt__(self, other: Comparable) -> Audience:
        return Audience({"<": [self.logic, _logic(other)]})

    def __le__(self, other: Comparable) -> Audience:
        return Audience({"<=": [self.logic, _logic(other)]})

    def __gt__(self, other: Comparable) -> Audience:
        return Audience({">": [self.logic, _logic(other)]})

    def __ge__(self, other: Comparable) -> Audience:
        return Audience({">=": [self.logic, _logic(other)]})

    __hash__ = None  # type: ignore[assignment]

    def in_(self, values: Iterable[Comparable]) -> Audience:
        """Return the condition that the value is one of a list.

        Args:
            values: The list; a text is refused, as its letters are hardly meant.
        """
        if isinstance(values, str):
            raise TypeError(f"in_: {values!r} is a text; pass a list of values")
        return Audience({"in": [self.logic, [_logic(value) for value in values]]})

    def between(self, low: Comparable, high: Comparable) -> Audience:
        """Return the condition that the value is in a range, both ends included."""
        return Audience({"<=": [_logic(low), self.logic, _logic(high)]})

    def contains(self, part: str | Operand) -> Audience:
        """Return the condition that the text has a part."""
        return Audience({"in": [_logic(part), self.logic]})

    def starts_with(self, text: str) -> Audience:
        """Return the condition that the text starts with another.

        Raises:
            ValueError: The other is empty, or has a character beyond U+FFFF.
        """
        return Audience(starts_with(self.logic, _affix("starts_with", text)))

    def ends_with(self, text: str) -> Audience:
        """Return the condition that the text ends with another. Raises as `starts_with`."""
        return Audience(ends_with(self.logic, _affix("ends_with", text)))

    def is_set(self) -> Audience:
        """Return the condition that the value is neither empty, zero, false nor missing."""
        return Audience({"!!": self.logic})

    def __bool__(self) -> NoReturn:
        """Refuse, as `and`, `or`, `not` and chained comparisons would lose conditions."""
        raise TypeError("a condition has no truth here: write & for and, | for or, ~ for not, between(a, b)")

    def __str__(self) -> str:
        return print_expression(self.logic)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class Audience(Operand):
    """A condition about visitors."""

    __slots__ = ("_joined",)

    def __init__(self, logic: Any, *, joined: str = "") -> None:
        super().__init__(logic)
        self._joined = joined

    def __and__(self, other: Audience | bool) -> Audience:
        return self._join("and", other)

    def __or__(self, other: Audience | bool) -> Audience:
        return self._join("or", other)

    def __invert__(self) -> Audience:
        return Audience({"!": self.logic})

    def _join(self, operator: str, other: Audience | bool) -> Audience:
        """Return both conditions as one; `a & b & c` is one operation, as `a and b and c` is."""
        if not isinstance(other, Audience | bool):
            return NotImplemented
        first = self.logic[operator] if self._joined == operator else [self.logic]
        return Audience({operator: [*first, _logic(other)]}, joined=operator)


Comparable = str | float | bool | datetime | Operand | None


def expression(text: str) -> Audience:
    """Return the condition of an expression as files have it.

    Args:
        text: The expression.

    Raises:
        ExpressionError: It is not an audience expression.
    """
    return Audience(parse_expression(text, {}))


def _logic(value: Comparable) -> Any:
    if isinstance(value, Operand):
        return value.logic
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} has no offset; give it a tzinfo")
        return (value - _EPOCH) // timedelta(milliseconds=1)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} is no value of a condition; pass text, number, boolean or None")


def _affix(name: str, text: str) -> str:
    if not isinstance(text, str) or not text or max(text) > "\uffff":
        raise ValueError(f"{name}: {text!r} is not a text of characters up to U+FFFF")
    return text


class _Facts:
    """Group of facts: the annotations of a subclass are its members."""

    def __init__(self, name: str) -> None:
        for member in get_type_hints(type(self)):
            setattr(self, member, Operand({"var": f"{name}.{member}"}))


class GeoFacts(_Facts):
    """Place of the visitor; names of countries, regions and cities are in capitals."""

    country: Operand
    region: Operand
    city: Operand
    latitude: Operand
    longitude: Operand


class UserFacts(_Facts):
    """Browser of the visitor."""

    browserType: Operand  # noqa: N815  the artifact's name
    browserVersion: Operand  # noqa: N815
    platform: Operand
    locale: Operand


class UrlFacts(_Facts):
    """Parts of a URL; those that end with `_lc` are in lower case."""

    url: Operand
    path: Operand
    query: Operand
    fragment: Operand
    subdomain: Operand
    domain: Operand
    topLevelDomain: Operand  # noqa: N815
    url_lc: Operand
    path_lc: Operand
    query_lc: Operand
    fragment_lc: Operand
    subdomain_lc: Operand
    domain_lc: Operand
    topLevelDomain_lc: Operand  # noqa: N815


class Parameters:
    """Parameters of an mbox: `mbox.tier`, `mbox["odd-name"]`."""

    def __getattr__(self, name: str) -> Operand:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Operand:
        return Operand({"var": f"mbox.{name}"})


geo: Final = GeoFacts("geo")
user: Final = UserFacts("user")
page: Final = UrlFacts("page")
referring: Final = UrlFacts("referring")
mbox: Final = Parameters()
current_timestamp: Final = Operand({"var": "current_timestamp"})
current_time: Final = Operand({"var": "current_time"})
current_day: Final = Operand({"var": "current_day"})
