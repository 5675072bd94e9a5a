"""Conditions over columns, cut at `and`, `or` and `!`: each leaf is asked once per distinct value.

The truth of a condition is that of the scalar engine, which evaluates the leaves; here they are
only combined. A leaf that cannot be evaluated is neither true nor false, and ends the condition
where the scalar engine would meet it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec
import numpy as np

from targetry.batch.engine.arrays import Array
from targetry.batch.engine.columns import TableLayout
from targetry.batch.engine.kernels import Kernel, kernel_of
from targetry.batch.engine.plans import LeafPlan, plan_of
from targetry.batch.engine.rows import Rows, Source
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import WORK_PER_LOCATION, RuleFailure
from targetry.device.logic.reads import Paths, paths_read

_FALSE, _TRUE, _ERROR = 0, 1, 2
_ANSWERS: Final = 3
_MOST_KNOWN: Final = 65_536  # answers that a leaf keeps over batches


class Truth(NamedTuple):
    """Where a condition is true, and where it cannot be evaluated (None: nowhere)."""

    true: Array
    error: Array | None = None


class Work(NamedTuple):
    """Steps that a leaf takes in each row: `steps[codes]`."""

    codes: Array | None
    steps: Array
    most: int


class _Planned(NamedTuple):
    """A leaf for one layout, which it keeps alive, with the answers for values."""

    plan: LeafPlan
    kernel: Kernel | None
    known: dict[tuple[Any, ...], int]
    layout: TableLayout


class Leaf:
    """A part of conditions that is evaluated as a whole, with the answers it gave."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.paths: Paths | None = paths_read(tree)
        self.reason = ""  # of the last error
        self._evaluate = compile_logic(tree).evaluate
        self._plans: dict[Any, _Planned] = {}
        self.evaluations = 0

    def truth(self, rows: Rows, location: str | None) -> tuple[Truth, Work | None]:
        """Return where the leaf is true, and the work that this costs the scalar engine."""
        planned = self._planned(rows, location)
        return rows.once((id(self), planned.plan.sources), lambda: self._computed(rows, planned))

    def _planned(self, rows: Rows, location: str | None) -> _Planned:
        layout = rows.layout
        key = id(layout), location if location in layout.addresses else None
        known = self._plans.get(key)
        if known is None:
            assert self.paths is not None
            plan = plan_of(self.tree, self.paths, layout, location)
            known = self._plans[key] = _Planned(plan, kernel_of(self.tree, plan, layout), {}, layout)
        return known

    def _computed(self, rows: Rows, planned: _Planned) -> tuple[Truth, Work | None]:
        plan, kernel = planned.plan, planned.kernel
        if kernel is not None and self._uses(kernel, rows, plan.sources[0]):
            column = rows.array(plan.sources[0])
            if kernel.fits(column):
                work, null = divmod(self._remembered(planned, [(None,)])[0], _ANSWERS)
                if null != _ERROR:
                    return Truth(kernel.truth(column, is_null_true=null == _TRUE)), _constant_work(
                        max(work, kernel.steps)
                    )
        if not plan.sources:
            work, answer = divmod(self._remembered(planned, [()])[0], _ANSWERS)
            everywhere = np.full(rows.count, answer == _TRUE)
            error = np.ones(rows.count, bool) if answer == _ERROR else None
            return Truth(everywhere, error), _constant_work(work)
        codes, values, is_cacheable = rows.distinct(plan.sources)
        if is_cacheable and plan.is_cacheable:
            given = self._remembered(planned, values)
        else:
            given = [self._answer(plan, value) for value in values]
        both: Array = np.array(given, np.int64)
        steps, answers = both // _ANSWERS, both % _ANSWERS
        true = (answers == _TRUE).take(codes)
        errors = answers == _ERROR
        error = errors.take(codes) if errors.any() else None
        most = int(steps.max(initial=0))
        return Truth(true, error), Work(codes, steps, most) if most else None

    def _uses(self, kernel: Kernel, rows: Rows, source: Source) -> bool:
        """Return whether a kernel is faster than to ask for each distinct text."""
        is_rare = kernel.is_equality and rows.is_rarely_compared(source)
        return is_rare or rows.is_mostly_distinct(source)

    def _remembered(self, planned: _Planned, values: Sequence[tuple[Any, ...]]) -> list[int]:
        """Return the answers for values, each asked once as long as it is kept."""
        known = planned.known
        given = list(map(known.get, values))
        for place, one in enumerate(given):
            if one is None:
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                given[place] = known[values[place]] = self._answer(planned.plan, values[place])
        return cast("list[int]", given)

    def _answer(self, plan: LeafPlan, values: tuple[Any, ...]) -> int:
        """Return the scalar engine's answer and the steps of its loops, as one number."""
        self.evaluations += 1
        facts = plan.facts(values)
        try:
            answer = _TRUE if self._evaluate(facts, None) else _FALSE
        except Exception as error:  # as in `matching.py`
            self.reason = RuleFailure("", error).reason
            answer = _ERROR
        return (WORK_PER_LOCATION - facts.work_left) * _ANSWERS + answer


def _constant_work(steps: int) -> Work | None:
    return Work(None, np.array([steps]), steps) if steps else None


Node = Leaf | tuple[str, tuple[Any, ...]]
"""A leaf, or an operator (`and`, `or`, `!`) and its nodes."""


class Leaves:
    """Leaves by their text, which conditions of several rules and artifacts share."""

    def __init__(self) -> None:
        self._leaves: dict[bytes, Leaf] = {}

    @property
    def evaluations(self) -> int:
        """The number of evaluations by the scalar engine."""
        return sum(leaf.evaluations for leaf in self._leaves.values())

    def tree(self, condition: Any) -> Node:
        """Return a condition, cut into leaves."""
        if isinstance(condition, dict) and len(condition) == 1:
            ((operator, operands),) = condition.items()
            if not isinstance(operands, list):
                operands = [operands]
            if operator in ("and", "or") and operands:
                return operator, tuple(self.tree(operand) for operand in operands)
            if operator == "!" and operands:
                return operator, (self.tree(operands[0]),)
        text = msgspec.json.encode(condition)
        leaf = self._leaves.get(text)
        if leaf is None:
            leaf = self._leaves[text] = Leaf(condition)
        return leaf


def leaves_of(node: Node) -> Iterator[Leaf]:
    """Yield the leaves of a condition, one that occurs twice twice."""
    if isinstance(node, Leaf):
        yield node
        return
    for one in node[1]:
        yield from leaves_of(one)


def truth_of(node: Node, rows: Rows, location: str | None, work: list[Work]) -> Truth:
    """Return where a condition is true, and add the work of its leaves to `work`."""
    if isinstance(node, Leaf):
        truth, own = node.truth(rows, location)
        if own is not None:
            work.append(own)
        return truth
    operator, nodes = node
    if operator == "!":
        inner = truth_of(nodes[0], rows, location, work)
        false = ~inner.true if inner.error is None else ~(inner.true | inner.error)
        return Truth(false, inner.error)
    result = truth_of(nodes[0], rows, location, work)
    for one in nodes[1:]:
        other = truth_of(one, rows, location, work)
        result = _and(result, other) if operator == "and" else _or(result, other)
    return result


def _and(first: Truth, second: Truth) -> Truth:
    return Truth(first.true & second.true, _either(first.error, second.error, first.true))


def _or(first: Truth, second: Truth) -> Truth:
    reached = ~first.true
    then = second.true if first.error is None else second.true & ~first.error
    return Truth(first.true | then, _either(first.error, second.error, reached))


def _either(first: Array | None, second: Array | None, reached: Array) -> Array | None:
    """Return where one of two errors is met: the first, or the second where it is reached."""
    if second is None:
        return first
    second = second & reached
    if first is None:
        return second if second.any() else None
    return first | second
