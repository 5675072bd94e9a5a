"""Output columns of decisions: dictionaries over the rules, indexed by the rule of each row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from targetry.batch.engine.arrays import Array, indices
from targetry.batch.engine.engine import BatchEngine
from targetry.batch.engine.locations import ERROR, NO_VISITOR_ID, REASONS, Requested
from targetry.batch.engine.rows import Rows
from targetry.batch.engine.select import NONE, Matches
from targetry.device.artifact import read_consequence, read_rule
from targetry.device.logic.javascript import to_text
from targetry.device.personalize import MACRO, Template, geo_tokens, macro_key
from targetry.device.ruleset import CompiledRule, RuleSet
from targetry.errors import OptionError
from targetry.models import Option

TEXTS: Final = pa.dictionary(pa.int32(), pa.string())
_META: Final = {
    "activity_name": "activity.name",
    "activity_type": "activity.type",
    "experience_id": "experience.id",
    "experience_name": "experience.name",
    "offer_id": "offer.id",
}
OUTPUTS: Final = (
    "location_type",
    "activity_id",
    *_META,
    "rule_key",
    "rule",
    "allocation",
    "content_type",
    "content",
    "options",
    "event_tokens",
    "response_tokens",
    "reason",
    "error",
)
DEFAULT_OUTPUTS: Final = ("activity_id", "experience_id", "content", "reason", "error")
_TYPES: Final = {
    "rule": pa.int32(),
    "allocation": pa.float64(),
    "event_tokens": pa.list_(pa.string()),
    "response_tokens": pa.map_(pa.string(), pa.string()),
    "error": pa.string(),
}
_RENDERED: Final = frozenset({"content_type", "content", "options", "response_tokens"})


class Placed(NamedTuple):
    """A rule at the location that it was requested for.

    `position` is its index in the artifact's list of its location, `name` that location.
    """

    rule: CompiledRule
    requested: Requested
    name: str | None
    position: int

    def meta(self, name: str) -> str | None:
        """Return an entry of the rule's meta as text."""
        value = self.rule.meta.get(name)
        return None if value is None else to_text(value)


def placed_rules(rules: RuleSet, requested: Sequence[Requested]) -> list[Placed]:
    """Return the rules of the requested locations, one location behind the other."""
    unusable: dict[tuple[str, str], set[int]] = {}
    for bad in rules.unusable:
        unusable.setdefault((bad.location_type, bad.location), set()).add(bad.position)
    found: list[Placed] = []
    for one in requested:
        if one.kind == "view" and one.name is None:
            groups = [("view", name, view.rules) for name, view in rules.views.items()]
        else:
            kind = "view" if one.kind == "view" else "mbox"
            groups = [(kind, one.name or rules.global_mbox, one.location.rules)]
        for kind, name, group in groups:
            skipped = unusable.get((kind, name), set())
            free = (place for place in range(len(group) + len(skipped)) if place not in skipped)
            found += [Placed(rule, one, name, place) for rule, place in zip(group, free, strict=False)]
    return found


class Entries(NamedTuple):
    """Rows of output: row of the input, location, rule (`NONE`: no rule) and reason."""

    rows: Array
    locations: Array
    rules: Array
    reasons: Array


class OutputWriter:
    """Writes the output columns of an engine's decisions.

    Args:
        engine: The engine.
        outputs: Names of the columns.
        is_prefetch: The mode of mboxes and page load.
    """

    def __init__(self, engine: BatchEngine, outputs: Sequence[str], is_prefetch: bool) -> None:
        for name in outputs:
            if name not in OUTPUTS:
                raise OptionError("outputs", f"there is no output {name!r}; known are {', '.join(OUTPUTS)}")
        self.outputs = tuple(dict.fromkeys(outputs))
        self._engine = engine
        self._is_prefetch = is_prefetch
        self.placed: list[Placed] = placed_rules(engine.rules, engine.requested)
        counts = [len(one.location.rules) for one in engine.requested]
        self.bases = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self._known: dict[str, tuple[Array, Any]] = {}
        self._shared: tuple[Array, Array] | None = None

    # ── which rules ───

    def entries(self, rows: Rows, matches: Sequence[Matches], errors: Sequence[int]) -> list[Entries]:
        """Return the output rows of each location, sorted by the input's rows."""
        everyone = np.arange(rows.count)
        return [self._entries(place, everyone, found, errors) for place, found in enumerate(matches)]

    def _entries(self, place: int, everyone: Array, found: Matches, errors: Sequence[int]) -> Entries:
        count = len(everyone)
        requested = self._engine.requested[place]
        reasons = np.full(count, requested.unmatched, np.int8)
        if found.stopped is not None:
            reasons[found.stopped] = NO_VISITOR_ID
        rules = found.rules + self.bases[place]
        if not requested.takes_all:
            chosen = np.full(count, NONE, np.int32)
            chosen[found.rows] = rules
            reasons[found.rows] = requested.matched
            reasons[list(errors)] = ERROR
            return Entries(everyone, _repeated(place, count), chosen, reasons)
        reasons[list(errors)] = ERROR
        has_rest = np.ones(count, bool)
        has_rest[found.rows] = False
        if found.stopped is not None:
            has_rest |= found.stopped
        rest = np.flatnonzero(has_rest)
        if not len(rest):
            why = np.full(len(found.rows), requested.matched, np.int8)
            return Entries(found.rows, _repeated(place, len(found.rows)), rules, why)
        places = np.searchsorted(found.rows, rest, "right")  # behind the matches of the same row
        count = len(found.rows) + len(rest)
        return Entries(
            np.insert(found.rows, places, rest),
            _repeated(place, count),
            np.insert(rules, places, np.int32(NONE)),
            np.insert(np.full(len(found.rows), requested.matched, np.int8), places, reasons[rest]),
        )

    def in_rows(self, entries: list[Entries]) -> Entries:
        """Return the output rows of all locations, sorted by the input's rows."""
        if len(entries) == 1:
            return entries[0]
        if not any(one.takes_all for one in self._engine.requested):
            rules = np.stack([one.rules for one in entries], axis=1, dtype=np.intp).ravel()
            reasons = np.stack([one.reasons for one in entries], axis=1).ravel()
            return Entries(*self._each_location(len(entries[0].rows)), rules, reasons)
        rows, locations, rules, reasons = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        order = np.argsort(rows, kind="stable")
        return Entries(rows[order], locations[order], rules[order], reasons[order])

    def _each_location(self, count: int) -> tuple[Array, Array]:
        """Return rows and locations of a row of output for each location of each row.

        Batches of one size have the same, so they share the arrays of the last.
        """
        shared = self._shared
        if shared is None or len(shared[0]) != count * len(self._engine.requested):
            locations = len(self._engine.requested)
            shared = (
                np.repeat(np.arange(count), locations),
                np.tile(np.arange(locations, dtype=np.int32), count),
            )
            for one in shared:
                one.setflags(write=False)
            self._shared = shared
        return shared

    # ── columns ───

    def type_of(self, name: str) -> Any:
        """Return the Arrow type of an output."""
        if name in ("content", "options", "content_type") and self._is_rendered(name):
            return pa.string()
        return _TYPES.get(name, TEXTS)

    def column(self, name: str, entries: Entries, rows: Rows, errors: dict[int, str]) -> Any:
        """Return an output column for these rows of output."""
        if name == "reason":
            return _dictionary(entries.reasons, pa.array(REASONS))
        if name == "error":
            return self._errors(entries, errors)
        if name == "location_type":
            kinds = [one.kind for one in self._engine.requested]
            return _dictionary(*_coded(kinds, entries.locations))
        if name == "allocation":
            return self._allocations(entries, rows)
        if name == "rule":
            positions = np.array([one.position for one in self.placed] + [0], np.int32)
            return pa.array(positions[entries.rules], mask=entries.rules == NONE)
        if self._is_rendered(name):
            return self._rendered_column(name, entries, rows)
        codes, values = self._constant(name)
        if name in ("event_tokens", "response_tokens"):
            chosen = codes[entries.rules]
            return values.take(pa.array(chosen, mask=chosen < 0))
        return _dictionary(codes[entries.rules], values)

    def location_column(self, entries: Entries) -> Any:
        """Return the names of the locations; null for a row of all views without a match."""
        names = [one.name if one.kind != "pageLoad" else one.facts_name for one in self._engine.requested]
        if not any(one.kind == "view" and one.name is None for one in self._engine.requested):
            return _dictionary(*_coded(names, entries.locations))
        codes, values = _coded([*names, *(one.name for one in self.placed)], None)
        every, own = codes[: len(names)], codes[len(names) :]
        found = every[entries.locations]
        matched = entries.rules != NONE
        is_view = np.array([one.kind == "view" for one in self._engine.requested])[entries.locations]
        found[matched & is_view] = own[entries.rules[matched & is_view]]
        return _dictionary(found, values)

    def _errors(self, entries: Entries, errors: dict[int, str]) -> Any:
        if not errors:
            return pa.nulls(len(entries.rows), pa.string())
        return pa.array([errors.get(row) for row in entries.rows.tolist()], pa.string())

    def _allocations(self, entries: Entries, rows: Rows) -> Any:
        found = np.zeros(len(entries.rules))
        missing = np.ones(len(entries.rules), bool)
        splits: dict[str, list[int]] = {}
        for number, one in enumerate(self.placed):
            if one.rule.has_window or one.rule.test is not None:
                splits.setdefault(one.rule.activity_id, []).append(number)
        buckets = self._engine.buckets(rows)
        for activity, numbers in splits.items():
            here = np.flatnonzero(np.isin(entries.rules, numbers))
            if len(here):
                found[here] = buckets.of(activity)[entries.rows[here]] / 100
                missing[here] = False
        return pa.array(found, mask=missing)

    def _constant(self, name: str) -> tuple[Array, Any]:
        """Return the code of each rule (the last: no rule) in the values of an output."""
        known = self._known.get(name)
        if known is None:
            values = [self._value(name, one) for one in self.placed]
            if name in ("event_tokens", "response_tokens"):
                codes = np.arange(len(values) + 1, dtype=np.int32)
                codes[-1] = -1
                known = codes, pa.array(values, self.type_of(name))
            else:
                known = _coded([*values, None], None)
            self._known[name] = known
        return known

    def _value(self, name: str, placed: Placed) -> Any:
        rule = placed.rule
        if name == "activity_id":
            return rule.activity_id or None
        if name == "rule_key":
            return rule.key
        if name in _META:
            return placed.meta(_META[name])
        if name == "event_tokens":
            return list(self._template(placed).event_tokens)
        return self._rendered(name, placed, None, {})

    def _template(self, placed: Placed) -> Template:
        return placed.rule.template or self._engine.rules.template(placed.rule)

    # ── content ───

    def _is_rendered(self, name: str) -> bool:
        """Return whether an output depends on more than the rule."""
        if name not in _RENDERED or name == "content_type":
            return False
        if name != "content" and self._engine.rules.geo_tokens:
            return True
        return name != "response_tokens" and any(self._macros.values())

    @cached_property
    def _macros(self) -> dict[int, tuple[str, ...]]:
        """The names in the macros of each rule whose content is not constant, by its number."""
        return {
            number: _macro_names(one.rule)
            for number, one in enumerate(self.placed)
            if not all(option.is_constant for option in self._options_of(one))
        }

    @cached_property
    def macro_parameters(self) -> frozenset[str]:
        """The parameters that macros of contents can read."""
        return frozenset(name for names in self._macros.values() for name in names)

    def _options_of(self, placed: Placed) -> Any:
        template = self._template(placed)
        is_prefetch = self._is_prefetch or placed.requested.kind == "view"
        return template.prefetch if is_prefetch else template.execute

    def _rendered_column(self, name: str, entries: Entries, rows: Rows) -> Any:
        requests = self._engine.requests(rows)
        tokens = self._engine.rules.geo_tokens if name != "content" else ()
        parameters = {one.name: one for one in rows.layout.parameters}
        known: dict[Any, Any] = {}
        values: list[Any] = []
        columns = {
            parameter: requests.parameter_values(parameter)
            for names in self._macros.values()
            for parameter in names
            if parameter in parameters
        }
        for row, number in zip(entries.rows.tolist(), entries.rules.tolist(), strict=True):
            if number == NONE:
                values.append(None)
                continue
            macros = self._macros.get(number, ())
            geo = geo_tokens(requests.geo(row), tokens) if tokens else {}
            read = [columns[one][row] for one in macros if one in columns]
            key = number, repr(geo), repr(read)  # as 1 and True, 0.0 and -0.0 are equal
            if key not in known:
                placed = self.placed[number]
                facts = requests.location_facts(row, placed.requested, requests.facts(row, ""))
                known[key] = self._rendered(name, placed, facts, geo)
            values.append(known[key])
        return pa.array(values, self.type_of(name))

    def _rendered(self, name: str, placed: Placed, facts: Any, geo: dict[str, Any]) -> Any:
        template, templates = self._template(placed), self._options_of(placed)
        if name == "response_tokens":
            tokens = template.tokens | geo
            return [(key, to_text(value)) for key, value in tokens.items()] if templates else None
        if name == "options":
            return msgspec.json.encode(template.options(templates, facts, geo)).decode()
        if len(templates) != 1:
            return None
        if name == "content_type":
            return templates[0].type
        return content_text(template.options(templates, facts, geo)[0])


def content_text(option: Option) -> str | None:
    """Return the content of an option: a text as it is, anything else as JSON."""
    content = option.content
    if content is None or isinstance(content, str):
        return content
    return msgspec.json.encode(content).decode()


def _macro_names(rule: CompiledRule) -> tuple[str, ...]:
    text = msgspec.json.encode(read_consequence(read_rule(rule.raw).consequence).options).decode()
    return tuple(dict.fromkeys(macro_key(match.group(1)) for match in MACRO.finditer(text)))


def _coded(texts: Sequence[str | None], codes: Array | None) -> tuple[Array, Any]:
    """Return texts as codes of their distinct values, -1 for None; those of `codes`, if given."""
    numbers: dict[str, int] = {}
    own = [NONE if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    found = np.array(own, np.int32)
    if codes is not None:
        is_same = own == list(range(len(own)))
        found = codes if is_same else found.take(codes)
    return found, pa.array(list(numbers), pa.string())


def _repeated(place: int, count: int) -> Array:
    """Return a number as often as wanted, in the memory of one."""
    return np.broadcast_to(np.int32(place), count)


def _dictionary(codes: Array, values: Any) -> Any:
    return pa.DictionaryArray.from_arrays(indices(codes), values, safe=False)
