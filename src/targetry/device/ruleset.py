"""Rule set: an artifact compiled for decisions.

A rule's condition is split into a window of the activity's allocation and an audience. The window
becomes two numbers. Audiences with the same text become one function, so the experiences of an
activity, and activities with a common audience, share one evaluation. Rules are indexed by location
and, within a location, kept in the artifact's order as runs of rules with the same audience.

A rule that cannot be compiled never matches, and its location counts as remote.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from targetry._runtime.lazy_import import importing
from targetry.device.artifact import (
    Artifact,
    RuleDocument,
    artifact_text,
    read_artifact,
    read_consequence,
    read_json,
    read_rule,
)
from targetry.device.artifact_limits import (
    MAX_COMPILED_NODES,
    MAX_ENTRIES,
    MAX_RULE_TOKENS,
    LimitExceededError,
    check_count,
    check_values,
)
from targetry.device.logic.compiler import MAX_NODES, Compiled, Condition, LogicError, compile_logic
from targetry.device.personalize import Template, geo_token_attributes
from targetry.errors import ArtifactError

_MOST_PROPERTIES: Final = 64  # per location, whose runs are cached
_MOST_UNPICKLED: Final = 8  # rule sets that a process keeps
_LOWEST, _HIGHEST = 0.0, 99.99  # the ends of the allocation's scale
_ALL_PROPERTIES: Final[frozenset[str]] = frozenset()
_MOST_VALUES: Final = 4 * MAX_NODES  # a condition of more values has more nodes
_ALLOCATION = ({"var": "allocation"}, {"var": ["allocation"]})


Reason = Literal["static", "targeting_match", "split", "default"]
"""Why a rule matched.

Without any condition, by its audience, by the allocation, or after others that did not match.
"""


class UnusableRule(NamedTuple):
    """A rule that never matches.

    `position` is its index in the list of the location (mbox or view).
    """

    location_type: str
    location: str
    position: int
    reason: str

    def __str__(self) -> str:
        return f"rule {self.position} of {self.location_type} {self.location!r}: {self.reason}"


class CompiledRule:
    """One experience, location and offer of an activity, compiled.

    The rule matches when `audience` (None: every visitor) is true, the allocation is in `low` to
    `high` (always, unless `has_window`), and `test` is true: the part of the condition that uses
    the allocation in any other way.
    """

    __slots__ = (
        "activity_id",
        "audience",
        "has_window",
        "high",
        "key",
        "low",
        "raw",
        "template",
        "test",
        "tokens",
    )

    def __init__(
        self, raw: msgspec.Raw, key: str, activity_id: str, tokens: frozenset[str], window: AllocationWindow
    ) -> None:
        self.raw = raw
        self.key = key
        self.activity_id = activity_id
        self.tokens = tokens
        self.low, self.high = window
        self.has_window = window.low > _LOWEST or window.high < _HIGHEST
        self.audience: Condition | None = None
        self.test: Condition | None = None
        self.template: Template | None = None  # built at the first match

    @property
    def meta(self) -> dict[str, Any]:
        """The meta, decoded at each access."""
        return read_rule(self.raw).meta

    @property
    def condition(self) -> Any:
        """The condition as the artifact has it, decoded at each access."""
        return read_json(read_rule(self.raw).condition)

    @property
    def audience_tree(self) -> Any:
        """The condition without its windows, decoded at each access; True for every visitor."""
        _, others = split_window(self.condition)
        return (others[0] if len(others) == 1 else {"and": others}) if others else True

    @property
    def percent_window(self) -> tuple[float, float]:
        """The window in percent, 0 to 100, rounded so that `<` and `<=` give the same numbers."""
        return max(0.0, round(self.low, 4)), min(100.0, round(self.high, 4))


class AllocationWindow(NamedTuple):
    """The allocations in percent, both ends included, that a condition admits."""

    low: float = -math.inf
    high: float = math.inf


Run: TypeAlias = tuple[Condition | None, str, bool, tuple[CompiledRule, ...]]
"""Adjacent rules of one activity with one audience: audience, activity id, use of the allocation.

If the allocation is used, it decides which of the rules match; otherwise every allocation is in the
windows of all. A plain tuple, as named ones are slow to unpack.
"""


class Location:
    """The rules of one mbox or view."""

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self.rules = tuple(rules)
        self.unrestricted = _runs(rule for rule in self.rules if not rule.tokens)
        self.has_conditions = any(rule.audience or rule.test for rule in self.rules)  # besides windows
        self._tokens = frozenset(token for rule in self.rules for token in rule.tokens)
        self._by_token: dict[str, tuple[Run, ...]] = {}
        self.unrestricted_reasons = _reasons(self.unrestricted)
        self._reasons: dict[str, dict[CompiledRule, Reason]] = {}

    def runs(self, property_token: str | None) -> tuple[Run, ...]:
        """Return the rules for a request with this property token.

        These are the rules without property tokens and those with this token; without a token only
        the former (`unrestricted`).
        """
        if property_token is None or property_token not in self._tokens:
            return self.unrestricted
        runs = self._by_token.get(property_token)
        if runs is None:
            runs = _runs(rule for rule in self.rules if not rule.tokens or property_token in rule.tokens)
            if len(self._by_token) < _MOST_PROPERTIES:  # bounds memory: rules × properties
                self._by_token[property_token] = runs
        return runs

    def reason(self, rule: CompiledRule, property_token: str | None) -> Reason:
        """Return why a rule that matched for this property token did so.

        Computed once for each set of rules.
        """
        if property_token is None or property_token not in self._tokens:
            return self.unrestricted_reasons[rule]
        reasons = self._reasons.get(property_token)
        if reasons is None:
            reasons = _reasons(self.runs(property_token))
            if len(self._reasons) < _MOST_PROPERTIES:
                self._reasons[property_token] = reasons
        return reasons[rule]


def _reasons(runs: tuple[Run, ...]) -> dict[CompiledRule, Reason]:
    reasons: dict[CompiledRule, Reason] = {}
    for position, (audience, _, uses_allocation, rules) in enumerate(runs):
        for rule in rules:
            if uses_allocation:
                reasons[rule] = "split"
            elif audience is not None or rule.test is not None:
                reasons[rule] = "targeting_match"
            else:
                reasons[rule] = "static" if position == 0 else "default"
    return reasons


def _runs(rules: Iterable[CompiledRule]) -> tuple[Run, ...]:
    runs: list[list[CompiledRule]] = []
    for rule in rules:
        if (
            runs
            and (first := runs[-1][0]).audience is rule.audience
            and first.activity_id == rule.activity_id
        ):
            runs[-1].append(rule)
        else:
            runs.append([rule])
    return tuple(_run(together) for together in runs)


def _run(rules: list[CompiledRule]) -> Run:
    uses_allocation = any(rule.has_window for rule in rules)
    return rules[0].audience, rules[0].activity_id, uses_allocation, tuple(rules)


EMPTY_LOCATION: Final = Location(())


class RuleSet:
    """A compiled artifact. Immutable: a new artifact is a new rule set.

    It pickles to the artifact's text; a process compiles equal texts once.
    """

    def __init__(
        self,
        text: bytes,
        artifact: Artifact,
        mboxes: dict[str, Location],
        views: dict[str, Location],
        unusable: tuple[UnusableRule, ...],
    ) -> None:
        self._text = text
        self.version = artifact.version or ""
        self.global_mbox = artifact.global_mbox
        self.geo_targeting_enabled = artifact.geo_targeting_enabled
        self.meta = artifact.meta
        self.response_tokens = frozenset(artifact.response_tokens)
        self.geo_tokens = geo_token_attributes(self.response_tokens)
        self.mboxes = mboxes
        self.views = views
        self.all_views = Location(rule for location in views.values() for rule in location.rules)
        self.unusable = unusable
        self.local_mboxes = frozenset(artifact.local_mboxes)
        self.local_views = frozenset(artifact.local_views)
        self.remote_mboxes = _with_unusable(artifact.remote_mboxes, "mbox", unusable)
        self.remote_views = _with_unusable(artifact.remote_views, "view", unusable)
        self.decidable_mboxes = decidable_locations(mboxes, self.local_mboxes, self.remote_mboxes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._text,)

    def __copy__(self) -> RuleSet:
        """Return another rule set with the same parts; a pickled one is shared by the process."""
        copied = RuleSet.__new__(RuleSet)
        vars(copied).update(vars(self))
        return copied

    @property
    def generated_at(self) -> str | None:
        """The time at which the artifact was generated, as its meta has it."""
        value = self.meta.get("generatedAt")
        return value if isinstance(value, str) else None

    @cached_property
    def revision(self) -> str:
        """The time at which the artifact was generated, else twelve digits of its digest."""
        if (generated_at := self.generated_at) is not None:
            return generated_at
        with importing():
            import hashlib  # few artifacts need it

        return hashlib.blake2b(self._text, digest_size=6).hexdigest()

    @cached_property
    def experiences(self) -> dict[str, tuple[str, ...]]:
        """The ids of the experiences by activity, numbers in their order."""
        found: dict[str, set[str]] = {}
        for location in (*self.mboxes.values(), *self.views.values()):
            for rule in location.rules:
                experience = rule.meta.get("experience.id")
                if rule.activity_id and experience is not None:
                    found.setdefault(rule.activity_id, set()).add(str(experience))
        return {activity: tuple(sorted(ids, key=_by_number)) for activity, ids in found.items()}

    def document(self) -> dict[str, Any]:
        """Return the artifact as a new dict."""
        document: dict[str, Any] = read_json(self._text)
        return document

    def mbox(self, name: str) -> Location:
        """Return the rules of an mbox; an empty location if the artifact does not have it."""
        return self.mboxes.get(name, EMPTY_LOCATION)

    def view(self, name: str | None) -> Location:
        """Return the rules of a view; those of all views if `name` is None or empty."""
        return self.views.get(name, EMPTY_LOCATION) if name else self.all_views

    def template(self, rule: CompiledRule) -> Template:
        """Return the template of a rule.

        Two threads may build it at once; the results are equal.
        """
        template = rule.template
        if template is None:
            document = read_rule(rule.raw)
            consequence = read_consequence(document.consequence)
            template = rule.template = Template(consequence, document.meta, self.response_tokens)
        return template


def decidable_locations(
    mboxes: Mapping[str, Location], local: Iterable[str], remote: Container[str]
) -> dict[str, Location]:
    """Return the locations of the mboxes that are decided on device, by name."""
    return {name: mboxes.get(name, EMPTY_LOCATION) for name in local if name not in remote}


def _by_number(text: str) -> tuple[bool, int, str]:
    return not text.isdecimal(), len(text), text


def changed_mboxes(old: RuleSet, new: RuleSet) -> list[str]:
    """Return the sorted names of the mboxes whose rules differ, compared byte by byte."""
    decidable = old.decidable_mboxes.keys() ^ new.decidable_mboxes.keys()
    names = old.mboxes.keys() | new.mboxes.keys() | decidable
    return sorted(name for name in names if _rules_text(old, name) != _rules_text(new, name))


def _rules_text(rules: RuleSet, name: str) -> tuple[bool, list[bytes]]:
    return name in rules.decidable_mboxes, [bytes(rule.raw) for rule in rules.mbox(name).rules]


def _with_unusable(
    names: list[str], location_type: str, unusable: tuple[UnusableRule, ...]
) -> dict[str, None]:
    """Return the names as the keys of a dict, an ordered set."""
    hit = (rule.location for rule in unusable if rule.location_type == location_type)
    return dict.fromkeys([*names, *hit])


def compile_artifact(
    source: bytes | str | Mapping[str, Any],
    *,
    organization_id: str | None = None,
    max_compiled_nodes: int = MAX_COMPILED_NODES,
) -> RuleSet:
    """Decode, check and compile an artifact.

    Args:
        source: JSON text, the obfuscated format `rules.bin`, or the parsed document.
        organization_id: The key of an obfuscated artifact.
        max_compiled_nodes: Limit on the nodes of conditions of different shape.

    Returns:
        The rule set; rules that cannot be compiled are in its `unusable`.

    Raises:
        ArtifactError: The artifact as a whole cannot be read, has an unsupported version
            (`ArtifactVersionError`) or exceeds a limit of `artifact_limits`.
    """
    text = artifact_text(source, organization_id=organization_id)
    artifact = read_artifact(text)
    compiler = _Compiler(max_compiled_nodes)
    try:
        mboxes = compiler.locations("mbox", artifact.rules.mboxes)
        views = compiler.locations("view", artifact.rules.views)
    except LimitExceededError as error:
        raise ArtifactError(str(error)) from None
    return RuleSet(text, artifact, mboxes, views, tuple(compiler.unusable))


@lru_cache(maxsize=_MOST_UNPICKLED)
def _unpickled(text: bytes) -> RuleSet:
    return compile_artifact(text)


class _SplitCondition(NamedTuple):
    """The parts of a condition, as the fields of a compiled rule."""

    window: AllocationWindow
    audience: Condition | None
    test: Condition | None


class _Compiler:
    def __init__(self, max_nodes: int) -> None:
        self.unusable: list[UnusableRule] = []
        self._max_nodes = max_nodes
        self._conditions: dict[bytes, _SplitCondition] = {}
        self._audiences: dict[bytes, Condition] = {}
        self._shapes: set[int] = set()  # ids of code objects, which the conditions keep alive
        self._nodes = 0  # of these shapes
        self._token_sets: dict[frozenset[str], frozenset[str]] = {}
        self._tokens = 0  # in these sets
        self._reasons: dict[str, str] = {}

    def locations(self, location_type: str, rules: dict[str, list[msgspec.Raw]]) -> dict[str, Location]:
        return {name: Location(self._usable(location_type, name, raws)) for name, raws in rules.items()}

    def _usable(self, location_type: str, name: str, raws: list[msgspec.Raw]) -> Iterable[CompiledRule]:
        for position, raw in enumerate(raws):
            try:
                yield self._rule(raw)
            except (ArtifactError, LogicError) as error:
                text = str(error)
                reason = self._reasons.setdefault(text, text)  # one string for all rules with this cause
                self.unusable.append(UnusableRule(location_type, name, position, reason))

    def _rule(self, raw: msgspec.Raw) -> CompiledRule:
        if memoryview(raw).nbytes > MAX_ENTRIES:
            _check_rule(raw)
        document = read_rule(raw, is_exact=False)
        read_consequence(document.consequence, is_exact=False)
        window, audience, test = self._condition(document.condition)
        activity_id = _activity_id(document)
        key = document.rule_key if document.rule_key is not None else activity_id
        rule = CompiledRule(raw, str(key), activity_id or "", self._property_tokens(document), window)
        rule.audience, rule.test = audience, test
        if not activity_id and (rule.has_window or test is not None):
            raise ArtifactError("the rule splits by allocation, but its meta has no `activity.id`")
        return rule

    def _property_tokens(self, document: RuleDocument) -> frozenset[str]:
        """Return the property tokens, empty for all properties; equal sets are one object."""
        if not document.property_tokens:
            return _ALL_PROPERTIES
        if len(document.property_tokens) > MAX_RULE_TOKENS:
            raise ArtifactError(f"the rule has more than {MAX_RULE_TOKENS} property tokens")
        tokens = frozenset(document.property_tokens)
        known = self._token_sets.get(tokens)
        if known is None:
            self._tokens += len(tokens)
            check_count("the artifact's rules have", self._tokens, "property tokens")
            known = self._token_sets[tokens] = tokens
        return known

    def _condition(self, raw: msgspec.Raw) -> _SplitCondition:
        text = bytes(raw)
        known = self._conditions.get(text)
        if known is None:
            if len(text) > _MOST_VALUES:
                _check_condition(text)
            known = self._conditions[text] = self._split_condition(read_json(raw, is_exact=False))
        return known

    def _split_condition(self, tree: Any) -> _SplitCondition:
        window, others = split_window(tree)
        if not others:
            return _SplitCondition(window, None, None)
        rest = others[0] if len(others) == 1 else {"and": others}
        compiled = compile_logic(rest)
        self._count_shape(compiled)
        if compiled.needs_allocation:
            return _SplitCondition(window, None, compiled.evaluate)
        text = msgspec.json.encode(rest)
        return _SplitCondition(window, self._audiences.setdefault(text, compiled.evaluate), None)

    def _count_shape(self, compiled: Compiled) -> None:
        shape = id(compiled.code)
        if shape not in self._shapes:
            self._shapes.add(shape)
            self._nodes += compiled.nodes
            check_count(
                "the artifact's conditions have", self._nodes, "nodes in different shapes", self._max_nodes
            )


def _check_rule(raw: msgspec.Raw) -> None:
    """Raise `ArtifactError` for a rule that is too large to decode."""
    try:
        check_values("the rule", raw, MAX_ENTRIES)
    except LimitExceededError as error:
        raise ArtifactError(str(error)) from None


def _check_condition(text: bytes) -> None:
    try:
        check_values("the condition", text, _MOST_VALUES)
    except LimitExceededError:
        raise LogicError(f"the condition has more than {MAX_NODES} nodes") from None


def _activity_id(document: RuleDocument) -> str:
    """Return the part of the bucketing key; the meta takes precedence over the rule's own field."""
    value = document.meta.get("activity.id", document.activity_id)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def split_window(tree: Any) -> tuple[AllocationWindow, list[Any]]:
    """Split a condition into the allocations that it admits and its other conditions.

    Args:
        tree: The condition as parsed JSON.

    Returns:
        The intersection of all windows, and the remaining conditions, all of which must hold.
    """
    window, others = AllocationWindow(), []
    for part in _conjuncts(tree):
        bounds = _bounds(part)
        if bounds is None:
            others.append(part)
        else:
            window = AllocationWindow(max(window.low, bounds.low), min(window.high, bounds.high))
    return window, others


def _conjuncts(tree: Any) -> Iterable[Any]:
    """Yield the operands of nested `and`s in order, without `true`."""
    pending = [tree]
    while pending:
        part = pending.pop()
        operands = part.get("and") if isinstance(part, dict) and len(part) == 1 else None
        if operands:
            pending.extend(reversed(operands) if isinstance(operands, list) else [operands])
        elif part is not True:
            yield part


def _bounds(part: Any) -> AllocationWindow | None:
    """Return the window of a comparison of the allocation with numbers, else None."""
    if not isinstance(part, dict) or len(part) != 1:
        return None
    ((operator, operands),) = part.items()
    if operator not in _SIDES or not isinstance(operands, list) or len(operands) not in _SIDES[operator]:
        return None
    if operands[1] in _ALLOCATION and all(_is_number(bound) for bound in operands[::2]):
        low, high = operands[0], operands[2] if len(operands) == 3 else math.inf
    elif len(operands) == 2 and operands[0] in _ALLOCATION and _is_number(operands[1]):
        low, high = -math.inf, operands[1]
    else:
        return None
    return _oriented(operator, low, high)


_SIDES = {"<": (2, 3), "<=": (2, 3), ">": (2,), ">=": (2,)}
"""Comparison → numbers of operands with which it is a window."""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _oriented(operator: str, low: float, high: float) -> AllocationWindow:
    if operator in (">", ">="):
        low, high = high if high != math.inf else -math.inf, low if low != -math.inf else math.inf
    if operator in ("<", ">"):
        low, high = math.nextafter(low, math.inf), math.nextafter(high, -math.inf)
    return AllocationWindow(float(low), float(high))
