"""Compiler of JSON Logic: a condition becomes a Python function.

First the *shape* of the condition is taken: the same tree with every literal replaced by a numbered
slot, as nested tuples. Then the shape becomes one code object, built from `ast` nodes; the only
text of the artifact in it are the keys of `var` paths, as constants. The literals are the default
arguments of the function. Real artifacts have thousands of conditions of few shapes, so code
objects are cached by shape and a condition costs little more than one walk over it.

Values follow json-logic-js 2, with the exceptions of `javascript.py`. The paths that a `var` can
have are known (`facts.py` computes their values): facts that are always text or always numbers are
compared without a test of their type.

Limits: depth, number of nodes, work of the loops (`Facts.spend`), and length of texts and lists.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from targetry.device.logic import operators
from targetry.device.logic.facts import LOCALE
from targetry.device.logic.javascript import UNDEFINED, loose_equal, strict_equal, to_number, to_text, truthy

if TYPE_CHECKING:
    from targetry.device.logic.facts import Facts

MAX_DEPTH = 100
MAX_NODES = 20_000

Shape = tuple[Any, ...]

# kinds of a value, as far as known:
_ASCII = "ascii"  # a text, not empty, all ASCII
_TEXT = "text"
_NUMBER = "number"  # not NaN
_TRUTH = "truth"  # True or False
_ANY = "any"

Condition = Callable[["Facts", "float | None"], Any]
"""Takes the facts of a location and the visitor's allocation in the activity."""


class LogicError(Exception):
    """A condition that cannot be compiled; the text is the cause."""


class Compiled(NamedTuple):
    """A compiled condition.

    Without `needs_allocation` its result is the same for every activity.
    """

    evaluate: Condition
    needs_allocation: bool
    code: CodeType
    """The same object for conditions that differ in literals only."""
    nodes: int


def compile_logic(tree: Any, *, as_truth: bool = True) -> Compiled:
    """Compile a condition.

    Args:
        tree: The condition as parsed JSON.
        as_truth: Whether only the truth of the function's result is used. Without it the result is
            the value that json-logic-js gives.

    Raises:
        LogicError: An operator is unknown, or the tree is too deep or too large.
    """
    reader = _ShapeReader()
    try:
        shape = reader.read(tree, 0)
        code, needs_allocation = _code(shape, len(reader.literals), as_truth)
    except RecursionError as error:  # the caller's stack is nearly used up
        raise LogicError("the condition is nested too deeply") from error
    function = FunctionType(code, _GLOBALS, "condition", (*reader.literals, None))
    return Compiled(function, needs_allocation, code, reader.nodes)


class _ShapeReader:
    """Splits a tree into its shape and its literals."""

    def __init__(self) -> None:
        self.literals: list[Any] = []
        self.nodes = 0

    def read(self, node: Any, depth: int) -> Shape:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise LogicError(f"the condition is nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            raise LogicError(f"the condition has more than {MAX_NODES} nodes")
        if isinstance(node, dict) and len(node) == 1:
            return self._operation(node, depth)
        if isinstance(node, list):
            return ("list", *(self.read(item, depth + 1) for item in node))
        return self._literal(node)

    def _operation(self, node: dict[str, Any], depth: int) -> Shape:
        ((operator, operands),) = node.items()
        if not isinstance(operands, list):
            operands = [operands]
        if operator not in _OPERATOR_NAMES:
            raise LogicError(f"unknown operator {operator!r}")
        if operator == "var" and is_constant_path(operands):
            rest = (self.read(operand, depth + 1) for operand in operands[1:])
            return ("path", path_text(operands), *rest)
        return (operator, *(self.read(operand, depth + 1) for operand in operands))

    def _literal(self, value: Any) -> Shape:
        if value is None or isinstance(value, bool):
            return ("constant", value)
        self.literals.append(_as_double(value))
        return ("literal", len(self.literals) - 1, _kind_of(value))


def is_constant_path(operands: list[Any]) -> bool:
    """Return whether the operands of a `var` have a path that is not computed."""
    return not operands or operands[0] is None or isinstance(operands[0], str | int | float)


def path_text(operands: list[Any]) -> str:
    """Return the path of a `var` whose path is not computed; `""` is the whole context."""
    if not operands or operands[0] is None:
        return ""
    return operands[0] if isinstance(operands[0], str) else to_text(operands[0])


def _as_double(value: Any) -> Any:
    """Return an integer beyond 2**53 as a double, as in JavaScript; other values as they are."""
    if isinstance(value, int) and not -(2**53) <= value <= 2**53:
        return to_number(value)
    return value


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return _ASCII if value.isascii() and value else _TEXT
    if isinstance(value, int | float):
        return _NUMBER if value == value else _ANY
    return _ANY


# ── from a shape to code ───
#
# An emitter returns an expression and the kind of its value.

Emitted = tuple[ast.expr, str]
_WHOLE = "whole"  # the last argument, never passed: a local variable that starts as None
_TEXTS = frozenset({_ASCII, _TEXT})


@lru_cache(maxsize=4096)
def _code(shape: Shape, literals: int, as_truth: bool) -> tuple[CodeType, bool]:
    info = _CodeInfo()
    writer = _Writer(info)
    value = writer.truth(shape) if as_truth else writer.emit(shape)[0]
    names = ["facts", "allocation", *(f"literal_{i}" for i in range(literals)), _WHOLE]
    function = ast.fix_missing_locations(ast.Expression(ast.Lambda(_arguments(names), value)))
    compiled = compile(function, "<condition>", "eval")
    code = next(constant for constant in compiled.co_consts if isinstance(constant, CodeType))
    return code, info.needs_allocation


def _arguments(names: list[str]) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in names],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_name(function), list(arguments), [])


def _attribute(value: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(value, name, ast.Load())


def _compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Emitted:
    return ast.Compare(left, [operator], [right]), _TRUTH


def _assigned(name: str, expression: ast.expr) -> ast.expr:
    return ast.NamedExpr(ast.Name(name, ast.Store()), expression)


def _as_test(expression: ast.expr, kind: str) -> ast.expr:
    """Return an expression whose truth is that of the value in json-logic-js."""
    return expression if kind != _ANY else _call("truthy", expression)


class _CodeInfo:
    """Facts about a condition that are collected while its code is written."""

    def __init__(self) -> None:
        self.names = 0
        self.needs_allocation = False


class _Writer:
    """Writes the expressions of one condition.

    `item` is set inside the logic of a loop operator.
    """

    def __init__(self, info: _CodeInfo, item: bool = False) -> None:
        self.item = item
        self._info = info

    def emit(self, shape: Shape) -> Emitted:
        return _EMITTERS[shape[0]](self, *shape[1:])

    def value(self, shape: Shape) -> ast.expr:
        return self.emit(shape)[0]

    def truth(self, shape: Shape) -> ast.expr:
        """Return an expression whose truth is that of the value in json-logic-js."""
        if shape[0] in ("and", "or") and len(shape) > 1:
            operator = ast.And() if shape[0] == "and" else ast.Or()
            operands = [self.truth(operand) for operand in shape[1:]]
            return operands[0] if len(operands) == 1 else ast.BoolOp(operator, operands)
        return _as_test(*self.emit(shape))

    def operand(self, shapes: tuple[Shape, ...], position: int) -> ast.expr:
        return self.value(shapes[position]) if position < len(shapes) else _name("UNDEFINED")

    def assign(self, expression: ast.expr) -> tuple[ast.expr, ast.expr]:
        """Return the expression assigned to a new local name, and the name for further uses."""
        name = self.new_name()
        return _assigned(name, expression), _name(name)

    def new_name(self) -> str:
        self._info.names += 1
        return f"value_{self._info.names}"

    # values

    def constant(self, value: Any) -> Emitted:
        return ast.Constant(value), _TRUTH if value is not None else _ANY

    def literal(self, number: int, kind: str) -> Emitted:
        return _name(f"literal_{number}"), kind

    def list(self, *items: Shape) -> Emitted:
        return ast.List([self.value(item) for item in items], ast.Load()), _ANY

    def path(self, path: str, default: Shape = ("constant", None), *more: Shape) -> Emitted:
        if self.item:
            return _call("walk", _name("item"), ast.Constant(path), self.value(default)), _ANY
        head, _, rest = path.partition(".")
        if path == "allocation":
            return self.allocation(), _NUMBER
        known = KNOWN_FACTS.get(path)
        if known is not None:
            return known[0](), known[1]
        if head in NAMED_FACTS and rest:
            named = NAMED_FACTS[head]()
            if "." in rest:
                return _call("walk", named, ast.Constant(rest), self.value(default)), _ANY
            return ast.Call(_attribute(named, "get"), [ast.Constant(rest), self.value(default)], []), _ANY
        return _call("walk", self.context(), ast.Constant(path), self.value(default)), _ANY

    def var(self, path: Shape, default: Shape = ("constant", None), *_: Shape) -> Emitted:
        scope = _name("item") if self.item else self.context()
        return _call("variable", scope, self.value(path), self.value(default)), _ANY

    def context(self) -> ast.expr:
        """Return the rule context, built once, as objects are compared by identity."""
        made = _assigned(_WHOLE, _call("whole_context", _name("facts"), self.allocation()))
        return ast.BoolOp(ast.Or(), [_name(_WHOLE), made])

    def allocation(self) -> ast.expr:
        self._info.needs_allocation = True
        return _name("allocation")

    # comparisons

    def equal(self, *operands: Shape) -> Emitted:
        if len(operands) < 2:
            return _call("loose_equal", self.operand(operands, 0), self.operand(operands, 1)), _TRUTH
        (left, left_kind), (right, right_kind) = self.emit(operands[0]), self.emit(operands[1])
        kinds = {left_kind, right_kind}
        if kinds <= _TEXTS or kinds == {_NUMBER}:
            return _compare(left, ast.Eq(), right)
        if kinds == {_ANY, _ASCII}:
            text, other = (left, right) if left_kind == _ASCII else (right, left)
            assigned, name = self.assign(other)
            is_text = ast.Compare(_call("type", assigned), [ast.Is()], [_name("str")])
            alike = ast.Compare(name, [ast.Eq()], [text])
            return ast.IfExp(is_text, alike, _call("loose_equal", name, text)), _TRUTH
        return _call("loose_equal", left, right), _TRUTH

    def not_equal(self, *operands: Shape) -> Emitted:
        return ast.UnaryOp(ast.Not(), self.equal(*operands)[0]), _TRUTH

    def strictly_equal(self, *operands: Shape) -> Emitted:
        return _call("strict_equal", self.operand(operands, 0), self.operand(operands, 1)), _TRUTH

    def strictly_unequal(self, *operands: Shape) -> Emitted:
        return ast.UnaryOp(ast.Not(), self.strictly_equal(*operands)[0]), _TRUTH

    def less(self, *operands: Shape) -> Emitted:
        return self._in_order("less", ast.Lt(), operands)

    def less_equal(self, *operands: Shape) -> Emitted:
        return self._in_order("less_equal", ast.LtE(), operands)

    def greater(self, *operands: Shape) -> Emitted:
        return self._reversed("less", ast.Gt(), operands)

    def greater_equal(self, *operands: Shape) -> Emitted:
        return self._reversed("less_equal", ast.GtE(), operands)

    def _in_order(self, function: str, operator: ast.cmpop, operands: tuple[Shape, ...]) -> Emitted:
        if len(operands) < 2:
            return ast.Constant(False), _TRUTH
        emitted = [self.emit(operand) for operand in operands[:3]]
        if _directly_ordered([kind for _, kind in emitted]):
            first, *others = [expression for expression, _ in emitted]
            return ast.Compare(first, [operator] * len(others), others), _TRUTH
        if len(emitted) == 2:
            return _call(function, emitted[0][0], emitted[1][0]), _TRUTH
        low, middle, high = (expression for expression, _ in emitted)
        assigned, name = self.assign(middle)
        then = _call(f"{function}_or_undefined", name, high)
        return ast.BoolOp(ast.And(), [_call(function, low, assigned), then]), _TRUTH

    def _reversed(self, function: str, operator: ast.cmpop, operands: tuple[Shape, ...]) -> Emitted:
        if len(operands) < 2:
            return ast.Constant(False), _TRUTH
        (left, left_kind), (right, right_kind) = self.emit(operands[0]), self.emit(operands[1])
        if _directly_ordered([left_kind, right_kind]):
            return _compare(left, operator, right)
        return _call(function, right, left), _TRUTH

    # logic

    def both(self, *operands: Shape) -> Emitted:
        return self._chain(ast.And(), operands)

    def either(self, *operands: Shape) -> Emitted:
        return self._chain(ast.Or(), operands)

    def _chain(self, operator: ast.boolop, operands: tuple[Shape, ...]) -> Emitted:
        """Return the operand that decides, assigned as each is tested; a wide chain stays flat."""
        if not operands:
            return _name("UNDEFINED"), _ANY
        *others, last = operands
        if not others:
            return self.emit(last)
        name = self.new_name()
        tests: list[ast.expr] = []
        for operand in others:
            expression, kind = self.emit(operand)
            tests.append(_as_test(_assigned(name, expression), kind))
        tests.append(_assigned(name, self.value(last)))
        return ast.IfExp(ast.BoolOp(operator, tests), _name(name), _name(name)), _ANY

    def negation(self, *operands: Shape) -> Emitted:
        return ast.UnaryOp(ast.Not(), self.truth_value(*operands)[0]), _TRUTH

    def truth_value(self, *operands: Shape) -> Emitted:
        if not operands:
            return ast.Constant(False), _TRUTH
        return _call("bool", self.truth(operands[0])), _TRUTH

    def choice(self, *operands: Shape) -> Emitted:
        """Return the first value whose condition holds, assigned as in `_chain`."""
        if not operands:
            return ast.Constant(None), _ANY
        if len(operands) == 1:
            return self.emit(operands[0])
        name = self.new_name()
        found: list[ast.expr] = []
        for condition, value in zip(operands[::2], operands[1::2], strict=False):
            taken = ast.Tuple([_assigned(name, self.value(value))], ast.Load())  # true, whatever the value
            found.append(ast.BoolOp(ast.And(), [self.truth(condition), taken]))
        found.append(_assigned(name, self.value(operands[-1]) if len(operands) % 2 else ast.Constant(None)))
        return ast.IfExp(ast.BoolOp(ast.Or(), found), _name(name), _name(name)), _ANY

    # loops

    def loop(self, function: str, operands: tuple[Shape, ...], *more: ast.expr) -> Emitted:
        inner = _Writer(self._info, item=True)
        logic = inner.operand(operands, 1)
        body = ast.Lambda(_arguments(["item"]), logic)
        cost = ast.Constant(_nodes(operands[1]) if len(operands) > 1 else 1)
        return _call(function, _name("facts"), self.operand(operands, 0), body, cost, *more), _ANY

    def reduction(self, *operands: Shape) -> Emitted:
        start = self.value(operands[2]) if len(operands) > 2 else ast.Constant(None)
        return self.loop("reduce_list", operands, start)


def _nodes(shape: Shape) -> int:
    return 1 + sum(_nodes(part) for part in shape if isinstance(part, tuple))


def _directly_ordered(kinds: list[str]) -> bool:
    """Return whether Python orders values of these kinds as JavaScript does.

    That holds for numbers, and for texts if one of each pair is ASCII: it differs from any other
    text at an ASCII unit or at its end, where both orders agree.
    """
    if all(kind == _NUMBER for kind in kinds):
        return True
    if not all(kind in _TEXTS for kind in kinds):
        return False
    return all(_ASCII in pair for pair in pairwise(kinds))


def _fact(*attributes: str) -> Callable[[], ast.expr]:
    def expression() -> ast.expr:
        result = _name("facts")
        for attribute in attributes:
            result = _attribute(result, attribute)
        return result

    return expression


NAMED_FACTS = {"mbox": _fact("mbox"), "geo": _fact("request", "geo")}
"""Facts whose names come from the request; each can be missing, and of any type."""

_URL_PARTS = ("url", "path", "query", "fragment", "subdomain", "domain", "topLevelDomain")
KNOWN_FACTS: Mapping[str, tuple[Callable[[], ast.expr], str]] = {
    "current_timestamp": (_fact("now_ms"), _NUMBER),
    "current_time": (_fact("current_time"), _ASCII),
    "current_day": (_fact("current_day"), _NUMBER),
    "user.locale": (lambda: ast.Constant(LOCALE), _ASCII),
    "user.browserType": (_fact("request", "user", "browser"), _TEXT),
    "user.browserVersion": (_fact("request", "user", "version"), _NUMBER),
    "user.platform": (_fact("request", "user", "platform"), _TEXT),
    **{
        f"{page}.{part}{case}": (_fact(page, part + case), _TEXT)
        for page in ("page", "referring")
        for part in _URL_PARTS
        for case in ("", "_lc")
    },
}


def _eager(function: str) -> Callable[..., Emitted]:
    """Return the emitter of an operator that is a function of its operands' values."""

    def emit(writer: _Writer, *operands: Shape) -> Emitted:
        values: list[ast.expr] = [writer.value(operand) for operand in operands]
        return _call(function, _name("facts"), ast.List(values, ast.Load())), _ANY

    return emit


def _looping(function: str) -> Callable[..., Emitted]:
    return lambda writer, *operands: writer.loop(function, operands)


def _with_scope(function: str) -> Callable[..., Emitted]:
    """Return the emitter of an operator that looks names up in the data."""

    def emit(writer: _Writer, *operands: Shape) -> Emitted:
        scope = _name("item") if writer.item else writer.context()
        values: list[ast.expr] = [writer.value(operand) for operand in operands]
        return _call(function, scope, ast.List(values, ast.Load())), _ANY

    return emit


LOOPS = frozenset({"map", "filter", "all", "none", "some", "reduce"})
"""Operators whose second operand is a logic that reads the item instead of the facts."""

_EMITTERS: dict[str, Callable[..., Emitted]] = {
    "var": _Writer.var,
    "==": _Writer.equal,
    "!=": _Writer.not_equal,
    "===": _Writer.strictly_equal,
    "!==": _Writer.strictly_unequal,
    "<": _Writer.less,
    "<=": _Writer.less_equal,
    ">": _Writer.greater,
    ">=": _Writer.greater_equal,
    "and": _Writer.both,
    "or": _Writer.either,
    "!": _Writer.negation,
    "!!": _Writer.truth_value,
    "if": _Writer.choice,
    "?:": _Writer.choice,
    "reduce": _Writer.reduction,
    **{name: _looping(f"{name}_list") for name in LOOPS if name != "reduce"},
    **{name: _with_scope(name) for name in ("missing", "missing_some")},
    **{name: _eager(function.__name__) for name, function in operators.OPERATORS.items()},
}
_OPERATOR_NAMES = frozenset(_EMITTERS)
_EMITTERS |= {
    "constant": _Writer.constant,
    "literal": _Writer.literal,
    "list": _Writer.list,
    "path": _Writer.path,
}

_GLOBALS: dict[str, Any] = {
    "__builtins__": {},
    "UNDEFINED": UNDEFINED,
    "bool": bool,
    "str": str,
    "type": type,
    "truthy": truthy,
    "loose_equal": loose_equal,
    "strict_equal": strict_equal,
    **{name: getattr(operators, name) for name in operators.__all__},
    **{function.__name__: function for function in operators.OPERATORS.values()},
}
