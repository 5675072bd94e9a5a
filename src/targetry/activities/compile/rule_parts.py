"""Parts of a rule: what the compiler puts together, taken apart."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from targetry.activities.compile.compiler import window_condition
from targetry.activities.expressions import ExpressionError, parse_expression, print_expression

Window = tuple[float, float]
_KEYS: Final = {"ruleKey", "activityId", "meta", "condition", "consequence"}
_OPTIONAL_KEYS: Final = {"propertyTokens"}
_META_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "activity.id": (int,),
    "activity.name": (str,),
    "activity.type": (str,),
    "experience.id": (int,),
    "experience.name": (str,),
    "location.name": (str,),
    "location.type": (str,),
    "location.id": (int,),
    "audience.ids": (list,),
}
_OPTIONAL_META: Final[dict[str, tuple[type, ...]]] = {
    "offer.id": (int, str),
    "offer.name": (str,),
    "option.id": (int, str),
    "option.name": (str,),
}
_LARGEST_ID: Final = 2**53 - 1


class ParsedRule(msgspec.Struct, frozen=True):
    """Rule of an artifact, taken apart; `parts` are the conditions besides the window."""

    kind: str
    place: str
    rule_key: str
    meta: dict[str, Any]
    window: Window | None
    parts: list[Any]
    options: list[Any]
    metrics: list[dict[str, Any]]
    properties: list[str] | None
    analytics: dict[str, Any] | None

    @property
    def activity_id(self) -> int:
        """The id of the activity."""
        return int(self.meta["activity.id"])

    @property
    def activity_name(self) -> str:
        """The name of the activity."""
        return str(self.meta["activity.name"])

    @property
    def activity_type(self) -> str:
        """The type of the activity, as in the artifact."""
        return str(self.meta["activity.type"])

    @property
    def experience_id(self) -> int:
        """The id of the experience."""
        return int(self.meta["experience.id"])

    @property
    def experience_name(self) -> str:
        """The name of the experience."""
        return str(self.meta["experience.name"])

    def is_twin(self, other: ParsedRule) -> bool:
        """Return whether two rules differ at most in their windows."""
        return all(
            same_json(getattr(self, name), getattr(other, name))
            for name in self.__struct_fields__
            if name != "window"
        )


def parse_rule(kind: str, place: str, rule: Any) -> ParsedRule | None:
    """Return the parts of a rule, None if the compiler cannot make it.

    Args:
        kind: `mboxes` or `views`.
        place: Name of the location.
        rule: The rule as JSON.
    """
    if not isinstance(rule, dict) or not _KEYS <= rule.keys() <= _KEYS | _OPTIONAL_KEYS:
        return None
    meta, consequence, properties = rule["meta"], rule["consequence"], rule.get("propertyTokens")
    if not (
        isinstance(rule["ruleKey"], str)
        and _is_meta(meta, place)
        and same_json(rule["activityId"], meta["activity.id"])
        and _is_consequence(consequence, place)
        and ("propertyTokens" not in rule or _are_texts(properties))
    ):
        return None
    window, parts = condition_parts(rule["condition"], len(meta["audience.ids"]))
    if not all(map(_has_expression, parts)):
        return None
    analytics = consequence.get("analytics")
    return ParsedRule(
        kind=kind,
        place=place,
        rule_key=rule["ruleKey"],
        meta=meta,
        window=window,
        parts=parts,
        options=consequence["options"],
        metrics=consequence["metrics"],
        properties=properties,
        analytics=None if analytics is None else analytics["payload"],
    )


def condition_parts(condition: Any, audiences: int) -> tuple[Window | None, list[Any]]:
    """Return the window of a condition, and the audiences.

    Args:
        condition: The condition.
        audiences: How many audiences the rule names; conditions joined by `and` are that many.
    """
    if condition is True:
        return None, []
    if (window := _window(condition)) is not None:
        return window, []
    parts = condition.get("and") if isinstance(condition, dict) and len(condition) == 1 else None
    if isinstance(parts, list) and len(parts) > 1:
        if (window := _window(parts[0])) is not None:
            return window, parts[1:]
        if len(parts) == audiences:
            return None, parts
    return None, [condition]


def _window(condition: Any) -> Window | None:
    try:
        low, high = condition["and"]
        window = next(iter(low.values()))[0], high[">="][0]
        if all(_is_number(one) and 0 <= one <= 100 for one in window) and window[0] < window[1]:
            return window if same_json(window_condition(*window), condition) else None
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):
        pass
    return None


def _is_meta(meta: Any, place: str) -> bool:
    if (
        not isinstance(meta, dict)
        or not _META_TYPES.keys() <= meta.keys() <= _META_TYPES.keys() | _OPTIONAL_META.keys()
    ):
        return False
    types = _META_TYPES | _OPTIONAL_META
    if not all(isinstance(value, types[key]) and not isinstance(value, bool) for key, value in meta.items()):
        return False
    numbers = [value for value in meta.values() if isinstance(value, int)]
    return (
        all(0 <= number <= _LARGEST_ID for number in numbers)
        and meta["activity.id"] > 0
        and meta["location.name"] == place
        and all(isinstance(one, int) and not isinstance(one, bool) for one in meta["audience.ids"])
    )


def _is_consequence(consequence: Any, place: str) -> bool:
    if not isinstance(consequence, dict):
        return False
    names = {"name", "options", "metrics"}
    analytics = consequence.get("analytics", {"payload": {}})
    return (
        names <= consequence.keys() <= names | {"analytics"}
        and consequence["name"] == place
        and isinstance(consequence["options"], list)
        and isinstance(consequence["metrics"], list)
        and all(map(_is_metric, consequence["metrics"]))
        and isinstance(analytics, dict)
        and analytics.keys() == {"payload"}
        and isinstance(analytics["payload"], dict)
    )


def _is_metric(metric: Any) -> bool:
    return (
        isinstance(metric, dict)
        and {"type", "eventToken"} <= metric.keys() <= {"type", "eventToken", "selector"}
        and _are_texts(list(metric.values()))
    )


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, str) for one in values)


def _has_expression(condition: Any) -> bool:
    """Return whether the expression of a condition is read as the same condition."""
    try:
        return same_json(parse_expression(print_expression(condition), {}), condition)
    except (ExpressionError, ValueError, RecursionError):
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; 1 equals 1.0 and not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
