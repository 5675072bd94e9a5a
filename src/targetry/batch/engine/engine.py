"""Columnar engine: the rules of one artifact, chosen for every row of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from targetry.batch.engine.arrays import Array
from targetry.batch.engine.buckets import VisitorBuckets
from targetry.batch.engine.distinct import distinct_of
from targetry.batch.engine.leaves import Leaves, Work
from targetry.batch.engine.locations import Requested
from targetry.batch.engine.requests import RowRequests
from targetry.batch.engine.rows import Rows
from targetry.batch.engine.select import Audiences, Chooser, Matches
from targetry.device.logic.facts import WORK_PER_LOCATION, WORK_PER_REQUEST
from targetry.device.ruleset import RuleSet

_ORDER: Final = {"mbox": 0, "view": 1, "pageLoad": 2}  # in which a prefetch decides


class EngineCounts(msgspec.Struct):
    """Counts of an engine.

    Attributes:
        rows_by_scalar_engine: Pairs of row and location that were decided one by one.
        problems: Rows by activity and reason of a condition that could not be evaluated.
    """

    rows_by_scalar_engine: int = 0
    problems: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)


class BatchEngine:
    """The rules of one artifact.

    Args:
        rules: The artifact.
        client: The client code.
        requested: The locations.
        leaves: Shared with other engines for the same tables.
        token: The property token of all rows.
        is_prefetch: The mode of mboxes and page load.
        exact: Decide every row by the scalar engine.
    """

    def __init__(
        self,
        rules: RuleSet,
        client: str,
        requested: Sequence[Requested],
        leaves: Leaves,
        *,
        token: str | None,
        is_prefetch: bool,
        exact: bool,
    ) -> None:
        self.rules = rules
        self.requested = requested
        self.counts = EngineCounts()
        self._client = client
        self._token = token
        self._is_prefetch = is_prefetch
        self._exact = exact
        audiences = Audiences(leaves)
        self.choosers = [Chooser(one.location, one.name, one.takes_all, audiences) for one in requested]
        self._places = [{id(rule): i for i, rule in enumerate(one.location.rules)} for one in requested]
        self._activities = [
            activity
            for one, chooser in zip(requested, self.choosers, strict=True)
            if not one.takes_all
            for activity in chooser.split_activities
        ]

    def requests(self, rows: Rows) -> RowRequests:
        """Return the rows as requests."""
        return rows.once(
            ("requests", id(self)),
            lambda: RowRequests(rows, self.requested, self._token, self._is_prefetch),
        )

    def buckets(self, rows: Rows) -> VisitorBuckets:
        """Return the buckets of the visitors of a batch."""
        return rows.once(("buckets", self._client), lambda: VisitorBuckets(self._client, rows.visitors))

    def choose(self, rows: Rows, errors: Sequence[int]) -> list[Matches]:
        """Return the matches of each location; rows with an error have none."""
        valid = None
        if errors:
            valid = np.ones(rows.count, bool)
            valid[list(errors)] = False
        places = range(len(self.requested))
        by_row = [place for place in places if self._exact or not self.choosers[place].is_columnar]
        columnar = [place for place in places if place not in by_row]
        heavy = self._heavy(rows, columnar, len(by_row)) if columnar else None
        if heavy is not None:
            light = ~heavy if valid is None else ~heavy & valid
            heavy = heavy if valid is None else heavy & valid
            found = self._by_columns(rows, columnar, light)
            found |= self._by_rows(rows, by_row, np.flatnonzero(light))
            all_of_heavy = self._by_rows(rows, list(places), np.flatnonzero(heavy))
            return [_merged(found[place], all_of_heavy[place]) for place in places]
        found = self._by_columns(rows, columnar, valid)
        if by_row:
            chosen = np.arange(rows.count) if valid is None else np.flatnonzero(valid)
            found |= self._by_rows(rows, by_row, chosen)
        return [found[place] for place in places]

    def _by_columns(self, rows: Rows, places: list[int], valid: Array | None) -> dict[int, Matches]:
        buckets = self.buckets(rows)
        if places and len(set(self._activities)) > 1:
            buckets.prepare(self._activities)
        tokens = self._tokens(rows, valid)
        problems = self.counts.problems
        return {place: self.choosers[place].choose(rows, tokens, buckets, problems) for place in places}

    def _tokens(self, rows: Rows, valid: Array | None) -> list[tuple[str | None, Array | None]]:
        position = rows.layout.property_token
        if position is None:
            return [(self._token, valid)]
        codes, values, _ = distinct_of(rows.batch.column(position))
        found = []
        for code, token in enumerate(values):
            mask = codes == code
            if valid is not None:
                mask &= valid
            if mask.any():
                found.append((token or self._token, mask))
        return found

    def _heavy(self, rows: Rows, columnar: list[int], by_row: int) -> Array | None:
        """Return the rows whose conditions may cost more work than a decision may; None: none."""
        every = [self.choosers[place].work(rows) for place in columnar]
        most = [sum(one.most for one in works) for works in every]
        rest = WORK_PER_REQUEST - by_row * WORK_PER_LOCATION
        if max(most) <= WORK_PER_LOCATION and sum(most) <= rest:
            return None
        sums = [_sum(works, rows.count) for works in every]
        heavy: Array = np.sum(sums, axis=0) > rest
        for one in sums:
            heavy |= one > WORK_PER_LOCATION
        return heavy if heavy.any() else None

    def _by_rows(self, rows: Rows, places: list[int], chosen: Array) -> dict[int, Matches]:
        """Decide locations of some rows by the scalar engine."""
        if not places:
            return {}
        if self._is_prefetch:
            places = sorted(places, key=lambda place: _ORDER[self.requested[place].kind])
        requests, requested = self.requests(rows), [self.requested[place] for place in places]
        found: dict[int, tuple[list[int], list[int]]] = {place: ([], []) for place in places}
        stopped = {place: np.zeros(rows.count, bool) for place in places}
        for row in chosen.tolist():
            matches, facts = requests.decide(row, self._client, requested)
            for failure in facts.failures:
                self.counts.problems[failure.activity_id, failure.reason] += 1
            for place, (rules, is_stopped) in zip(places, matches, strict=True):
                stopped[place][row] = is_stopped
                for rule in rules:
                    found[place][0].append(row)
                    found[place][1].append(self._places[place][id(rule)])
        self.counts.rows_by_scalar_engine += len(chosen) * len(places)
        return {
            place: Matches(
                np.array(found[place][0], np.int64), np.array(found[place][1], np.int32), stopped[place]
            )
            for place in places
        }


def _sum(works: list[Work], count: int) -> Array:
    total = np.zeros(count, np.int64)
    for codes, steps, _ in works:
        total += steps[codes] if codes is not None else steps[0]
    return total


def _merged(first: Matches, second: Matches) -> Matches:
    rows = np.concatenate([first.rows, second.rows])
    order: Any = np.argsort(rows, kind="stable")
    stopped = first.stopped
    if stopped is None or second.stopped is None:
        stopped = second.stopped if stopped is None else stopped
    else:
        stopped = stopped | second.stopped
    return Matches(rows[order], np.concatenate([first.rules, second.rules])[order], stopped)
