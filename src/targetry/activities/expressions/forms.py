"""Tables of the audience language: names of facts, functions and operators with their JSON Logic.

Parser and printer read the same tables, so that each form has an inverse.
"""

from __future__ import annotations

import ast
from typing import Any, Final, Literal, NamedTuple

from targetry.device.logic.compiler import KNOWN_FACTS

Kind = Literal["text", "number", "any"]

GEO_KINDS: Final[dict[str, Kind]] = {
    "country": "text",
    "region": "text",
    "city": "text",
    "latitude": "number",
    "longitude": "number",
}
FACTS: Final[dict[str, Kind]] = {
    **{path: "number" if kind == "number" else "text" for path, (_, kind) in KNOWN_FACTS.items()},
    **{f"geo.{name}": kind for name, kind in GEO_KINDS.items()},
    "allocation": "number",
}
"""Paths of the facts with the kind of their values; parameters (`mbox.<name>`) are of any kind.

Geo facts can be missing.
"""

GROUPS: Final[dict[str, frozenset[str]]] = {
    root: frozenset(path.partition(".")[2] for path in FACTS if path.startswith(f"{root}."))
    for root in ("geo", "page", "referring", "user")
}
"""Groups of facts with the names of their members."""

PARAMETERS: Final = "mbox"
ALIASES: Final = {
    "browser": "user.browserType",
    "platform": "user.platform",
    "url": "page.url_lc",
    "path": "page.path",
}
PARAMETER_ALIAS: Final = "param"
SINGLE_FACTS: Final = frozenset(path for path in FACTS if "." not in path)


class Function(NamedTuple):
    """A function whose arguments are the operands of an operator."""

    operator: str
    fewest: int
    most: int | None = None

    def accepts(self, count: int) -> bool:
        """Return whether the function can have this number of arguments."""
        return self.fewest <= count and (self.most is None or count <= self.most)


FUNCTIONS: Final = {
    "cat": Function("cat", 0),
    "substr": Function("substr", 2, 3),
    "min": Function("min", 0),
    "max": Function("max", 0),
    "merge": Function("merge", 0),
    "missing": Function("missing", 0),
    "missing_some": Function("missing_some", 2, 2),
    "strict_eq": Function("===", 2, 2),
    "strict_ne": Function("!==", 2, 2),
    "all_of": Function("and", 1),
    "any_of": Function("or", 1),
}
FUNCTION_OF: Final = {function.operator: name for name, function in FUNCTIONS.items()}

SPECIAL_FUNCTIONS: Final = {
    "contains": 'contains(x, "part")',
    "starts_with": 'starts_with(x, "start")',
    "ends_with": 'ends_with(x, "end")',
    "at": 'at("2026-01-01T00:00:00Z")',
    "bool": "bool(x)",
    "var": 'var("path")',
    "raw": "raw('<JSON>')",
}
"""Functions with forms of their own, and an example of each."""

COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
}
ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
UNARY: Final[dict[type[ast.unaryop], str]] = {ast.Not: "!", ast.UAdd: "+", ast.USub: "-"}
CHAINED: Final = frozenset({"<", "<="})
"""Comparisons that can have three operands."""

RESERVED_NAMES: Final = (
    frozenset({*GROUPS, PARAMETERS, PARAMETER_ALIAS, *ALIASES, *SINGLE_FACTS})
    | FUNCTIONS.keys()
    | SPECIAL_FUNCTIONS.keys()
)
"""Names that the language defines; an audience cannot have one of them."""


def starts_with(subject: Any, text: str) -> dict[str, Any]:
    """Return the condition that a text starts with another."""
    return {"==": [{"substr": [subject, 0, utf16_length(text)]}, text]}


def ends_with(subject: Any, text: str) -> dict[str, Any]:
    """Return the condition that a text ends with another."""
    return {"==": [{"substr": [subject, -utf16_length(text)]}, text]}


def utf16_length(text: str) -> int:
    """Return the length of a text as JavaScript counts it."""
    return len(text) + sum(char > "\uffff" for char in text)
