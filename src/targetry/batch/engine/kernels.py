"""Conditions on one column of texts that Arrow evaluates as the scalar engine does.

Used where most rows have a text of their own. Lower case is Arrow's for ASCII only: beyond it,
Python and Arrow differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from targetry.batch.engine.arrays import Array, is_ascii
from targetry.batch.engine.columns import TableLayout
from targetry.batch.engine.distinct import plain_texts
from targetry.batch.engine.plans import LeafPlan


class Kernel(NamedTuple):
    """A comparison of a text with literals.

    `operator` is `==`, `contains` (of `literals[0]`) or `in`. `steps` is the work of the scalar
    engine for one text.
    """

    operator: str
    literals: tuple[str, ...]
    is_negated: bool
    is_lower: bool
    steps: int

    @property
    def is_equality(self) -> bool:
        """Whether it takes less time than to find the distinct texts."""
        return self.operator == "=="

    def fits(self, column: Any) -> bool:
        """Return whether the result for this column is that of the scalar engine."""
        return not self.is_lower or is_ascii(plain_texts(column))

    def truth(self, column: Any, *, is_null_true: bool) -> Array:
        """Return where the condition is true; `is_null_true` is the answer for null."""
        texts = plain_texts(column)
        if self.is_lower:
            texts = pc.ascii_lower(texts)
        if self.operator == "contains":
            found = pc.match_substring(texts, self.literals[0])
        elif self.operator == "==":
            found = pc.equal(texts, self.literals[0])
        else:
            found = pc.is_in(texts, pa.array(self.literals, pa.string()))
        if self.is_negated:
            found = pc.invert(found)
        if column.null_count:
            found = pc.if_else(column.is_valid(), found, is_null_true)
        result: Array = found.to_numpy(zero_copy_only=False)
        return result


def kernel_of(tree: Any, plan: LeafPlan, layout: TableLayout) -> Kernel | None:
    """Return the kernel of a leaf, None if it has none."""
    if len(plan.sources) != 1 or not isinstance(tree, dict):
        return None
    is_text, slot = _is_text_source(plan, layout), plan.slots[0]
    ((operator, operands),) = tree.items() if len(tree) == 1 else (("", None),)
    if not is_text or not isinstance(operands, list) or len(operands) != 2:
        return None
    left, right = operands
    if operator in ("==", "===", "!=", "!=="):
        text, fact = (left, right) if isinstance(left, str) else (right, left)
        is_lower = _is_lower(fact, slot)
        if not isinstance(text, str) or is_lower is None:
            return None
        return Kernel("==", (text,), operator.startswith("!"), is_lower, 0)
    if operator != "in":
        return None
    if isinstance(left, str) and left:
        is_lower = _is_lower(right, slot)
        return None if is_lower is None else Kernel("contains", (left,), False, is_lower, 0)
    is_lower = _is_lower(left, slot)
    if is_lower is None or not isinstance(right, list) or not all(isinstance(one, str) for one in right):
        return None
    return Kernel("in", tuple(right), False, is_lower, len(right))


def _is_text_source(plan: LeafPlan, layout: TableLayout) -> bool:
    kind, *arguments = plan.sources[0]
    if kind == "url":
        return True
    if kind != "parameter":
        return False
    column, field = arguments
    found = layout.schema.field(column).type
    if field is not None:
        found = found.field(field).type
    return bool(
        pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    )


def _is_lower(fact: Any, slot: tuple[str, str]) -> bool | None:
    """Return whether a fact is the lower case of the column, None if it is not of this kind."""
    if not isinstance(fact, dict) or fact.keys() != {"var"}:
        return None
    path = fact["var"]
    if isinstance(path, list) and len(path) == 1:
        path = path[0]
    kind, name = slot
    whole = f"mbox.{name}" if kind == "parameter" else f"{kind}.url"
    if "." in name:
        return None
    return {whole: False, f"{whole}_lc": True}.get(path) if isinstance(path, str) else None
