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
from targetry.device.ruleset import CompiledRule, Location, Run

NONE: Final = -1  # no rule
# Positions of the parts of a run.
_AUDIENCE: Final = 0
_ACTIVITY: Final = 1
_ALLOCATION: Final = 2
_RULES: Final = 3

_ALLOCATIONS: Final = np.arange(10_000) / 100  # as `allocation` divides


class Matches(NamedTuple):
    """Rules that match, by their positions in a location: `rules[i]` in row `rows[i]`, rows sorted.

    `stopped` is where a split without a visitor id ended the location (None: nowhere).
    """

    rows: Array
    rules: Array
    stopped: Array | None


class Audiences:
    """The audiences of an artifact's rules as trees of leaves."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._nodes: dict[Any, Node] = {}
        self._all: dict[Any, tuple[Leaf, ...]] = {}

    def node(self, run: Run) -> Node:
        """Return the audience of a run, which has one."""
        node = self._nodes.get(run[_AUDIENCE])
        if node is None:
            node = self._nodes[run[_AUDIENCE]] = self._leaves.tree(run[_RULES][0].audience_tree)
        return node

    def leaves(self, run: Run) -> tuple[Leaf, ...]:
        """Return the leaves of the audience of a run."""
        if run[_AUDIENCE] is None:
            return ()
        leaves = self._all.get(run[_AUDIENCE])
        if leaves is None:
            leaves = self._all[run[_AUDIENCE]] = tuple(leaves_of(self.node(run)))
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
        self._runs: list[tuple[Run, ...]] = []  # keeps the runs of `_tables` alive
        keys = Counter(rule.key for rule in location.rules)
        self._repeated = {key for key, count in keys.items() if count > 1}
        paths = [leaf.paths for run in self._every_run() for leaf in audiences.leaves(run)]
        self.is_columnar = not any(rule.test for rule in location.rules) and all(
            one is not None and "allocation" not in one for one in paths
        )
        self.paths = frozenset(path for one in paths if one is not None for path in one)
        self.split_activities = tuple(
            dict.fromkeys(run[_ACTIVITY] for run in self._every_run() if run[_ALLOCATION])
        )

    def _every_run(self) -> Iterable[Run]:
        tokens = {token for rule in self._location.rules for token in rule.tokens}
        return [run for token in (None, *sorted(tokens)) for run in self._location.runs(token)]

    def work(self, rows: Rows) -> list[Work]:
        """Return the most work that the rules of the location can cost in each row."""
        found: list[Work] = []
        seen: set[int] = set()
        for run in self._every_run():
            if run[_AUDIENCE] is not None and id(run[_AUDIENCE]) not in seen:
                seen.add(id(run[_AUDIENCE]))
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
        by_runs: dict[int, tuple[tuple[Run, ...], Array | None]] = {}
        for token, mask in tokens:
            runs = self._location.runs(token)
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
        runs: tuple[Run, ...],
        rows: Rows,
        mask: Array | None,
        buckets: VisitorBuckets,
        problems: Counter[Any],
    ) -> tuple[list[tuple[Array, Array]], Array | None]:
        open_rows = np.ones(rows.count, bool) if mask is None else mask.copy()
        known = rows.has_visitor
        stopped: Array | None = None
        matched: dict[str, Array] = {}
        found: list[tuple[Array, Array]] = []
        for run in runs:
            if not open_rows.any():
                break
            reached = open_rows
            if run[_AUDIENCE] is not None:
                truth = self._truth(run, rows, [])
                if truth.error is not None:
                    count = int(np.count_nonzero(truth.error & open_rows))
                    if count:
                        problems[run[_ACTIVITY], self._reason(run)] += count
                reached = open_rows & truth.true
            if run[_ALLOCATION] and known is not None:
                without = reached & ~known
                if without.any():
                    stopped = without if stopped is None else stopped | without
                    open_rows = open_rows & ~without
                    reached = reached & known
            places = np.flatnonzero(reached)
            if not len(places):
                continue
            if self._takes_all:
                found += self._matches(run, places, buckets, matched, rows.count)
                continue
            if not run[_ALLOCATION]:
                found.append((places, np.full(len(places), self._places[id(run[_RULES][0])], np.int32)))
                open_rows = open_rows & ~reached
                continue
            everyone = len(places) == rows.count
            rule = self._table(run, runs)[buckets.of(run[_ACTIVITY], None if everyone else places)]
            chosen = rule >= 0
            if not chosen.all():
                places, rule = places[chosen], rule[chosen]
            found.append((places, rule))
            open_rows = open_rows.copy()
            open_rows[places] = False
        return found, stopped

    def _matches(
        self, run: Run, places: Array, buckets: VisitorBuckets, matched: dict[str, Array], count: int
    ) -> list[tuple[Array, Array]]:
        """Return all rules of a run that match in these rows, but for keys that have matched."""
        found = []
        drawn = buckets.of(run[_ACTIVITY], places) if run[_ALLOCATION] else None
        for rule in run[_RULES]:
            here = places if drawn is None else places[_admitted(rule)[drawn]]
            if rule.key in self._repeated:
                before = matched.setdefault(rule.key, np.zeros(count, bool))
                here = here[~before[here]]
                before[here] = True
            if len(here):
                found.append((here, np.full(len(here), self._places[id(rule)], np.int32)))
        return found

    def _table(self, run: Run, runs: tuple[Run, ...]) -> Array:
        """Return the position of the first rule that matches, by bucket."""
        table = self._tables.get(id(run))
        if table is None:
            table = np.full(len(_ALLOCATIONS), NONE, np.int32)
            for rule in reversed(run[_RULES]):
                table[_admitted(rule)] = self._places[id(rule)]
            self._tables[id(run)] = table
            self._runs.append(runs)
        return table

    def _truth(self, run: Run, rows: Rows, work: list[Work]) -> Truth:
        """Return where the audience of a run holds, and add its work."""
        name = self._name if self._name in rows.layout.addresses else None

        def compute() -> tuple[Truth, list[Work]]:
            own: list[Work] = []
            return truth_of(self._audiences.node(run), rows, name, own), own

        truth, own = rows.once(("audience", id(run[_AUDIENCE]), name), compute)
        work += own
        return truth

    def _reason(self, run: Run) -> str:
        return next((leaf.reason for leaf in self._audiences.leaves(run) if leaf.reason), "")


def _admitted(rule: CompiledRule) -> Array:
    """Return whether each bucket is in the window of a rule."""
    admitted: Array = (rule.low <= _ALLOCATIONS) & (rule.high >= _ALLOCATIONS)
    return admitted
