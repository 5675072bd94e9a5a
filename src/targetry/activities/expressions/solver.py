"""Proofs about conditions: that one never holds, always holds, excludes or implies another.

A function returns True only if the claim holds for every request that the engine can evaluate
within its limits; False means that there is no proof. A condition becomes a disjunction of
conjunctions of atoms, and a conjunction is refuted by one of its facts alone:

- an atom is required to hold and not to hold,
- no value that the fact can have satisfies all atoms of the fact, as the engine evaluates them,
- the fact equals no literal, or lies in no interval, that all atoms allow.

A parameter can be of any JSON type, or be missing, and is compared as JavaScript does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from targetry.activities.expressions.forms import FACTS, Kind
from targetry.device.logic.compiler import LogicError, compile_logic
from targetry.device.logic.facts import LOCALE, facts_of_values
from targetry.device.logic.javascript import EvaluationError, loose_equal, to_number, truthy
from targetry.device.logic.reads import paths_read
from targetry.device.logic.user_agent import BROWSER_NAMES

MAX_TERMS: Final = 256

_BROWSERS_OF_OTHER_SDKS: Final = ("ipad", "iphone", "opera")
_DOMAINS: Final[dict[str, tuple[Any, ...]]] = {
    "user.browserType": (*sorted(BROWSER_NAMES), *_BROWSERS_OF_OTHER_SDKS),
    "user.locale": (LOCALE,),
    "current_day": (1, 2, 3, 4, 5, 6, 7),
}
"""Facts with few values."""
_BOUNDS: Final = {"allocation": (0.0, 99.99), "current_time": (0.0, 2359.0)}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
# Operators whose operands can be replaced by their values.
_PLAIN: Final = frozenset(
    {
        "==",
        "!=",
        "===",
        "!==",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "and",
        "or",
        "!",
        "!!",
        "if",
        "?:",
        "cat",
        "substr",
    }
) | {"+", "-", "/", "%", "min", "max"}


class Proposition:
    """A condition that is compared with others; its terms are computed once.

    Attributes:
        condition: Parsed JSON Logic.
    """

    def __init__(self, condition: Any) -> None:
        self.condition = condition

    def never_holds(self) -> bool:
        """Return whether it is proved to hold for no request."""
        return self._terms == []

    def always_holds(self) -> bool:
        """Return whether it is proved to hold for every request."""
        return self._opposite == []

    def excludes(self, other: Proposition) -> bool:
        """Return whether both are proved to hold together for no request."""
        return _are_refuted(self._terms, other._terms)

    def implies(self, other: Proposition) -> bool:
        """Return whether the other is proved to hold wherever this one does."""
        return _are_refuted(self._terms, other._opposite)

    @cached_property
    def _terms(self) -> list[_FeasibleTerm] | None:
        """Terms of which one holds with the condition; None if there are too many."""
        return _feasible_terms(self.condition, positive=True)

    @cached_property
    def _opposite(self) -> list[_FeasibleTerm] | None:
        return _feasible_terms(self.condition, positive=False)


def never_holds(condition: Any) -> bool:
    """Return whether a condition, as parsed JSON Logic, is proved to hold for no request."""
    return Proposition(condition).never_holds()


def always_holds(condition: Any) -> bool:
    """Return whether a condition, as parsed JSON Logic, is proved to hold for every request."""
    return Proposition(condition).always_holds()


# ── atoms ───

Literal = str | float | bool | None


class _Atom(NamedTuple):
    """A part of a condition that is neither `and`, `or`, `not` nor a choice.

    `path` is the only fact that it reads. `literals` are those of an equality, `is_strict` if the
    value is one of them exactly; `order` is a comparison of the path with a number.
    """

    key: str
    tree: Any
    path: str | None = None
    literals: tuple[Literal, ...] | None = None
    is_strict: bool = False
    order: tuple[str, float] | None = None


class _Requirement(NamedTuple):
    atom: _Atom
    holds: bool


_Term = dict[str, _Requirement]
"""Requirements of a conjunction, by the keys of their atoms."""


class _FeasibleTerm(NamedTuple):
    """A term without a contradiction, with its requirements by the paths of their facts."""

    term: _Term
    groups: dict[str, list[_Requirement]]


class _TooManyTermsError(Exception):
    """The disjunction has more than `MAX_TERMS` terms."""


def _kind(path: str) -> Kind:
    return FACTS.get(path, "any")


def _is_always_number(path: str) -> bool:
    """Return whether the fact is a number in every request; times of day are ordered as numbers."""
    return path == "current_time" or (_kind(path) == "number" and not path.startswith("geo."))


@lru_cache(maxsize=4096)
def _atom(key: str) -> _Atom:
    tree = json.loads(key)
    path = _only_path(tree)
    if path is None:
        return _Atom(key, tree)
    ((operator, operands),) = tree.items()
    if not isinstance(operands, list) or len(operands) != 2:
        return _Atom(key, tree, path)
    left, right = operands
    variable = {"var": path}
    if operator == "in" and left == variable and isinstance(right, list) and all(map(_is_literal, right)):
        return _Atom(key, tree, path, tuple(right), is_strict=True)
    if left != variable:
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    if left != variable or not _is_literal(right):
        return _Atom(key, tree, path)
    if operator in ("==", "==="):
        is_strict = operator == "===" or _is_of_kind(right, _kind(path))
        return _Atom(key, tree, path, (right,), is_strict)
    if operator in _MIRRORED and (number := _number_in_order(path, right)) is not None:
        return _Atom(key, tree, path, order=(operator, number))
    return _Atom(key, tree, path)


def _only_path(tree: Any) -> str | None:
    """Return the fact that a condition reads, None if it reads others or cannot be evaluated."""
    paths = paths_read(tree)
    if paths is None or len(paths) != 1 or not _is_plain(tree):
        return None
    return next(iter(paths))


def _is_plain(tree: Any) -> bool:
    if isinstance(tree, list):
        return all(map(_is_plain, tree))
    if not isinstance(tree, dict) or len(tree) != 1:
        return not isinstance(tree, dict)
    ((operator, operands),) = tree.items()
    return isinstance(operands, str) if operator == "var" else operator in _PLAIN and _is_plain(operands)


def _is_literal(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of_kind(literal: Literal, kind: Kind) -> bool:
    """Return whether `==` of a fact and a literal means that the fact has this value exactly."""
    return (kind == "text" and isinstance(literal, str)) or (kind == "number" and _is_number(literal))


def _number_in_order(path: str, literal: Literal) -> float | None:
    if path == "current_time":  # its texts have four digits, so they are ordered as numbers
        is_time = isinstance(literal, str) and len(literal) == 4 and literal.isascii() and literal.isdigit()
        return float(str(literal)) if is_time else None
    if not _is_number(literal) or _kind(path) == "text":
        return None
    return to_number(literal)


# ── from a condition to terms ───


def _feasible_terms(condition: Any, *, positive: bool) -> list[_FeasibleTerm] | None:
    """Return the terms of a condition, or of its negation, that can hold; None for too many."""
    try:
        return [_FeasibleTerm(term, _by_path(term)) for term in _feasible(_terms(condition, positive))]
    except (_TooManyTermsError, RecursionError):
        return None


def _are_refuted(first: list[_FeasibleTerm] | None, second: list[_FeasibleTerm] | None) -> bool:
    """Return whether no term of one list can hold together with one of the other."""
    if first == [] or second == []:
        return True
    if first is None or second is None or len(first) * len(second) > 8 * MAX_TERMS:
        return False
    return all(_is_refuted(left, right) for left in first for right in second)


def _is_refuted(left: _FeasibleTerm, right: _FeasibleTerm) -> bool:
    """Return whether the terms contradict each other, which only facts of both can show."""
    if _joined(left.term, right.term) is None:
        return True
    for path, group in right.groups.items():
        if path in left.groups:
            added = [one for one in group if one.atom.key not in left.term]
            if added and _is_impossible(path, left.groups[path] + added):
                return True
    return False


def _operands(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _terms(tree: Any, positive: bool) -> list[_Term]:
    """Return terms of which at least one holds exactly if the truth of the tree is `positive`."""
    if not isinstance(tree, dict) or len(tree) != 1:
        return [{}] if truthy(tree) == positive else []
    ((operator, value),) = tree.items()
    operands = _operands(value)
    if operator in ("and", "or") and operands:
        parts = [_terms(operand, positive) for operand in operands]
        return _product(parts) if (operator == "and") == positive else _sum(parts)
    if operator in ("!", "!!") and operands:
        return _terms(operands[0], positive == (operator == "!!"))
    if operator in ("if", "?:") and len(operands) > 1:
        return _choice(operands, positive)
    if operator in ("if", "?:") and operands:
        return _terms(operands[0], positive)
    if operator in ("!=", "!==") and len(operands) == 2:
        return _terms({operator.replace("!", "=", 1): operands}, not positive)
    if operator in ("<", "<=") and len(operands) == 3:
        low, middle, high = operands
        return _terms({"and": [{operator: [low, middle]}, {operator: [middle, high]}]}, positive)
    atom = _atom(json.dumps(tree, sort_keys=True))
    if atom.literals == ():
        return [] if positive else [{}]
    return [{atom.key: _Requirement(atom, positive)}]


def _choice(operands: list[Any], positive: bool) -> list[_Term]:
    test, value, *rest = operands
    otherwise: Any = {"if": rest} if rest else None
    taken = _product([_terms(test, True), _terms(value, positive)])
    passed = _product([_terms(test, False), _terms(otherwise, positive)])
    return _sum([taken, passed])


def _sum(parts: list[list[_Term]]) -> list[_Term]:
    """Return the terms of a disjunction; equalities of one fact become one requirement."""
    terms: list[_Term] = []
    merged: dict[tuple[str, bool], _Atom] = {}
    for term in (term for part in parts for term in part):
        only = next(iter(term.values())) if len(term) == 1 else None
        if only is None or not only.holds or only.atom.literals is None or only.atom.path is None:
            terms.append(term)
            continue
        place = only.atom.path, only.atom.is_strict
        merged[place] = _united(merged[place], only.atom) if place in merged else only.atom
    terms += [{atom.key: _Requirement(atom, True)} for atom in merged.values()]
    return _limited(terms)


def _united(one: _Atom, other: _Atom) -> _Atom:
    literals = list(one.literals or ())
    literals += [literal for literal in other.literals or () if not _contains(literals, literal)]
    tree = {"or": [one.tree, other.tree]}
    return one._replace(key=json.dumps(tree, sort_keys=True), tree=tree, literals=tuple(literals))


def _product(parts: list[list[_Term]]) -> list[_Term]:
    terms: list[_Term] = [{}]
    for part in sorted(parts, key=len):
        joined = (_joined(left, right) for left in terms for right in part)
        terms = _limited(term for term in joined if term is not None)
    return terms


def _joined(left: _Term, right: _Term) -> _Term | None:
    for key, requirement in right.items():
        if key in left and left[key].holds != requirement.holds:
            return None
    return left | right


def _limited(terms: Iterable[_Term]) -> list[_Term]:
    found: list[_Term] = []
    for term in terms:
        found.append(term)
        if len(found) == 8 * MAX_TERMS:
            raise _TooManyTermsError
    if len(found) > MAX_TERMS:
        found = _feasible(found)
        if len(found) > MAX_TERMS:
            raise _TooManyTermsError
    return found


def _feasible(terms: list[_Term]) -> list[_Term]:
    return [term for term in terms if not _is_contradiction(term)]


# ── one term ───


def _is_contradiction(term: _Term) -> bool:
    return any(_is_impossible(path, group) for path, group in _by_path(term).items())


def _by_path(term: _Term) -> dict[str, list[_Requirement]]:
    groups: dict[str, list[_Requirement]] = {}
    for requirement in term.values():
        if requirement.atom.path is not None:
            groups.setdefault(requirement.atom.path, []).append(requirement)
    return groups


def _is_impossible(path: str, group: list[_Requirement]) -> bool:
    """Return whether no value of one fact satisfies all requirements."""
    if (values := _possible_values(path, group)) is not None:
        return not any(_satisfies(value, group) for value in values)
    equalities = [atom for atom, holds in group if holds and atom.literals is not None]
    if equalities and not any(_is_allowed(path, literal, group) for literal in equalities[0].literals or ()):
        return True
    return _is_empty(path, group)


def _possible_values(path: str, group: list[_Requirement]) -> tuple[Any, ...] | None:
    if path in _DOMAINS:
        return _DOMAINS[path]
    exact = [atom.literals for atom, holds in group if holds and atom.is_strict and atom.literals is not None]
    return min(exact, key=len, default=None)


def _satisfies(value: Literal, group: list[_Requirement]) -> bool:
    for atom, holds in group:
        if atom.is_strict and atom.literals is not None:
            outcome: bool | None = _contains(atom.literals, value)
        else:
            outcome = _outcome(atom.key, value)
        if outcome not in (None, holds):
            return False
    return True


@lru_cache(maxsize=16_384, typed=True)
def _outcome(key: str, value: Literal) -> bool | None:
    """Return whether an atom holds for a value of its fact; None if it cannot be evaluated."""
    tree = _replaced(json.loads(key), value)
    try:
        return bool(compile_logic(tree).evaluate(facts_of_values(0, {}, {}), None))
    except (LogicError, EvaluationError):
        return None


def _replaced(tree: Any, value: Any) -> Any:
    """Return a condition with a value in place of each fact."""
    if isinstance(tree, list):
        return [_replaced(item, value) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"var"}:
        return value
    return {operator: _replaced(operands, value) for operator, operands in tree.items()}


def _is_allowed(path: str, literal: Literal, group: list[_Requirement]) -> bool:
    """Return whether a fact that equals a literal can satisfy all requirements."""
    if _kind(path) == "number" and isinstance(literal, str) and math.isnan(to_number(literal)):
        return False
    # The text "" equals 0 but is in no order with a number.
    is_ordered = _is_number(literal) and (to_number(literal) != 0 or _is_always_number(path))
    for atom, holds in group:
        if atom.literals is not None:
            if holds and not any(_are_compatible(literal, other) for other in atom.literals):
                return False
            if not holds and not atom.is_strict and _contains(atom.literals, literal):
                return False
        elif is_ordered and atom.order is not None and _is_in_order(literal, *atom.order) != holds:
            return False
    return True


def _contains(literals: Iterable[Literal], literal: Literal) -> bool:
    return any(_is_same(literal, other) for other in literals)


def _is_same(one: Literal, other: Literal) -> bool:
    if _is_number(one) and _is_number(other):
        return to_number(one) == to_number(other)
    return type(one) is type(other) and one == other


def _are_compatible(one: Literal, other: Literal) -> bool:
    """Return whether one value can equal both literals."""
    if one is None or other is None:
        return one is other
    return _is_same(one, other) or loose_equal(to_number(one), to_number(other))


def _is_in_order(literal: Literal, operator: str, bound: float) -> bool:
    value = to_number(literal)
    return {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}[operator]


def _is_empty(path: str, group: list[_Requirement]) -> bool:
    """Return whether the comparisons with numbers leave no number."""
    low, high = _BOUNDS.get(path, (-math.inf, math.inf))
    low_is_open = high_is_open = False
    for operator, bound in _orders(path, group):
        is_open = operator in ("<", ">")
        if operator in (">", ">=") and (bound, is_open) > (low, low_is_open):
            low, low_is_open = bound, is_open
        elif operator in ("<", "<=") and (-bound, is_open) > (-high, high_is_open):
            high, high_is_open = bound, is_open
    return low > high or (low == high and (low_is_open or high_is_open))


def _orders(path: str, group: list[_Requirement]) -> Iterator[tuple[str, float]]:
    """Yield the comparisons that the number of the fact satisfies.

    A comparison that does not hold is the opposite one only if the fact is a number.
    """
    orders = [(atom.order, holds) for atom, holds in group if atom.order is not None]
    is_number = _is_always_number(path) or any(holds for _, holds in orders)
    for (operator, bound), holds in orders:
        if holds:
            yield operator, bound
        elif is_number:
            yield _NEGATED[operator], bound
