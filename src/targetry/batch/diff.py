"""Comparison of two artifacts over a table: who gets something else, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
import numpy as np
import pyarrow as pa

from targetry.batch.artifact import ArtifactInput
from targetry.batch.decider import Decider
from targetry.batch.engine.arrays import Array
from targetry.batch.engine.leaves import Leaves
from targetry.batch.engine.locations import REMOTE, UNKNOWN_LOCATION
from targetry.batch.engine.select import NONE, Matches
from targetry.batch.output import Placed
from targetry.batch.stream import ROWS, TableReader, batches_of
from targetry.device.artifact import read_consequence, read_rule
from targetry.device.ruleset import CompiledRule
from targetry.errors import OptionError

ChangeKind = Literal["content", "experience", "activity", "gained", "lost", "remote"]
CHANGE_KINDS: Final[tuple[ChangeKind, ...]] = get_args(ChangeKind)
Cause = Literal["rule removed", "rule added", "property", "audience", "split", "order", "content", "remote"]

PairKey = tuple[int, int, int]
"""Location, and the rules before and after by their positions in `placed`, or `NONE`."""

_MOST_COUNTED: Final = 4_000_000  # pairs of rules that are counted in a table


class Side(msgspec.Struct, frozen=True):
    """The rule that one artifact gives.

    Attributes:
        rule: Position in the artifact's list of the location.
        window: The allocations in percent that it admits.
        audience: The condition without the window, as JSON.
    """

    activity_id: str
    activity_name: str | None
    experience_id: str | None
    experience_name: str | None
    rule: int
    window: tuple[float, float]
    audience: Any


class DecisionChange(msgspec.Struct, frozen=True):
    """Rows that one rule gave before and another one gives after; None: no rule.

    Attributes:
        rule_before: The rule whose difference is the cause, as it was; None for causes without one.
        rule_after: The same rule as it is then.
        share: `rows` in percent of all rows.
        examples: Ids of visitors.
    """

    location: str
    kind: ChangeKind
    cause: Cause
    before: Side | None
    after: Side | None
    rule_before: Side | None
    rule_after: Side | None
    rows: int
    share: float
    examples: list[str]


class Diff(msgspec.Struct, frozen=True):
    """Changes for the rows of a table.

    Attributes:
        rows: Of the table.
        rows_with_error: Rows without a decision.
        changes: The largest first.
        missing: Columns that the rules read and the table lacks.
        unknown_locations: Requested locations that are in neither artifact.
    """

    rows: int
    rows_with_error: int
    changes: list[DecisionChange]
    missing: list[str]
    unknown_locations: list[str]

    def share_changed(self, allow: Collection[ChangeKind] = ()) -> float:
        """Return the largest share of rows, in percent, that changes at one location.

        Args:
            allow: Kinds of changes that do not count.
        """
        rows: Counter[str] = Counter()
        for one in self.changes:
            if one.kind not in allow:
                rows[one.location] += one.rows
        return 100 * max(rows.values(), default=0) / self.rows if self.rows else 0.0


class PairCounts(msgspec.Struct):
    """Counts of one part of a table: rows by location and pair of rules, with examples."""

    rows: int = 0
    rows_with_error: int = 0
    pairs: dict[PairKey, int] = {}
    examples: dict[PairKey, list[str]] = {}

    def add(self, other: PairCounts, examples: int) -> None:
        """Add the counts of another part, and examples up to a number."""
        self.rows += other.rows
        self.rows_with_error += other.rows_with_error
        for key, count in other.pairs.items():
            self.pairs[key] = self.pairs.get(key, 0) + count
            known = self.examples.setdefault(key, [])
            known += other.examples.get(key, [])[: max(0, examples - len(known))]


class ArtifactComparison:
    """Counts what two artifacts give for the batches of a table.

    Args:
        before: An artifact.
        after: The other one.
        examples: Number of ids that each change has.
        options: Of `Decider`, for both.
    """

    def __init__(
        self, before: ArtifactInput, after: ArtifactInput, *, examples: int = 3, **options: Any
    ) -> None:
        if type(examples) is not int or examples < 0:
            raise OptionError("examples", "must be a number of ids, 0 or more")
        leaves = Leaves()
        options = {**options, "outputs": ()}
        self.before = Decider(before, leaves=leaves, **options)
        self.after = Decider(after, leaves=leaves, **options)
        self._examples = examples
        self.counts = PairCounts()
        self._is_remote = [
            {one.unmatched in (REMOTE, UNKNOWN_LOCATION) for one in pair}
            for pair in zip(self.before.requested, self.after.requested, strict=True)
        ]
        self._activities: dict[str, int] = {}
        self._activity_of = [self._activity_codes(one.writer.placed) for one in (self.before, self.after)]
        self._identities = [_identities(one.writer.placed) for one in (self.before, self.after)]
        self._kinds: dict[PairKey, ChangeKind | None] = {}

    def _activity_codes(self, placed: list[Placed]) -> Array:
        codes = self._activities
        return np.array([codes.setdefault(one.rule.activity_id, len(codes)) for one in placed], np.int64)

    def columns_read(self, names: Any) -> list[str]:
        """Return those of the names of a table's columns that one of the artifacts reads."""
        listed = list(names)
        wanted = {*self.before.columns_read(listed), *self.after.columns_read(listed)}
        return [name for name in listed if name in wanted]

    def check_columns(self, schema: Any) -> None:
        """Check the columns of a table, as `Decider.check_columns` does."""
        for one in (self.before, self.after):
            one.check_columns(schema)

    def reader(self, source: Any) -> TableReader:
        """Return a table as record batches; `source` as of `Decider.stream`."""
        return self.before.reader(source, self.columns_read)

    def add(self, batch: Any) -> None:
        """Count the rows of a record batch."""
        for place, rows, pairs, visitors in self._pairs(batch):
            codes, found_pairs = self._distinct_pairs(place, pairs)
            for code, key, count in found_pairs:
                self.counts.pairs[key] = self.counts.pairs.get(key, 0) + count
                known = self.counts.examples.setdefault(key, [])
                if len(known) < self._examples and self._kind(key) is not None:
                    found = np.flatnonzero(codes == code)[: self._examples - len(known)]
                    known += visitors.take(pa.array(rows[found])).to_pylist()

    def _pairs(self, batch: Any) -> Iterator[tuple[int, Array, tuple[Array, Array], Any]]:
        """Yield for each location rows, with the rule of each side or `NONE`, and all visitors."""
        rows, errors = self.before.rows(batch)
        self.after.check(rows.layout)
        self.counts.rows += rows.count
        self.counts.rows_with_error += len(errors)
        both = zip(self.before.matches(rows, errors), self.after.matches(rows, errors), strict=True)
        for place, (first, second) in enumerate(both):
            bases = self.before.writer.bases[place], self.after.writer.bases[place]
            if self.before.requested[place].takes_all or self.after.requested[place].takes_all:
                where, pairs = self._joined(first, second, bases)
            else:
                where = np.arange(rows.count)
                pairs = _filled(first, rows.count, bases[0]), _filled(second, rows.count, bases[1])
            yield place, where, pairs, rows.visitors

    def _distinct_pairs(
        self, place: int, pairs: tuple[Array, Array]
    ) -> tuple[Array, list[tuple[int, PairKey, int]]]:
        """Return the pair of each row as a number; each number with its pair and count."""
        width = len(self.after.writer.placed) + 1
        codes = (pairs[0] + 1).astype(np.int64) * width + pairs[1] + 1
        counts = _counted(codes, width * (len(self.before.writer.placed) + 1))
        found = [(code, (place, code // width - 1, code % width - 1), count) for code, count in counts]
        return codes, [one for one in found if one[1][1:] != (NONE, NONE)]

    def _joined(
        self, first: Matches, second: Matches, bases: tuple[int, int]
    ) -> tuple[Array, tuple[Array, Array]]:
        """Pair the matches of each row by activity, the first with the first and so on."""
        count = max(len(self._activities), 1)
        keys = []
        ranks = []
        for side, found in enumerate((first, second)):
            key = found.rows * count + self._activity_of[side][found.rules + bases[side]]
            keys.append(key)
            ranks.append(_ranks(key))
        most = max([int(rank.max(initial=0)) for rank in ranks]) + 1
        whole = [key * most + rank for key, rank in zip(keys, ranks, strict=True)]
        union = np.union1d(*whole)
        pairs = []
        for side, found in enumerate((first, second)):
            rules = np.full(len(union), NONE, np.int32)
            rules[np.searchsorted(union, whole[side])] = found.rules + bases[side]
            pairs.append(rules)
        return union // (count * most), (pairs[0], pairs[1])

    def _sides(self, before: int, after: int) -> tuple[Placed | None, Placed | None]:
        return (
            None if before == NONE else self.before.writer.placed[before],
            None if after == NONE else self.after.writer.placed[after],
        )

    def _kind(self, key: PairKey) -> ChangeKind | None:
        if key not in self._kinds:
            self._kinds[key] = self._computed_kind(*key)
        return self._kinds[key]

    def _computed_kind(self, place: int, before: int, after: int) -> ChangeKind | None:
        first, second = self._sides(before, after)
        kind: ChangeKind | None
        if first is None or second is None:
            kind = "gained" if first is None else "lost"
        elif first.rule.activity_id != second.rule.activity_id:
            kind = "activity"
        elif first.meta("experience.id") != second.meta("experience.id"):
            kind = "experience"
        else:
            kind = None if _content(first) == _content(second) else "content"
        remote = self._is_remote[place]
        return "remote" if len(remote) > 1 or (kind is not None and True in remote) else kind

    def diff(self, counts: PairCounts | None = None) -> Diff:
        """Return the changes of what was counted, here or elsewhere."""
        counts = counts or self.counts
        changes = []
        for key, rows in counts.pairs.items():
            kind = self._kind(key)
            if kind is None:
                continue
            place, before, after = key
            first, second = self._sides(before, after)
            cause, rule = self._cause(kind, before, after)
            changes.append(
                DecisionChange(
                    self.before.locations[place],
                    kind,
                    cause,
                    None if first is None else _side(first),
                    None if second is None else _side(second),
                    None if rule is None else _side(rule[0]),
                    None if rule is None else _side(rule[1]),
                    rows,
                    100 * rows / counts.rows,
                    counts.examples.get(key, []),
                )
            )
        changes.sort(key=lambda one: (-one.rows, one.location, one.kind))
        missing = list(dict.fromkeys([*self.before.missing, *self.after.missing]))
        unknown = [one for one in self.before.unknown_locations if one in self.after.unknown_locations]
        return Diff(counts.rows, counts.rows_with_error, changes, missing, unknown)

    def _cause(self, kind: ChangeKind, before: int, after: int) -> tuple[Cause, tuple[Placed, Placed] | None]:
        """Return the first difference that explains a change, and the rule that has it."""
        if kind in ("content", "remote"):
            return kind, None
        pairs: list[tuple[Placed, Placed]] = []
        old, new = self._identities
        if before != NONE:
            if old.of[before] not in new.rules:
                return "rule removed", None
            pairs.append((self.before.writer.placed[before], new.rules[old.of[before]]))
        if after != NONE:
            if new.of[after] not in old.rules:
                return "rule added", None
            pairs.append((old.rules[new.of[after]], self.after.writer.placed[after]))
        for cause, differ in _DIFFERENCES.items():
            for pair in pairs:
                if differ(pair[0].rule) != differ(pair[1].rule):
                    return cause, pair
        return "order", None

    def changed_rows(self, source: Any) -> Any:
        """Return the rows of a table that change as a `pyarrow.RecordBatchReader`.

        Its columns are `row`, `visitor`, `location`, `kind`, and activity and experience before and
        after.

        Args:
            source: As of `Decider.stream`.
        """
        reader = self.reader(source)
        return pa.RecordBatchReader.from_batches(_CHANGED, self._changed(reader))

    def _changed(self, reader: Any) -> Iterator[Any]:
        first = 0
        for batch in batches_of(reader):
            parts = [self._changed_of(first, *one) for one in self._pairs(batch)]
            first += batch.num_rows
            yield from pa.Table.from_batches(parts).sort_by("row").combine_chunks().to_batches()

    def _changed_of(
        self, first: int, place: int, rows: Array, pairs: tuple[Array, Array], visitors: Any
    ) -> Any:
        """Return the rows that change at a location, as a record batch."""
        codes, found = self._distinct_pairs(place, pairs)
        changes = {code: self._changed_row(kind, key) for code, key, _ in found if (kind := self._kind(key))}
        places = np.flatnonzero(np.isin(codes, list(changes)))
        numbers = pa.array(np.searchsorted(list(changes), codes[places]))  # codes are sorted
        known = pa.RecordBatch.from_pylist(list(changes.values()), pa.schema(list(_CHANGED)[2:]))
        columns = [pa.array(first + rows[places]), visitors.take(pa.array(rows[places]))]
        return pa.RecordBatch.from_arrays([*columns, *known.take(numbers).columns], schema=_CHANGED)

    def _changed_row(self, kind: ChangeKind, key: PairKey) -> dict[str, str | None]:
        made: dict[str, str | None] = {"location": self.before.locations[key[0]], "kind": kind}
        for name, placed in zip(("before", "after"), self._sides(*key[1:]), strict=True):
            made[f"activity_{name}"] = None if placed is None else placed.rule.activity_id
            made[f"experience_{name}"] = None if placed is None else placed.meta("experience.id")
        return made


def made_up_visitors(count: int) -> Iterator[Any]:
    """Yield record batches of visitors who have nothing but an id, to compare splits."""
    for first in range(0, count, ROWS):
        ids = [f"visitor-{number:x}" for number in range(first, min(first + ROWS, count))]
        yield pa.record_batch({"tnt_id": ids})


_CHANGED: Final = pa.schema(
    [
        pa.field("row", pa.int64()),
        *(
            pa.field(name, pa.string())
            for name in (
                "visitor",
                "location",
                "kind",
                "activity_before",
                "experience_before",
                "activity_after",
                "experience_after",
            )
        ),
    ]
)


def diff(
    source: Any,
    before: ArtifactInput,
    after: ArtifactInput,
    *,
    examples: int = 3,
    progress: Any = None,
    **options: Any,
) -> Diff:
    """Return what changes for the rows of a table if one artifact replaces another.

    Args:
        source: As of `Decider.stream`.
        before: The artifact now.
        after: The artifact then.
        examples: Number of ids that each change has.
        progress: As of `write`.
        options: Of `Decider`, such as `client` and `mboxes`.

    Raises:
        OptionError: An option or the table is wrong.
        ArtifactError: One of the artifacts cannot be used.
    """
    comparison = ArtifactComparison(before, after, examples=examples, **options)
    reader = comparison.reader(source)
    for batch in batches_of(reader):
        comparison.add(batch)
        if progress is not None:
            progress(comparison.counts.rows, reader.rows)
    return comparison.diff()


def _counted(codes: Array, size: int) -> Iterator[tuple[int, int]]:
    """Yield each code with its count."""
    if size <= _MOST_COUNTED:
        counts = np.bincount(codes)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(codes, return_counts=True)
    yield from zip(found.tolist(), counts.tolist(), strict=True)


def _filled(matches: Matches, count: int, base: int) -> Array:
    rules = np.full(count, NONE, np.int32)
    rules[matches.rows] = matches.rules + base
    return rules


def _ranks(keys: Array) -> Array:
    """Return how many equal keys are before each key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - starts
    return ranks


_DIFFERENCES: Final[dict[Cause, Callable[[CompiledRule], Any]]] = {
    "property": lambda rule: rule.tokens,
    "audience": lambda rule: rule.audience_tree,
    "split": lambda rule: (rule.low, rule.high),
}


class _Identities(NamedTuple):
    """Identities of rules over versions of an artifact, and the rules by them.

    An identity is location, activity and experience, and the number among those alike.
    """

    of: list[tuple[Any, ...]]
    rules: dict[tuple[Any, ...], Placed]


def _identities(placed: list[Placed]) -> _Identities:
    seen: Counter[tuple[Any, ...]] = Counter()
    found = []
    for one in placed:
        alike = one.requested.kind, one.name, one.rule.activity_id, one.meta("experience.id")
        found.append((*alike, seen[alike]))
        seen[alike] += 1
    return _Identities(found, dict(zip(found, placed, strict=True)))


def _content(placed: Placed) -> bytes:
    """Return a text that differs if visitors get different content."""
    document = read_rule(placed.rule.raw)
    consequence = read_consequence(document.consequence)
    text = msgspec.json.encode(consequence)
    return text + msgspec.json.encode(document.meta) if b"${" in text else text


def _side(placed: Placed) -> Side:
    rule = placed.rule
    return Side(
        rule.activity_id,
        placed.meta("activity.name"),
        placed.meta("experience.id"),
        placed.meta("experience.name"),
        placed.position,
        rule.percent_window,
        rule.audience_tree,
    )
