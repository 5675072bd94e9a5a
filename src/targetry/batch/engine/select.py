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
from targetry.device.logic.allocation import BUCKETS
from targetry.device.logic.compiler import Condition
from targetry.device.ruleset import CompiledRule, Location

NONE: Final = -1  # no rule
ALLOCATIONS: Final = np.arange(BUCKETS) / 100
"""The allocation of each bucket in percent, divided as by `allocation`."""


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
        self._bits = len(location.rules).bit_length()
        self._ranks: dict[tuple[tuple[int, int], ...], Array] = {}  # by windows of a run
        self._tables: dict[int, tuple[Array, Array]] = {}
        self._windows: dict[int, tuple[int, int]] = {}
        self._runs: dict[str | None, tuple[RuleRun, ...]] = {}
        self._groups: dict[int, list[tuple[RuleRun, ...]]] = {}  # by ids of values of `_runs`
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
        found: list[Array] = []
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
        keys = found[0]
        if len(found) > 1 or self._takes_all:
            keys = np.concatenate(found)
            keys.sort()  # by row, then in the order of the rules
        places = (keys >> self._bits).astype(np.int64, copy=False)
        return Matches(places, (keys & (1 << self._bits) - 1).astype(np.int32, copy=False), stopped)

    def _keys(self, count: int, rows: Array, rules: Array | int) -> Array:
        """Return matches as numbers: the row, and behind it the position of the rule in `_bits`.

        They have 32 bits if `count` rows need no more, as these are sorted in half the time.
        """
        keys = rows << self._bits
        if count.bit_length() + self._bits < 32:
            keys = keys.astype(np.int32)
        found: Array = keys | rules
        return found

    def _choose(
        self,
        runs: tuple[RuleRun, ...],
        rows: Rows,
        mask: Array | None,
        buckets: VisitorBuckets,
        problems: Counter[Any],
    ) -> tuple[list[Array], Array | None]:
        if self._takes_all:
            return self._choose_all(runs, rows, mask, buckets, problems)
        open_rows = np.ones(rows.count, bool) if mask is None else mask.copy()
        stopped: Array | None = None
        found: list[Array] = []
        for run in runs:
            if not open_rows.any():
                break
            reached = self._reached(run, rows, open_rows, problems)
            reached, open_rows, stopped = _stop(run, rows, reached, open_rows, stopped)
            places = np.flatnonzero(reached)
            if not len(places):
                continue
            if not run.uses_allocation:
                found.append(self._keys(rows.count, places, self._places[id(run.rules[0])]))
                open_rows = open_rows & ~reached
                continue
            everyone = len(places) == rows.count
            rule = self._first_rule(run, buckets.of(run.activity_id, None if everyone else places))
            chosen = rule >= 0
            if not chosen.all():
                places, rule = places[chosen], rule[chosen]
            found.append(self._keys(rows.count, places, rule))
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
    ) -> tuple[list[Array], Array | None]:
        open_rows = np.ones(rows.count, bool) if mask is None else mask.copy()
        stopped: Array | None = None
        matched: dict[str, Array] = {}
        found: list[Array] = []
        seen: set[Condition | None] = set()  # audiences whose problems are counted
        for together in self._together(runs) if rows.has_visitor is None else [(run,) for run in runs]:
            run = together[0]
            reached = self._reached(run, rows, open_rows, Counter() if run.audience in seen else problems)
            seen.add(run.audience)
            reached, open_rows, stopped = _stop(run, rows, reached, open_rows, stopped)
            places = np.flatnonzero(reached)
            if not len(places):
                continue
            splits = [one for one in together if one.uses_allocation]
            drawn = buckets.of_each([one.activity_id for one in splits], places) if splits else ()
            simple = [one for one in splits if self._is_simple(one)]
            if len(simple) == len(together):
                rules = np.array([self._first_rule(one, b) for one, b in zip(simple, drawn, strict=True)])
                keys, is_chosen = self._keys(rows.count, places, rules), rules >= 0
                found.append(keys.ravel() if is_chosen.all() else keys[is_chosen])
                continue
            of_splits = dict(zip(map(id, splits), drawn, strict=True))
            for one in together:
                found += self._matches(one, places, of_splits.get(id(one)), matched, rows.count)
        return found, stopped

    def _together(self, runs: tuple[RuleRun, ...]) -> list[tuple[RuleRun, ...]]:
        """Group runs by audience: those that need no order among all runs, and each of the others.

        A rule whose key other runs have too takes rows from later runs, so such runs keep their
        order.
        """
        known = self._groups.get(id(runs))
        if known is None:
            groups: dict[Any, list[RuleRun]] = {}
            for place, run in enumerate(runs):
                is_free = self._is_simple(run)
                groups.setdefault(("", run.audience) if is_free else place, []).append(run)
            known = self._groups[id(runs)] = [tuple(group) for group in groups.values()]
        return known

    def _is_simple(self, run: RuleRun) -> bool:
        """Return whether a run is one split: its rules have one key, which no other run has."""
        keys = {rule.key for rule in run.rules}
        return run.uses_allocation and len(keys) == 1 and not keys & self._repeated

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
    ) -> list[Array]:
        """Return all rules of a run that match in these rows, but for keys that have matched."""
        found = []
        taken: dict[str, Array] = {}  # by rules of this run
        for rule in run.rules:
            here = places
            if drawn is not None:
                low, high = self._bounds(rule)
                inside = (drawn >= low) & (drawn <= high)
                before = taken.get(rule.key)
                if before is not None:
                    inside &= ~before
                taken[rule.key] = inside if before is None else inside | before
                here = places[inside]
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
                found.append(self._keys(count, here, self._places[id(rule)]))
        return found

    def _bounds(self, rule: CompiledRule) -> tuple[int, int]:
        """Return the first and the last bucket in the window of a rule."""
        known = self._windows.get(id(rule))
        if known is None:
            inside = np.flatnonzero(admitted(rule))
            known = (int(inside[0]), int(inside[-1])) if len(inside) else (0, -1)
            self._windows[id(rule)] = known
        return known

    def _first_rule(self, run: RuleRun, drawn: Array) -> Array:
        """Return the position of the first rule of a run that admits each bucket, or `NONE`."""
        known = self._tables.get(id(run))
        if known is None:
            windows = tuple(self._bounds(rule) for rule in run.rules)
            ranks = self._ranks.get(windows)  # many splits have the same windows
            if ranks is None:
                ranks = self._ranks[windows] = np.full(len(ALLOCATIONS), len(windows), np.int16)
                for rank, (low, high) in reversed(list(enumerate(windows))):
                    ranks[low : high + 1] = rank
            places = np.array([*(self._places[id(rule)] for rule in run.rules), NONE], np.int32)
            known = self._tables[id(run)] = ranks, places
        ranks, places = known
        return places.take(ranks.take(drawn))

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


def admitted(rule: CompiledRule) -> Array:
    """Return whether each bucket is in the window of a rule."""
    found: Array = (rule.low <= ALLOCATIONS) & (rule.high >= ALLOCATIONS)
    return found
