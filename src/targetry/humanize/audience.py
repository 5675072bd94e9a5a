"""Descriptions of audiences in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from targetry.humanize.figures import format_time
from targetry.humanize.text import compact_json

EVERY_VISITOR: Final = "every visitor"

_SUBJECTS: Final = {
    "user.browserType": "browser",
    "user.browserVersion": "browser version",
    "user.platform": "platform",
    "user.locale": "locale",
    "current_timestamp": "time",
    "current_time": "time of day",
    "current_day": "weekday",
    "page.url": "URL",
    "page.topLevelDomain": "top-level domain",
    "referring.url": "referring URL",
    "referring.topLevelDomain": "referring top-level domain",
}
_PREFIXES: Final = {"geo.": "", "page.": "", "referring.": "referring ", "mbox.": "parameter "}
_DAYS: Final = dict(
    zip(
        "1234567", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True
    )
)
# comparison → its description after the subject, and the comparison with exchanged sides
_COMPARISONS: Final = {
    "==": ("is", "=="),
    "===": ("is", "==="),
    "!=": ("is not", "!="),
    "!==": ("is not", "!=="),
    "<": ("is less than", ">"),
    "<=": ("is at most", ">="),
    ">": ("is more than", "<"),
    ">=": ("is at least", "<="),
}


def describe_audience(conditions: list[Any]) -> str:
    """Describe the visitors for which all conditions hold.

    A condition without a description is shown as JSON.

    Args:
        conditions: Parsed JSON Logic.
    """
    if len(conditions) == 1:
        return _words(conditions[0])
    return " and ".join(_grouped(condition) for condition in conditions) or EVERY_VISITOR


def _grouped(tree: Any) -> str:
    """Return the description, in brackets if `and` would bind more tightly than its `or`."""
    text = _words(tree)
    return (
        f"({text})" if _operator(tree) == "or" and " or " in text and _shared_subject(tree) is None else text
    )


def _words(tree: Any) -> str:
    if isinstance(tree, bool):
        return EVERY_VISITOR if tree else "no visitor"
    operator = _operator(tree)
    write = _WRITERS.get(operator or "")
    text = write(operator or "", _operands(tree)) if write is not None else None
    return text if text is not None else compact_json(tree)


def _operator(tree: Any) -> str | None:
    return next(iter(tree)) if isinstance(tree, dict) and len(tree) == 1 else None


def _operands(tree: Any) -> list[Any]:
    ((_, operands),) = tree.items()
    return operands if isinstance(operands, list) else [operands]


def _both(_: str, operands: list[Any]) -> str | None:
    return " and ".join(_grouped(operand) for operand in operands) or None


def _either(operator: str, operands: list[Any]) -> str | None:
    subject = _shared_subject({operator: operands})
    if subject is None:
        return " or ".join(_grouped(operand) for operand in operands) or None
    values = [
        _format(subject, value) for operand in operands for value in _operands(operand) if not _path(value)
    ]
    return _one_of(subject, values)


def _one_of(path: str, values: list[str]) -> str:
    return f"{_subject(path)} is {'one of ' if len(values) > 1 else ''}{', '.join(values) or 'nothing'}"


def _shared_subject(tree: Any) -> str | None:
    """Return the fact that every operand of an `or` compares with a literal by `==`, else None."""
    paths = set()
    for operand in _operands(tree):
        sides = _operands(operand) if _operator(operand) == "==" else []
        named = [path for side in sides if (path := _path(side))]
        if len(sides) != 2 or len(named) != 1 or any(_operator(side) for side in sides if not _path(side)):
            return None
        paths.add(named[0])
    return paths.pop() if len(paths) == 1 else None


def _not(_: str, operands: list[Any]) -> str | None:
    return f"not ({_words(operands[0])})" if operands else None


def _comparison(operator: str, operands: list[Any]) -> str | None:
    if len(operands) == 3 and (path := _path(operands[1])):
        low, high = _format(path, operands[0]).removesuffix(" UTC"), _format(path, operands[2])
        words = ("is from", "to") if operator == "<=" else ("is between", "and")
        return f"{_subject(path)} {words[0]} {low} {words[1]} {high}"
    if len(operands) != 2:
        return None
    left, right = operands
    if path := _path(left):
        return f"{_subject(path)} {_COMPARISONS[operator][0]} {_format(path, right)}"
    if path := _path(right):
        mirrored = _COMPARISONS[operator][1]
        return f"{_subject(path)} {_COMPARISONS[mirrored][0]} {_format(path, left)}"
    return None


def _contains(_: str, operands: list[Any]) -> str | None:
    if len(operands) != 2:
        return None
    needle, haystack = operands
    if path := _path(haystack):
        return f"{_subject(path)} contains {_format(path, needle)}"
    if (path := _path(needle)) and isinstance(haystack, list):
        return _one_of(path, [_format(path, value) for value in haystack])
    return None


_WRITERS: Final[dict[str, Callable[[str, list[Any]], str | None]]] = {
    "and": _both,
    "or": _either,
    "!": _not,
    "in": _contains,
    **dict.fromkeys(_COMPARISONS, _comparison),
}


def _path(tree: Any) -> str | None:
    """Return the path of a `var` without default, else None."""
    operands = _operands(tree) if _operator(tree) == "var" else []
    return operands[0] if len(operands) == 1 and isinstance(operands[0], str) and operands[0] else None


def _subject(path: str) -> str:
    path = path.removesuffix("_lc")
    if path in _SUBJECTS:
        return _SUBJECTS[path]
    for prefix, words in _PREFIXES.items():
        if path.startswith(prefix):
            return words + path.removeprefix(prefix)
    return path


def _format(path: str, value: Any) -> str:
    """Return a literal in the form in which it reads next to this fact."""
    if _path(value):
        return _subject(str(_path(value)))
    if path == "current_day" and str(value) in _DAYS:
        return _DAYS[str(value)]
    if path == "current_timestamp" and type(value) in (int, float):
        return format_time(value)
    if path == "current_time" and isinstance(value, str) and len(value) == 4 and value.isdigit():
        return f"{value[:2]}:{value[2:]} UTC"
    return compact_json(value)
