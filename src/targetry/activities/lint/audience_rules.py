"""Checks of audiences: constant ones, comparisons of wrong types, undocumented forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from targetry.activities.expressions import print_expression, referenced_names
from targetry.activities.expressions.forms import FACTS, PARAMETERS, RESERVED_NAMES
from targetry.activities.expressions.scanner import ExpressionText, scan
from targetry.activities.expressions.solver import always_holds, never_holds
from targetry.activities.lint.context import AudienceText, LintContext
from targetry.activities.model.finding import Finding, Level
from targetry.device.logic.javascript import to_number

_PLACES: Final = ("geo.country", "geo.region", "geo.city")
_COMPARISONS: Final = frozenset({"==", "!=", "===", "!==", "<", "<=", ">", ">="})


class _Comparison(NamedTuple):
    """An operation on a fact and a literal; `is_part`: the literal is a part of the fact's text."""

    tree: dict[str, Any]
    path: str
    literal: Any
    is_part: bool


def check_names(context: LintContext) -> Iterator[Finding]:
    """Find audiences whose name the language of expressions defines (TA004)."""
    for name in context.settings.audiences:
        if name in RESERVED_NAMES:
            yield context.finding(
                "TA004",
                f"audiences.{name}",
                f"the name {name!r} belongs to the language of audiences",
                "rename the audience",
            )


def check_constants(context: LintContext) -> Iterator[Finding]:
    """Find audiences that are always false (TA110) or always true (TA111)."""
    constant: set[str] = set()
    for one in context.texts:
        logic = one.parsed.logic
        if one.is_name or logic is True or constant & set(referenced_names(one.text)):
            continue
        if never_holds(logic):
            yield context.finding("TA110", one.path, "the audience is always false", at=(1, 1))
        elif always_holds(logic):
            yield context.finding("TA111", one.path, "the audience is always true", at=(1, 1))
        else:
            continue
        if one.path.startswith("audiences."):
            constant.add(one.path.split(".")[1])
    yield from _check_combinations(context)


def _check_combinations(context: LintContext) -> Iterator[Finding]:
    """Find offers, experiences and activities whose audiences exclude each other."""
    seen: set[str] = set()
    for placement in context.placements:
        parts = placement.own
        for first in range(len(parts) - 1, -1, -1):
            path, conditions = parts[first]
            outer = [one for _, more in parts[first + 1 :] for one in more]
            if not never_holds({"and": [True, *conditions, *outer]}):
                continue
            alone = any(never_holds(one) for one in conditions)
            if not alone and path not in seen:
                seen.add(path)
                message = "the audience is always false, together with the audiences around it"
                yield context.finding("TA110", path, message)
            break


def check_comparisons(context: LintContext) -> Iterator[Finding]:
    """Find comparisons of a fact with a literal that it hardly ever equals (TA112, TA113)."""
    for one in context.texts:
        comparisons = list(_comparisons(one))
        for comparison in comparisons:
            yield from _check_types(context, one, comparison)
            yield from _check_case(context, one, comparison)
        yield from _check_cities(context, one, comparisons)


def _comparisons(one: AudienceText) -> Iterator[_Comparison]:
    """Yield the comparisons that the text itself contains, not those of audiences that it names."""
    for tree in _operations(one.parsed.logic):
        if id(tree) not in one.parsed.marks:
            continue
        ((operator, operands),) = tree.items()
        if not isinstance(operands, list) or len(operands) < 2:
            continue
        if operator == "in":
            needle, haystack = operands[0], operands[1]
            if (path := _path(needle)) and isinstance(haystack, list):
                yield from (_Comparison(tree, path, item, False) for item in haystack if _is_literal(item))
            elif (path := _path(haystack)) and _is_literal(needle):
                yield _Comparison(tree, path, needle, True)
        elif operator in _COMPARISONS:
            yield from _ordered(tree, operands)


def _ordered(tree: dict[str, Any], operands: list[Any]) -> Iterator[_Comparison]:
    affix = operands[0]
    if isinstance(affix, dict) and affix.keys() == {"substr"} and isinstance(affix["substr"], list):
        if affix["substr"] and (path := _path(affix["substr"][0])) and isinstance(operands[1], str):
            yield _Comparison(tree, path, operands[1], True)
        return
    paths = [path for operand in operands if (path := _path(operand))]
    if len(paths) == 1:
        yield from (
            _Comparison(tree, paths[0], operand, False) for operand in operands if _is_literal(operand)
        )


def _operations(logic: Any) -> Iterator[dict[str, Any]]:
    pending = [logic]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if len(node) == 1:
                yield node
            pending += [one for value in node.values() for one in _listed(value)]
        elif isinstance(node, list):
            pending += node


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _path(tree: Any) -> str | None:
    if isinstance(tree, dict) and tree.keys() == {"var"} and isinstance(tree["var"], str):
        return str(tree["var"])
    return None


def _is_literal(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(path: str) -> str:
    return print_expression({"var": path})


def _check_types(context: LintContext, one: AudienceText, comparison: _Comparison) -> Iterator[Finding]:
    tree, path, literal, _ = comparison
    kind = FACTS.get(path, "any")
    if kind == "text" and _is_number(literal) and path != "current_time":
        message = f"{_name(path)} is a text and is compared with a number"
    elif kind == "number" and isinstance(literal, str) and to_number(literal) != to_number(literal):
        message = f"{_name(path)} is a number and is compared with the text {literal!r}"
    else:
        return
    yield context.finding("TA112", one.path, message, at=one.parsed.marks[id(tree)], level=_level(tree))


def _level(tree: dict[str, Any]) -> Level:
    return "error" if never_holds(tree) or always_holds(tree) else "warning"


def _check_case(context: LintContext, one: AudienceText, comparison: _Comparison) -> Iterator[Finding]:
    tree, path, literal, is_part = comparison
    if not isinstance(literal, str):
        return
    at = one.parsed.marks[id(tree)]
    if path.endswith("_lc") and any("A" <= char <= "Z" for char in literal):
        level: Level = "warning" if path.startswith(f"{PARAMETERS}.") else "error"
        message = f"{_name(path)} has no capitals and is compared with {literal!r}"
        yield context.finding("TA112", one.path, message, f"write {literal.lower()!r}", at=at, level=level)
    elif path in _PLACES and literal != literal.upper():
        what = "contains" if is_part else "is"
        message = f"{_name(path)} is in capitals and never {what} {literal!r}"
        yield context.finding("TA113", one.path, message, f"write {literal.upper()!r}", at=at)


def _check_cities(
    context: LintContext, one: AudienceText, comparisons: Iterable[_Comparison]
) -> Iterator[Finding]:
    cities = [
        found
        for found in comparisons
        if found.path == "geo.city" and isinstance(found.literal, str) and not found.is_part
    ]
    names = {found.literal for found in cities}
    for found in cities:
        twin = found.literal.replace(" ", "")
        if twin != found.literal and twin not in names:
            message = f"Adobe's Java SDK names the city {found.literal!r} without spaces"
            hint = f"compare with {twin!r} too"
            yield context.finding("TA113", one.path, message, hint, at=one.parsed.marks[id(found.tree)])


def check_forms(context: LintContext) -> Iterator[Finding]:
    """Find audiences with `allocation` (TA115) and those that Adobe does not document (TA215)."""
    for one in context.texts:
        if one.is_name:
            continue
        source = ExpressionText(one.text)
        for token in scan(source)[0]:
            if token.text == "raw":
                message = "Adobe documents no on-device audience with raw JSON Logic"
                yield context.finding("TA215", one.path, message, at=source.position(token.start))
        for tree in _operations(one.parsed.logic):
            mark = one.parsed.marks.get(id(tree))
            if mark is not None and _path(tree) == "allocation":
                message = "an audience uses the allocation, which shares and windows set"
                yield context.finding("TA115", one.path, message, "give the experiences shares", at=mark)
            elif mark is not None and _path(tree) == "user.locale":
                message = "Adobe documents no on-device audience with user.locale, which is always 'en'"
                yield context.finding("TA215", one.path, message, at=mark)
