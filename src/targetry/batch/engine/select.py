"""Choice of rules for the rows of a batch: the first match or all matches of each location."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from targetry.batch.engine.arrays import Array
from targetry.batch.engine.buckets import VisitorBuckets
from targetry.batch.engine.leaves import Leaf, Leaves, Node, Truth, Work, leaves_of, truth_of
from targetry.batch.engine.rows import Rows
from targetry.device.logic.compiler import Condition
from targetry.device.ruleset import CompiledRule, Location

NONE: Final = -1  # no rule
_ALLOCATIONS: Final = np.arange(10_000) / 100  # as `allocation` divides


class Matches(NamedTuple):
    """Rules that match, by their positions in a location: `rules[i]` in row `rows[i]`, rows sorted.

    `stopped` is where a split without a visitor id ended the location (None: nowhere).
    """

    rows: Array
    rules: Array
    stopped: Array | None


class RuleRun(NamedTuple):
    """Adjacent rules of one activity with one audience, with names for the parts of a `Run`."""

    audience: Condition | None
    activity_id: str
    uses_allocation: bool
    rules: tuple[CompiledRule, ...]


class Audiences:
    """The audiences of an artifact's rules as trees of leaves."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._nodes: dict[Any, Node] = {}
        self._all: dict[Any, tuple[Leaf, ...]] = {}

    def node(self, run: RuleRun) -> Node:
        """Return the audience of a run, which has one."""
        node = self._nodes.get(run.audience)
        if node is None:
            node = self._nodes[run.audience] = self._leaves.tree(run.rules[0].audience_tree)
        return node

    def leaves(self, run: RuleRun) -> tuple[Leaf, ...]:
        """Return the leaves of the audience of a run."""
        if run.audience is None:
            return ()
        leaves = self._all.get(run.audience)
        if leaves is None:
            leaves = self._all[run.audience] = tuple(leaves_of(self.node(run)))
        return leaves


class Chooser:
    """The rules of one location for batches.

    Args:
        location: The rules.
        name: The location, if its URL can be its own.
        takes_all: All rules that match, one of each key, instead of the first.
        audiences: Those of the artifact.
    """

    def __init__(self, location: Location, name: str | None, takes_all: bool, audiences: Audiences) -> None:
        self._location = location
        self._name = name
        self._takes_all = takes_all
        self._audiences = audiences
        self._places = {id(rule): place for place, rule in enumerate(location.rules)}
        self._tables: dict[int, Array] = {}
        self._windows: dict[int, tuple[int, int]] = {}
        self._runs: dict[str | None, tuple[RuleRun, ...]] = {}
        self._tokens = {token for rule in location.rules for token in rule.tokens}
        keys = Counter(key for run in self._every_run() for key in {rule.key for rule in run.rules})
        self._repeated = {key for key, count in keys.items() if count > 1}  # in several runs
        paths = [leaf.paths for run in self._every_run() for leaf in audiences.leaves(run)]
        self.is_columnar = not any(rule.test for rule in location.rules) and all(
            one is not None and "allocation" not in one for one in paths
        )
        self.paths = frozenset(path for one in paths if one is not None for path in one)
        self.split_activities = tuple(
            dict.fromkeys(run.activity_id for run in self._every_run() if run.uses_allocation)
        )

    def _every_run(self) -> Iterable[RuleRun]:
        return [run for token in (None, *sorted(self._tokens)) for run in self._runs_of(token)]

    def _runs_of(self, token: str | None) -> tuple[RuleRun, ...]:
        """Return the rules for a property token, the same object for the same rules."""
        key = token if token in self._tokens else None
        known = self._runs.get(key)
        if known is None:
            given = self._location.runs(key)
            known = self._runs[key] = tuple(RuleRun(*run) for run in given)
        return known

    def work(self, rows: Rows) -> list[Work]:
        """Return the most work that the rules of the location can cost in each row."""
        found: list[Work] = []
        seen: set[int] = set()
        for run in self._every_run():
            if run.audience is not None and id(run.audience) not in seen:
                seen.add(id(run.audience))
                self._truth(run, rows, found)
        return found

    def choose(
        self,
        rows: Rows,
        tokens: list[tuple[str | None, Array | None]],
        buckets: VisitorBuckets,
        problems: Counter[Any],
    ) -> Matches:
        """Return the matches.

        Args:
            rows: The batch.
            tokens: Property tokens with the rows that have them (None: all).
            buckets: Of the batch.
            problems: Counts rows by activity and reason of a condition without a value.
        """
        found: list[tuple[Array, Array]] = []
        stopped: Array | None = None
        by_runs: dict[int, tuple[tuple[RuleRun, ...], Array | None]] = {}
        for token, mask in tokens:
            runs = self._runs_of(token)
            known = by_runs.get(id(runs))
            both = mask if known is None or mask is None or known[1] is None else known[1] | mask
            by_runs[id(runs)] = runs, both
        for runs, mask in by_runs.values():
            part, ended = self._choose(runs, rows, mask, buckets, problems)
            found += part
            if ended is not None:
                stopped = ended if stopped is None else stopped | ended
        if not found:
            return Matches(np.zeros(0, np.int64), np.zeros(0, np.int32), stopped)
        if len(found) == 1:
            return Matches(*found[0], stopped)
        places, rules = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(places, kind="stable")
        return Matches(places[order], rules[order], stopped)

    def _choose(
        self,
        runs: tuple[RuleRun, ...],
        rows: Rows,
        mask: Array | None,
        buckets: VisitorBuckets,
        problems: Counter[Any],
    ) -> tuple[list[tuple[Array, Array]], Array | None]:
        if self._takes_all:
            return self._choose_all(runs, rows, mask, buckets, problems)
        open_rows = np.ones(rows.count, bool) if mask is None else mask.copy()
        stopped: Array | None = None
        found: list[tuple[Array, Array]] = []
        for run in runs:
            if not open_rows.any():
                break
            reached = self._reached(run, rows, open_rows, problems)
            reached, open_rows, stopped = _stop(run, rows, reached, open_rows, stopped)
            places = np.flatnonzero(reached)
            if not len(places):
                continue
            if not run.uses_allocation:
                found.append((places, np.full(len(places), self._places[id(run.rules[0])], np.int32)))
                open_rows = open_rows & ~reached
                continue
            everyone = len(places) == rows.count
            rule = self._table(run)[buckets.of(run.activity_id, None if everyone else places)]
            chosen = rule >= 0
            if not chosen.all():
                places, rule = places[chosen], rule[chosen]
            found.append((places, rule))
            open_rows = open_rows.copy()
            open_rows[places] = False
        return found, stopped

    def _choose_all(
        self,
        runs: tuple[RuleRun, ...],
        rows: Rows,
        mask: Array | None,
        buckets: VisitorBuckets,
        problems: Counter[Any],
    ) -> tuple[list[tuple[Array, Array]], Array | None]:
        open_rows = np.ones(rows.count, bool) if mask is None else mask.copy()
        stopped: Array | None = None
        matched: dict[str, Array] = {}
        found: list[tuple[Array, Array]] = []
        splits: dict[Any, list[str]] = {}
        for run in runs:
            if run.uses_allocation:
                splits.setdefault(run.audience, []).append(run.activity_id)
        visited: dict[Any, tuple[Array, VisitorBuckets]] = {}  # rows that an audience has, and their buckets
        for run in runs:
            known = visited.get(run.audience) if rows.has_visitor is None else None
            if known is None:
                reached = self._reached(run, rows, open_rows, problems)
                reached, open_rows, stopped = _stop(run, rows, reached, open_rows, stopped)
                places = np.flatnonzero(reached)
                is_few = 2 * len(places) < rows.count
                known = visited[run.audience] = places, buckets.some(places) if is_few else buckets
                if is_few:
                    known[1].prepare(splits.get(run.audience, ()))
            places, own = known
            if len(places):
                drawn = None
                if run.uses_allocation:
                    drawn = own.of(run.activity_id, None if own is not buckets else places)
                found += self._matches(run, places, drawn, matched, rows.count)
        return found, stopped

    def _reached(self, run: RuleRun, rows: Rows, open_rows: Array, problems: Counter[Any]) -> Array:
        """Return the rows of a run's audience; count those for which it has no value."""
        if run.audience is None:
            return open_rows
        truth = self._truth(run, rows, [])
        if truth.error is not None:
            count = int(np.count_nonzero(truth.error & open_rows))
            if count:
                problems[run.activity_id, self._reason(run)] += count
        return open_rows & truth.true

    def _matches(
        self, run: RuleRun, places: Array, drawn: Array | None, matched: dict[str, Array], count: int
    ) -> list[tuple[Array, Array]]:
        """Return all rules of a run that match in these rows, but for keys that have matched."""
        found = []
        taken: dict[str, Array] = {}  # by rules of this run
        for rule in run.rules:
            here = places
            if drawn is not None:
                low, high = self._bounds(rule)
                admitted = (drawn >= low) & (drawn <= high)
                before = taken.get(rule.key)
                if before is not None:
                    admitted &= ~before
                taken[rule.key] = admitted if before is None else admitted | before
                here = places[admitted]
            elif rule.key in taken:
                continue
            else:
                taken[rule.key] = places
            if rule.key in self._repeated:
                seen = matched.get(rule.key)
                if seen is None:
                    seen = matched[rule.key] = np.zeros(count, bool)
                here = here[~seen[here]]
                seen[here] = True
            if len(here):
                found.append((here, np.full(len(here), self._places[id(rule)], np.int32)))
        return found

    def _bounds(self, rule: CompiledRule) -> tuple[int, int]:
        """Return the first and the last bucket in the window of a rule."""
        known = self._windows.get(id(rule))
        if known is None:
            admitted = np.flatnonzero(_admitted(rule))
            known = (int(admitted[0]), int(admitted[-1])) if len(admitted) else (0, -1)
            self._windows[id(rule)] = known
        return known

    def _table(self, run: RuleRun) -> Array:
        """Return the position of the first rule that matches, by bucket."""
        table = self._tables.get(id(run))
        if table is None:
            table = np.full(len(_ALLOCATIONS), NONE, np.int32)
            for rule in reversed(run.rules):
                table[_admitted(rule)] = self._places[id(rule)]
            self._tables[id(run)] = table
        return table

    def _truth(self, run: RuleRun, rows: Rows, work: list[Work]) -> Truth:
        """Return where the audience of a run holds, and add its work."""
        name = self._name if self._name in rows.layout.addresses else None

        def compute() -> tuple[Truth, list[Work]]:
            own: list[Work] = []
            return truth_of(self._audiences.node(run), rows, name, own), own

        truth, own = rows.once(("audience", id(run.audience), name), compute)
        work += own
        return truth

    def _reason(self, run: RuleRun) -> str:
        return next((leaf.reason for leaf in self._audiences.leaves(run) if leaf.reason), "")


def _stop(
    run: RuleRun, rows: Rows, reached: Array, open_rows: Array, stopped: Array | None
) -> tuple[Array, Array, Array | None]:
    """Return the rows that a run reaches, those still open, and those that end at its split."""
    known = rows.has_visitor
    if run.uses_allocation and known is not None:
        without = reached & ~known
        if without.any():
            stopped = without if stopped is None else stopped | without
            open_rows = open_rows & ~without
            reached = reached & known
    return reached, open_rows, stopped


def _admitted(rule: CompiledRule) -> Array:
    """Return whether each bucket is in the window of a rule."""
    admitted: Array = (rule.low <= _ALLOCATIONS) & (rule.high >= _ALLOCATIONS)
    return admitted
