"""Random JSON Logic rules and data, with every operator of json-logic-js."""

from __future__ import annotations

import random
from typing import Any

Rng = random.Random

_SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 42, 1.5, -0.5, 1e21, 1e-7, 2**53, 100000),
    *(
        "",
        "0",
        "1",
        "42",
        "42.0",
        "1e3",
        " 7 ",
        "0x1f",
        "abc",
        "ABC",
        "b",
        "null",
        "true",
        "NaN",
        "Infinity",
        "-5",
        "é",
        "\U0001f600z",
        "\ufb01",
        "5x",
    ),
)
_PATHS = (
    "n",
    "s",
    "t",
    "list",
    "list.0",
    "list.1.a",
    "obj",
    "obj.a",
    "obj.a.b",
    "s.length",
    "list.length",
    "s.0",
    "s.9",
    "list.9",
    "nope",
    "nope.deeper",
    "list.01",
    "s_lc",
    "zero",
    "yes",
)
_WHOLES = ("", "mbox", "user", "page", "geo", "allocation", "current_day", "page.path", "user.locale")
_LOGIC = ("and", "or", "!", "!!", "if", "?:")
_COMPARE = ("==", "===", "!=", "!==", "<", "<=", ">", ">=")
_ARITHMETIC = ("+", "-", "*", "/", "%", "min", "max")
_TEXTS = ("cat", "substr", "in")
_LOOPS = ("map", "filter", "all", "none", "some", "reduce")
_OTHERS = ("var", "var", "var", "missing", "missing_some", "merge", "log")
_OPERATORS = (*_LOGIC, *_COMPARE, *_COMPARE, *_ARITHMETIC, *_TEXTS, *_LOOPS, *_OTHERS)
_ARITIES = {
    **dict.fromkeys(("!", "!!"), (1, 1)),
    **dict.fromkeys(_COMPARE, (2, 2)),
    **dict.fromkeys(("<", "<="), (2, 3)),
    **dict.fromkeys(("%", "/"), (2, 2)),
    "-": (1, 2),
    "in": (2, 2),
    "substr": (2, 3),
    "log": (1, 1),
}


def rule(rng: Rng, depth: int = 0, *, inside: bool = False) -> Any:
    """Return a rule; `inside` a loop, `var` names parts of the item."""
    if depth > 3 or rng.random() < 0.2:
        return _literal(rng, depth, inside)
    operator = rng.choice(_OPERATORS)
    if operator == "var":
        return {"var": _path(rng, depth, inside)}
    if operator in _LOOPS:
        return _loop(rng, operator, depth, inside)
    if operator == "missing":
        return {"missing": [_name(rng, inside) for _ in range(rng.randint(0, 3))]}
    if operator == "missing_some":
        return {"missing_some": [rng.randint(0, 3), [_name(rng, inside) for _ in range(rng.randint(0, 3))]]}
    low, high = _ARITIES.get(operator, (1, 4))
    operands = [rule(rng, depth + 1, inside=inside) for _ in range(rng.randint(low, high))]
    if operator == "substr":
        operands[1:] = [rng.choice((0, 1, 2, 5, -1, -2, -9)) for _ in operands[1:]]
    return {
        operator: operands[0]
        if len(operands) == 1 and rng.random() < 0.3 and not isinstance(operands[0], list)
        else operands
    }


def data(rng: Rng) -> dict[str, Any]:
    """Return values of all kinds; the rule finds them under `mbox`."""
    return {
        "n": rng.choice((0, 5, 42, 99.99, -3)),
        "s": rng.choice(("", "abc", "42", "Gold", "\U0001f600z")),
        "t": rng.choice(_SCALARS),
        "list": [_item(rng) for _ in range(rng.randint(0, 4))],
        "obj": {"a": rng.choice(({"b": rng.choice(_SCALARS)}, rng.choice(_SCALARS)))},
        "zero": 0,
        "yes": True,
    }


def _item(rng: Rng) -> Any:
    return rng.choice(
        (rng.choice(_SCALARS), {"a": rng.choice(_SCALARS)}, [rng.choice(_SCALARS)], rng.randint(0, 9))
    )


def _literal(rng: Rng, depth: int, inside: bool) -> Any:
    if depth < 4 and rng.random() < 0.15:
        return rng.choice(
            (
                [],
                {},
                {"a": 1, "b": 2},
                [rule(rng, depth + 1, inside=inside) for _ in range(rng.randint(1, 3))],
            )
        )
    return rng.choice(_SCALARS)


def _name(rng: Rng, inside: bool) -> str:
    if inside and rng.random() < 0.7:
        return rng.choice(("a", "", "0", "length"))
    return rng.choice(_WHOLES) if rng.random() < 0.15 else f"mbox.{rng.choice(_PATHS)}"


def _path(rng: Rng, depth: int, inside: bool) -> Any:
    name = _name(rng, inside)
    kind = rng.random()
    if kind < 0.6:
        return name
    if kind < 0.7:
        return [name]
    if kind < 0.95:
        return [name, rule(rng, depth + 1, inside=inside)]
    return {"cat": ["mbox.", rng.choice(("n", "s", "list"))]}


def _loop(rng: Rng, operator: str, depth: int, inside: bool) -> Any:
    over = rng.choice(
        ({"var": _name(rng, inside)}, {"var": "mbox.list"}, rule(rng, depth + 1, inside=inside))
    )
    if operator != "reduce":
        return {operator: [over, rule(rng, depth + 1, inside=True)]}
    step = rng.choice(
        (
            {"+": [{"var": "current"}, {"var": "accumulator"}]},
            {"cat": [{"var": "accumulator"}, {"var": "current"}]},
            {
                "if": [
                    {"<": [{"var": "current"}, {"var": "accumulator"}]},
                    {"var": "current"},
                    {"var": "accumulator"},
                ]
            },
        )
    )
    return {"reduce": [over, step, *([rng.choice(_SCALARS)] if rng.random() < 0.8 else [])]}
