"""Parser of audience expressions: text to JSON Logic."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, NoReturn

from targetry.activities.expressions.errors import ExpressionError
from targetry.activities.expressions.forms import (
    ALIASES,
    ARITHMETIC,
    CHAINED,
    COMPARISONS,
    FUNCTIONS,
    GROUPS,
    PARAMETER_ALIAS,
    PARAMETERS,
    RESERVED_NAMES,
    SINGLE_FACTS,
    SPECIAL_FUNCTIONS,
    UNARY,
    ends_with,
    starts_with,
)
from targetry.activities.expressions.scanner import (
    KEYWORDS,
    LONE_SURROGATE,
    ExpressionText,
    did_you_mean,
    scan,
)
from targetry.device.logic.compiler import MAX_DEPTH, MAX_NODES

MAX_EXPRESSION_DEPTH: Final = 64
MAX_EXPRESSION_NODES: Final = 2_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ParsedExpression(NamedTuple):
    """A condition with the positions of its operations.

    `marks` has line and column of each operation, by the `id` of its dict in `logic`; operations of
    audiences that the expression names have none.
    """

    logic: Any
    marks: dict[int, tuple[int, int]]


def parse_expression(text: str, audiences: Mapping[str, Any]) -> Any:
    """Parse an audience expression.

    Args:
        text: The expression.
        audiences: JSON Logic of the audiences that the expression can name.

    Returns:
        The condition as JSON Logic. Conditions of audiences are parts of it, not copies.

    Raises:
        ExpressionError: The text is not an audience expression.
    """
    return parse_with_marks(text, audiences).logic


def parse_with_marks(text: str, audiences: Mapping[str, Any]) -> ParsedExpression:
    """Parse an audience expression as `parse_expression`, with the positions of its operations."""
    source = ExpressionText(text)
    _, flat = scan(source)
    start = len(flat) - len(flat.lstrip(" "))
    try:
        tree = ast.parse(flat[start:], mode="eval").body
        translator = _Translator(source, start, flat, audiences)
        logic = translator.translate(tree, 0)
    except SyntaxError as error:
        message = str(error.msg).partition(".")[0]
        offset = min(max((error.offset or 1) - 1, 0) + start, len(text) - 1)
        source.fail("TA101", f"not an expression: {message}", offset)
    except (RecursionError, MemoryError):
        source.fail("TA101", f"the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels", start)
    if translator.names:
        _check_size(source, logic)
    return ParsedExpression(logic, translator.marks)


def referenced_names(text: str) -> list[str]:
    """Return the bare names of an expression that are no facts: the audiences that it refers to.

    Args:
        text: The expression.

    Returns:
        Each name once, in the order of the text; no names if the text cannot be parsed.
    """
    try:
        tokens, _ = scan(ExpressionText(text))
    except ExpressionError:
        return []
    names = {
        token.text: None
        for position, token in enumerate(tokens)
        if token.kind == "name"
        and token.text not in RESERVED_NAMES
        and token.text not in KEYWORDS
        and not (position and tokens[position - 1].text == ".")
        and not (position + 1 < len(tokens) and tokens[position + 1].text in ("(", ".", "["))
    }
    return list(names)


def _check_size(source: ExpressionText, logic: Any) -> None:
    """Fail if a condition with the audiences that it names exceeds the limits of the engine."""
    nodes = 0
    pending = [(logic, 0)]
    while pending:
        node, depth = pending.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            limit = f"{MAX_NODES:,} nodes" if nodes > MAX_NODES else f"{MAX_DEPTH} levels"
            source.fail("TA101", f"the expression with the audiences that it names exceeds {limit}", 0)
        if isinstance(node, dict):
            node = [
                item for value in node.values() for item in (value if isinstance(value, list) else [value])
            ]
        if isinstance(node, list):
            pending.extend((item, depth + 1) for item in node)


class _Translator:
    """Translates the syntax tree of one expression."""

    def __init__(self, source: ExpressionText, start: int, flat: str, audiences: Mapping[str, Any]) -> None:
        self.marks: dict[int, tuple[int, int]] = {}
        self.names: list[str] = []
        self._source = source
        self._start = start
        self._line = flat[start:]
        self._bytes = None if flat.isascii() else self._line.encode()
        self._audiences = audiences
        self._nodes = 0

    def translate(self, node: ast.expr, depth: int) -> Any:
        self._nodes += 1
        if depth > MAX_EXPRESSION_DEPTH:
            self._fail("TA101", f"the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels", node)
        if self._nodes > MAX_EXPRESSION_NODES:
            self._fail("TA101", f"the expression has more than {MAX_EXPRESSION_NODES:,} parts", node)
        translate = _NODES.get(type(node))
        if translate is None:
            self._fail("TA101", "not an expression of an audience", node)
        logic = translate(self, node, depth + 1)
        is_audience = isinstance(node, ast.Name) and node.id not in RESERVED_NAMES
        if isinstance(logic, dict) and not is_audience:
            self.marks[id(logic)] = self._source.position(self._offset(node.col_offset))
        return logic

    def _all(self, nodes: list[ast.expr], depth: int) -> list[Any]:
        return [self.translate(node, depth) for node in nodes]

    # literals

    def _constant(self, node: ast.Constant, depth: int) -> Any:
        if node.value is ...:
            self._fail("TA101", "not an expression of an audience", node)
        if isinstance(node.value, float) and node.value in (float("inf"), float("-inf")):
            self._fail("TA101", "the number is too large", node)
        return node.value

    def _list(self, node: ast.List, depth: int) -> list[Any]:
        return self._all(node.elts, depth)

    # operators

    def _boolop(self, node: ast.BoolOp, depth: int) -> Any:
        return {"and" if isinstance(node.op, ast.And) else "or": self._all(node.values, depth)}

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Any:
        operand = self.translate(node.operand, depth)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and _is_number(operand):
            return -operand
        if isinstance(operand, list) or type(node.op) not in UNARY:
            self._fail("TA102", "the operator cannot precede this operand", node)
        return {UNARY[type(node.op)]: operand}

    def _binop(self, node: ast.BinOp, depth: int) -> Any:
        return {ARITHMETIC[type(node.op)]: self._all([node.left, node.right], depth)}

    def _ifexp(self, node: ast.IfExp, depth: int) -> Any:
        return {"if": self._all([node.test, node.body, node.orelse], depth)}

    def _compare(self, node: ast.Compare, depth: int) -> Any:
        operands = self._all([node.left, *node.comparators], depth)
        if len(operands) == 2:
            return self._comparison(node.ops[0], operands)
        operators = [COMPARISONS.get(type(operator), "not in") for operator in node.ops]
        for operator, right in zip(operators, node.comparators, strict=True):
            if operator not in CHAINED:
                self._fail(
                    "TA102",
                    f"`{operator}` cannot be part of a chain",
                    right,
                    "join two comparisons with `and`",
                )
        if len(operands) == 3 and operators[0] == operators[1]:
            return {operators[0]: operands}
        pairs = zip(operators, operands, operands[1:], strict=False)
        return {"and": [{operator: [left, right]} for operator, left, right in pairs]}

    def _comparison(self, operator: ast.cmpop, operands: list[Any]) -> Any:
        if isinstance(operator, ast.NotIn):
            return {"!": {"in": operands}}
        return {COMPARISONS[type(operator)]: operands}

    # names

    def _name(self, node: ast.Name, depth: int) -> Any:
        return self._fact([node.id], [node])

    def _attribute(self, node: ast.Attribute | ast.Subscript, depth: int) -> Any:
        return self._fact(*self._path(node))

    def _path(self, node: ast.expr) -> tuple[list[str], list[ast.expr]]:
        """Return the parts of a dotted name, and the nodes that end with each part."""
        parts: list[str] = []
        nodes: list[ast.expr] = []
        while not isinstance(node, ast.Name):
            nodes.append(node)
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
            elif not isinstance(node, ast.Subscript):
                self._fail("TA101", "only names have members", node)
            elif isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                parts.append(node.slice.value)
            else:
                self._fail("TA101", "the name in brackets is not a text", node.slice, 'write mbox["name"]')
            node = node.value
        return [node.id, *reversed(parts)], [node, *reversed(nodes)]

    def _fact(self, parts: list[str], nodes: list[ast.expr]) -> Any:
        root, *rest = parts
        if root in (PARAMETERS, PARAMETER_ALIAS) and rest:
            return {"var": ".".join([PARAMETERS, *rest])}
        if root in GROUPS and rest:
            if rest[0] not in GROUPS[root]:
                hint = did_you_mean(rest[0], GROUPS[root])
                self._fail_at("TA103", f"{root} has no '{rest[0]}'", self._end(nodes[1], rest[0]), hint)
            if len(rest) > 1:
                self._fail_at(
                    "TA103", f"{root}.{rest[0]} has no '{rest[1]}'", self._end(nodes[2], rest[1]), None
                )
            return {"var": f"{root}.{rest[0]}"}
        if root in GROUPS or root in (PARAMETERS, PARAMETER_ALIAS):
            example = min(GROUPS[root]) if root in GROUPS else "name"
            self._fail("TA103", f"{root} is a group of values", nodes[0], f"write {root}.{example}")
        if rest:
            self._unknown_group(root, parts, nodes)
        if root in ALIASES or root in SINGLE_FACTS:
            return {"var": ALIASES.get(root, root)}
        if root in self._audiences:
            self.names.append(root)
            return self._audiences[root]
        return self._unknown_name(root, nodes[0])

    def _unknown_group(self, root: str, parts: list[str], nodes: list[ast.expr]) -> NoReturn:
        if root in ALIASES or root in SINGLE_FACTS or root in self._audiences:
            self._fail_at("TA103", f"{root} has no '{parts[1]}'", self._end(nodes[1], parts[1]), None)
        hint = did_you_mean(root, {*GROUPS, PARAMETERS, PARAMETER_ALIAS})
        self._fail("TA104", f"unknown name '{root}'", nodes[0], hint)

    def _unknown_name(self, name: str, node: ast.expr) -> NoReturn:
        if name in FUNCTIONS or name in SPECIAL_FUNCTIONS:
            example = SPECIAL_FUNCTIONS.get(name, f"{name}(…)")
            self._fail("TA104", f"'{name}' is a function", node, f"write {example}")
        literal = {"true": "True", "false": "False", "null": "None"}.get(name)
        hint = f"write {literal}" if literal else None
        hint = hint or did_you_mean(name, {*ALIASES, *SINGLE_FACTS, *self._audiences})
        self._fail("TA104", f"unknown name '{name}'", node, hint)

    # functions

    def _call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name):
            self._fail("TA105", "only functions can be called", node)
        name = node.func.id
        if function := FUNCTIONS.get(name):
            if not function.accepts(len(node.args)):
                self._wrong_count(name, node, function.fewest, function.most)
            return {function.operator: self._all(node.args, depth)}
        special = _SPECIAL.get(name)
        if special is None:
            known = {*FUNCTIONS, *SPECIAL_FUNCTIONS}
            self._fail("TA105", f"no function '{name}'", node, did_you_mean(name, known))
        fewest, most, translate = special
        if not fewest <= len(node.args) <= most:
            self._wrong_count(name, node, fewest, most)
        return translate(self, node, depth)

    def _wrong_count(self, name: str, node: ast.Call, fewest: int, most: int | None) -> NoReturn:
        if most is None:
            expected = f"at least {fewest}"
        else:
            expected = str(most) if fewest == most else f"{fewest} to {most}"
        given = len(node.args)
        hint = f"write {SPECIAL_FUNCTIONS[name]}" if name in SPECIAL_FUNCTIONS else None
        self._fail("TA105", f"{name} takes {expected} arguments, not {given}", node, hint)

    def _contains(self, node: ast.Call, depth: int) -> Any:
        text, part = self._all(node.args, depth)
        return {"in": [part, text]}

    def _starts_with(self, node: ast.Call, depth: int) -> Any:
        return starts_with(self.translate(node.args[0], depth), self._affix(node))

    def _ends_with(self, node: ast.Call, depth: int) -> Any:
        return ends_with(self.translate(node.args[0], depth), self._affix(node))

    def _affix(self, node: ast.Call) -> str:
        text = self._literal_text(node, node.args[1])
        if not text:
            self._fail("TA105", "every text starts and ends with the empty text", node.args[1])
        if not text.isascii() and max(text) > "\uffff":
            self._fail(
                "TA114",
                "a character beyond U+FFFF has another length in other SDKs",
                node.args[1],
                "use contains",
            )
        return text

    def _literal_text(self, call: ast.Call, node: ast.expr) -> str:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            hint = f"write {SPECIAL_FUNCTIONS.get(name, name)}"
            self._fail("TA105", f"{name} takes a literal text here", node, hint)
        return node.value

    def _at(self, node: ast.Call, depth: int) -> int:
        text = self._literal_text(node, node.args[0])
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            self._fail("TA114", f"'{text}' is not a time", node.args[0], f"write {SPECIAL_FUNCTIONS['at']}")
        if time.tzinfo is None:
            self._fail("TA114", f"the time '{text}' has no offset", node.args[0], "append Z for UTC")
        milliseconds, rest = divmod(time - _EPOCH, timedelta(milliseconds=1))
        if rest:
            self._fail("TA114", f"the time '{text}' has parts of a millisecond", node.args[0])
        return milliseconds

    def _bool(self, node: ast.Call, depth: int) -> Any:
        operand = self.translate(node.args[0], depth)
        if isinstance(operand, list):
            self._fail("TA105", "bool cannot take a list", node.args[0])
        return {"!!": operand}

    def _var(self, node: ast.Call, depth: int) -> Any:
        operands = self._all(node.args, depth)
        return {"var": operands[0] if len(operands) == 1 else operands}

    def _raw(self, node: ast.Call, depth: int) -> Any:
        text = self._literal_text(node, node.args[0])
        try:
            logic = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique_members)
            self._count(logic, node)
        except ValueError as error:
            self._fail("TA105", f"raw takes JSON: {error}", node.args[0])
        return logic

    def _count(self, logic: Any, node: ast.Call) -> None:
        pending = [logic]
        while pending:
            item = pending.pop()
            self._nodes += 1
            if isinstance(item, dict | list):
                pending.extend([*item, *item.values()] if isinstance(item, dict) else item)
            elif isinstance(item, str) and LONE_SURROGATE.search(item):
                self._fail("TA105", "the JSON has half of a surrogate pair", node)
            elif isinstance(item, float) and item in (float("inf"), float("-inf")):
                self._fail("TA105", "the JSON has a number that is too large", node)
        if self._nodes > MAX_EXPRESSION_NODES:
            self._fail("TA101", f"the expression has more than {MAX_EXPRESSION_NODES:,} parts", node)

    # positions

    def _offset(self, column: int) -> int:
        if self._bytes is not None:
            column = len(self._bytes[:column].decode())
        return self._start + column

    def _end(self, node: ast.expr, part: str) -> int:
        """Return the offset of the last part of a dotted name."""
        if isinstance(node, ast.Subscript):
            return self._offset(node.slice.col_offset)
        return self._offset(node.end_col_offset or 0) - len(part)

    def _fail(self, code: str, message: str, node: ast.expr, hint: str | None = None) -> NoReturn:
        self._fail_at(code, message, self._offset(node.col_offset), hint)

    def _fail_at(self, code: str, message: str, offset: int, hint: str | None) -> NoReturn:
        self._source.fail(code, message, offset, hint)


_NODES: Final[dict[type[ast.expr], Callable[[_Translator, Any, int], Any]]] = {
    ast.Attribute: _Translator._attribute,
    ast.BinOp: _Translator._binop,
    ast.BoolOp: _Translator._boolop,
    ast.Call: _Translator._call,
    ast.Compare: _Translator._compare,
    ast.Constant: _Translator._constant,
    ast.IfExp: _Translator._ifexp,
    ast.List: _Translator._list,
    ast.Name: _Translator._name,
    ast.Subscript: _Translator._attribute,
    ast.UnaryOp: _Translator._unaryop,
}
_SPECIAL: Final = {
    "contains": (2, 2, _Translator._contains),
    "starts_with": (2, 2, _Translator._starts_with),
    "ends_with": (2, 2, _Translator._ends_with),
    "at": (1, 1, _Translator._at),
    "bool": (1, 1, _Translator._bool),
    "var": (0, 2, _Translator._var),
    "raw": (1, 1, _Translator._raw),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("an object has a member twice")
    return found
