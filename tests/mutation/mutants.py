"""Mutants: small changes to a module that a test should detect.

Annotations, docstrings, the wording of errors, and names in `__repr__` are not changed.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """A changed module; `before` and `after` are the text of the changed part."""

    line: int
    before: str
    after: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.line}: {self.before}  →  {self.after}"


_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {
    **dict.fromkeys(("min",), "max"),
    "max": "min",
    "any": "all",
    "all": "any",
    "lower": "upper",
    "upper": "lower",
    "startswith": "endswith",
    "endswith": "startswith",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "partition": "rpartition",
    "rpartition": "partition",
    "removeprefix": "removesuffix",
    "removesuffix": "removeprefix",
    "find": "rfind",
    "rfind": "find",
    "search": "match",
    "fullmatch": "match",
    "append": "clear",
}


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's source, approximately in the order of its lines."""
    module = ast.parse(source)
    for path in _places(module):
        node = _at(module, path)
        for changed in _changes(node):
            tree = copy.deepcopy(module)
            _put(tree, path, changed)
            yield Mutant(
                getattr(node, "lineno", 0), _text(node), _text(changed), ast.fix_missing_locations(tree)
            )


Path = tuple[tuple[str, int | None], ...]


def _places(node: ast.AST, path: Path = ()) -> Iterator[Path]:
    """Yield the paths below `node` at which a mutation is possible."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment", "type_params", "decorator_list"):
            continue
        for position, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_left_alone(node, name, position, child):
                continue
            here = (*path, (name, position if isinstance(value, list) else None))
            yield here
            yield from _places(child, here)


def _is_left_alone(parent: ast.AST, name: str, position: int, child: ast.AST) -> bool:
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True  # a docstring
    if isinstance(child, ast.Import | ast.ImportFrom | ast.Raise | ast.Assert | ast.Global):
        return not isinstance(child, ast.Raise)
    if isinstance(parent, ast.Raise):
        return True  # the wording of an error
    if isinstance(child, ast.FunctionDef) and child.name == "__repr__":
        return True
    if isinstance(child, ast.FunctionDef) and any(_text(d) == "overload" for d in child.decorator_list):
        return True
    if isinstance(child, ast.If) and _text(child.test) == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.Assign) and _text(child.targets[0]) in ("__slots__", "__all__", "T"):
        return True
    if isinstance(child, ast.Assign) and isinstance(child.value, ast.Subscript | ast.BinOp):
        return _is_type(child.value)
    return isinstance(parent, ast.Subscript) and name == "slice" and _is_type(parent)


def _is_type(expression: ast.expr) -> bool:
    """Return whether it is an alias of a type: `Callable[…]`, `A | B` with capital names only."""
    if isinstance(expression, ast.Subscript):
        return _is_type(expression.value) or _text(expression.value) in (
            "dict",
            "tuple",
            "list",
            "set",
            "type",
        )
    if isinstance(expression, ast.BinOp):
        return (
            isinstance(expression.op, ast.BitOr) and _is_type(expression.left) and _is_type(expression.right)
        )
    return isinstance(expression, ast.Name) and expression.id[:1].isupper() and not expression.id.isupper()


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    for kind, make in _MAKERS:
        if isinstance(node, kind):
            yield from make(node)


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for i, operator in enumerate(node.ops):
        operators = [*node.ops]
        operators[i] = _COMPARISONS[type(operator)]()
        yield ast.Compare(node.left, operators, node.comparators)


def _bool(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _binary(node: ast.BinOp) -> Iterator[ast.AST]:
    yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)


def _augmented(node: ast.AugAssign) -> Iterator[ast.AST]:
    yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
    yield ast.Pass()


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"X{value}X")
    elif isinstance(value, bytes):
        yield ast.Constant(b"X%bX" % value)


def _test(node: ast.If | ast.IfExp | ast.While) -> Iterator[ast.AST]:
    if isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
        return  # which are changed themselves
    changed = copy.copy(node)
    changed.test = ast.UnaryOp(ast.Not(), node.test)
    yield changed


def _filter(node: ast.comprehension) -> Iterator[ast.AST]:
    for i in range(len(node.ifs)):
        yield ast.comprehension(node.target, node.iter, node.ifs[:i] + node.ifs[i + 1 :], node.is_async)


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not (isinstance(node.value, ast.Constant) and not node.value.value):
        yield ast.Return(ast.Constant(None))


def _statement(node: ast.AST) -> Iterator[ast.AST]:
    yield ast.Pass()


def _jump(node: ast.Continue | ast.Break) -> Iterator[ast.AST]:
    yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _call(node: ast.Call) -> Iterator[ast.AST]:
    for i in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])


def _name(node: ast.Name) -> Iterator[ast.AST]:
    if node.id in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Name(_NAMES[node.id], ast.Load())


def _attribute(node: ast.Attribute) -> Iterator[ast.AST]:
    if node.attr in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Attribute(node.value, _NAMES[node.attr], ast.Load())


_MAKERS: tuple[tuple[Any, Any], ...] = (
    (ast.Compare, _compare),
    (ast.BoolOp, _bool),
    (ast.BinOp, _binary),
    (ast.AugAssign, _augmented),
    (ast.UnaryOp, _unary),
    (ast.Constant, _constant),
    (ast.If | ast.IfExp | ast.While, _test),
    (ast.comprehension, _filter),
    (ast.Return, _return),
    (ast.Raise, _statement),
    (ast.Continue | ast.Break, _jump),
    (ast.Call, _call),
    (ast.Name, _name),
    (ast.Attribute, _attribute),
)


def _at(tree: ast.AST, path: Path) -> Any:
    node: Any = tree
    for name, position in path:
        node = getattr(node, name)
        if position is not None:
            node = node[position]
    return node


def _put(tree: ast.AST, path: Path, node: ast.AST) -> None:
    *before, (name, position) = path
    parent = _at(tree, tuple(before))
    if position is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[position] = node


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return "".join(f" if {ast.unparse(test)}" for test in node.ifs) or "no if"
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).partition("\n")[0]
