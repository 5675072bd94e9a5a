"""Limits on the work that one delivery request causes, checked before the work is done.

A small body can cause much work: a location takes fifteen bytes, its response thousands, and each
trace repeats the ones before it. So three checks bound the work: the number of JSON values before
decoding, the numbers of locations, notifications and tokens before the conversion to models, and
the cost of each location's rules before the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from targetry.device.artifact import read_consequence, read_rule
from targetry.device.logic.facts import Details
from targetry.device.logic.javascript import UNDEFINED, to_text
from targetry.device.personalize import macro_values
from targetry.device.ruleset import CompiledRule, Location, RuleSet
from targetry.edge.http.errors import RequestRejected
from targetry.models import Address, DeliveryRequest, MboxRequest, ViewRequest
from targetry.models.constraint import MAX_PARAMETER_VALUE

MAX_VALUES: Final = 30_000
MAX_LOCATIONS: Final = 200  # Adobe documents 50 mboxes in a request
MAX_NOTIFICATIONS: Final = 500
MAX_TOKENS: Final = 2_000
MAX_TELEMETRY_ENTRIES: Final = 1_000
MAX_RULE_BYTES: Final = 8_000_000  # of conditions that may have to be evaluated
MAX_ANSWER_BYTES: Final = 4_000_000
_MAX_ESTIMATE_BYTES: Final = 4 * MAX_ANSWER_BYTES  # an upper bound; responses are smaller

# A request above one of these is processed in a thread, others in a few milliseconds by the loop.
_LIGHT_BODY_BYTES: Final = 32 * 1024
_LIGHT_VALUES: Final = 1_500
_LIGHT_RULE_BYTES: Final = 64_000
_LIGHT_ANSWER_BYTES: Final = 256_000
_LIGHT_TOKENS: Final = 100

_LONGEST_MACRO_BYTES: Final = 6 * MAX_PARAMETER_VALUE  # each character can be an escape sequence

_RULE_OVERHEAD: Final = 64  # bytes of condition that take as long as a rule without one
_OPTION_OVERHEAD: Final = 200
_LOCATION_OVERHEAD: Final = 200
_TRACE_OVERHEAD: Final = 1_500
_TARGET_OVERHEAD: Final = 800  # of an activity in a trace, in addition to address and parameters
_URL_REPEATS: Final = 8  # a trace has each part of an address twice
_PARAMETER_REPEATS: Final = 3  # as they are, by rules' names, and in lower case
_NULL_BYTES: Final = 4
_FEW_BYTES: Final = 3 * min(MAX_LOCATIONS, MAX_NOTIFICATIONS, MAX_TOKENS, MAX_TELEMETRY_ENTRIES)
_NAMED: Final = (MboxRequest, ViewRequest)

_encode = msgspec.json.Encoder().encode


class LocationCost(msgspec.Struct, frozen=True, gc=False):
    """Upper bound of a location's cost: number of rules, bytes of conditions and of responses.

    `largest` and `macros` are the response bytes and macros of the most expensive rule, `total` and
    `all_macros` those of all rules.
    """

    rules: int = 0
    condition_bytes: int = 0
    largest: int = 0
    total: int = 0
    macros: int = 0
    all_macros: int = 0


_NO_COST: Final = LocationCost()


class Costs(NamedTuple):
    """Costs of an artifact's locations by name; `all_views` is that of a view without a name.

    `mbox_shares` has the parts of a light request that mboxes take at most, without that of the
    global mbox, whose rules can all apply.
    """

    mboxes: Mapping[str, LocationCost]
    views: Mapping[str, LocationCost]
    all_views: LocationCost
    meta_bytes: int
    mbox_shares: Mapping[str, float]


class Workload(msgspec.Struct, frozen=True, gc=False):
    """Upper bounds of a request's cost; a heavy request would delay others noticeably."""

    answer_bytes: int
    is_heavy: bool


_LIGHT: Final = Workload(_LIGHT_ANSWER_BYTES, False)


def costs_of(rules: RuleSet) -> Costs:
    """Return the costs of an artifact's locations."""
    mboxes = {name: _cost(location) for name, location in rules.mboxes.items()}
    return Costs(
        mboxes,
        {name: _cost(location) for name, location in rules.views.items()},
        _cost(rules.all_views),
        len(_encode(rules.meta)),
        {name: _share(name, cost) for name, cost in mboxes.items() if name != rules.global_mbox},
    )


def _share(name: str, cost: LocationCost) -> float:
    """Return the part of a light request that an mbox takes at most; above 1 it is heavy."""
    macro_bytes = max(_LONGEST_MACRO_BYTES, len(_encode(name)))
    answer_bytes = cost.largest + cost.macros * macro_bytes + len(name) + _LOCATION_OVERHEAD
    rule_bytes = cost.condition_bytes + _RULE_OVERHEAD
    return max(rule_bytes / _LIGHT_RULE_BYTES, answer_bytes / _LIGHT_ANSWER_BYTES)


def _cost(location: Location) -> LocationCost:
    costs = [_rule_cost(rule) for rule in location.rules]
    if not costs:
        return _NO_COST
    conditions, answers, macros = zip(*costs, strict=True)
    return LocationCost(len(costs), sum(conditions), max(answers), sum(answers), max(macros), sum(macros))


def _rule_cost(rule: CompiledRule) -> tuple[int, int, int]:
    """Return the bytes of condition and of response, and the number of macros of a request."""
    document = read_rule(rule.raw)
    consequence = bytes(document.consequence)
    options = len(read_consequence(document.consequence).options or ())
    size = len(consequence) + options * (len(_encode(document.meta)) + _OPTION_OVERHEAD)
    macros = 0
    for value in macro_values(consequence.decode(), document.meta):
        if value is UNDEFINED:
            macros += 1
        else:
            size += len(_encode(to_text(value)))
    return len(bytes(document.condition)) + _RULE_OVERHEAD, size, macros


def is_light(cost: LocationCost | None) -> bool:
    """Return whether a location that uses one rule takes as long as a light request at most."""
    return cost is None or (
        cost.condition_bytes <= _LIGHT_RULE_BYTES
        and cost.largest + cost.macros * _LONGEST_MACRO_BYTES <= _LIGHT_ANSWER_BYTES
    )


def are_light(costs: Iterable[LocationCost]) -> bool:
    """Return whether all these locations together take as long as a light request at most."""
    return is_light(LocationCost(*map(sum, zip(*map(msgspec.structs.astuple, costs), strict=True))))


def check_body(body: bytes) -> None:
    """Check the number of values; commas and brackets in texts count too, so the limit is generous.

    Raises:
        RequestRejected: 413.
    """
    if len(body) > MAX_VALUES and _values(body) > MAX_VALUES:
        raise _too_many("request", MAX_VALUES, "values")


def is_heavy_body(body: bytes) -> bool:
    """Return whether decoding a body would delay other requests noticeably."""
    size = len(body)
    return size > _LIGHT_BODY_BYTES or (size > _LIGHT_VALUES and _values(body) > _LIGHT_VALUES)


def _values(body: bytes) -> int:
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def check_counts(document: Mapping[str, Any]) -> None:
    """Check the numbers of locations, notifications, tokens and telemetry entries of any body.

    Raises:
        RequestRejected: 413.
    """
    locations = 0
    for mode in ("execute", "prefetch"):
        part = document.get(mode)
        if isinstance(part, dict):
            locations += sum(_length(part.get(kind)) for kind in ("mboxes", "views", "pageLoad"))
    if locations > MAX_LOCATIONS:
        raise _too_many("request", MAX_LOCATIONS, "mboxes, views and page loads")
    notifications = document.get("notifications")
    if _length(notifications) > MAX_NOTIFICATIONS:
        raise _too_many("request.notifications", MAX_NOTIFICATIONS, "notifications")
    each = notifications if isinstance(notifications, list) else [notifications]
    if sum(_length(one.get("tokens")) for one in each if isinstance(one, dict)) > MAX_TOKENS:
        raise _too_many("request.notifications", MAX_TOKENS, "tokens")
    telemetry = document.get("telemetry")
    if isinstance(telemetry, dict) and _length(telemetry.get("entries")) > MAX_TELEMETRY_ENTRIES:
        raise _too_many("request.telemetry.entries", MAX_TELEMETRY_ENTRIES, "entries")


def is_within_counts(request: DeliveryRequest, body: bytes) -> bool:
    """Return whether the counts of a request are within the limits that `check_counts` checks."""
    if len(body) <= _FEW_BYTES:  # each location, notification, token and entry has three or more
        return True
    locations = 0
    execute, prefetch, notifications = request.execute, request.prefetch, request.notifications
    if execute is not None:
        locations += len(execute.mboxes or ()) + 1
    if prefetch is not None:
        locations += len(prefetch.mboxes or ()) + len(prefetch.views or ()) + 1
    if locations > MAX_LOCATIONS:
        return False
    if notifications is not None and (
        len(notifications) > MAX_NOTIFICATIONS
        or sum(len(one.tokens or ()) for one in notifications) > MAX_TOKENS
    ):
        return False
    telemetry = request.telemetry
    return telemetry is None or len(telemetry.entries or ()) <= MAX_TELEMETRY_ENTRIES


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0 if value is None else 1


def _too_many(path: str, limit: int, what: str) -> RequestRejected:
    return RequestRejected(413, f"{path}: has more than {limit:,} {what}")


def check_workload(request: DeliveryRequest, rules: RuleSet, costs: Costs) -> Workload:
    """Return the upper bound of a request's cost.

    Raises:
        RequestRejected: 413, the rules of its locations or the answer are too large.
    """
    if _is_surely_light(request, costs):
        return _LIGHT
    asked = _asked(request, rules, costs)
    rule_bytes = answer_bytes = 0
    for details, name, cost, uses_all_rules in asked:
        rule_bytes += cost.condition_bytes + _RULE_OVERHEAD
        if uses_all_rules:
            macros = cost.all_macros
            answer_bytes += cost.total + cost.rules * (_LOCATION_OVERHEAD + len(name)) + _LOCATION_OVERHEAD
        else:
            macros = cost.macros
            answer_bytes += cost.largest + len(name) + _LOCATION_OVERHEAD
        if macros:
            answer_bytes += macros * _longest_value(details)
    if rule_bytes > MAX_RULE_BYTES:
        reason = f"its locations have more than {MAX_RULE_BYTES:,} bytes of rules to evaluate"
        raise RequestRejected(413, f"request: {reason}; ask for fewer locations at once")
    if request.trace is not None:
        answer_bytes += _trace_bytes(request, asked, costs)
    if answer_bytes > _MAX_ESTIMATE_BYTES:
        raise answer_too_large()
    tokens = 0
    if request.notifications:
        tokens = sum(len(one.tokens or ()) for one in request.notifications)
    is_heavy = (
        rule_bytes > _LIGHT_RULE_BYTES
        or answer_bytes > _LIGHT_ANSWER_BYTES
        or tokens > _LIGHT_TOKENS
        or request.qa_mode is not None
    )
    return Workload(answer_bytes, is_heavy)


def _is_surely_light(request: DeliveryRequest, costs: Costs) -> bool:
    """Return whether a request has mboxes of the artifact only, which are light for any visitor."""
    execute = request.execute
    if (
        execute is None
        or execute.page_load is not None
        or request.prefetch is not None
        or request.notifications
        or request.trace is not None
        or request.qa_mode is not None
    ):
        return False
    shares, sum_of_shares = costs.mbox_shares, 0.0
    for mbox in execute.mboxes or ():
        share = shares.get(mbox.name or "")
        if share is None:
            return False
        sum_of_shares += share
    return sum_of_shares <= 1.0


def answer_too_large() -> RequestRejected:
    """Return the error for a request whose response would be too large."""
    reason = f"the response would be larger than {MAX_ANSWER_BYTES:,} bytes"
    return RequestRejected(413, f"request: {reason}; ask for fewer locations or traces at once")


def encode_bounded(parts: Iterable[Any], encode: Any) -> None:
    """Encode parts of a response one by one, to stop as soon as they become too large.

    Raises:
        RequestRejected: 413.
    """
    total = 0
    for part in parts:
        total += len(encode(part))
        if total > MAX_ANSWER_BYTES:
            raise answer_too_large()


_Asked = tuple[Details, str, LocationCost, bool]
"""Location, its name ("" without one), its cost, and whether all matching rules apply, not one."""


def _asked(request: DeliveryRequest, rules: RuleSet, costs: Costs) -> list[_Asked]:
    asked: list[_Asked] = []
    known, page = costs.mboxes, rules.global_mbox
    for part in (request.execute, request.prefetch):
        if part is None:
            continue
        if part.page_load is not None:
            asked.append((part.page_load, "", known.get(page, _NO_COST), True))
        for mbox in part.mboxes or ():
            name = mbox.name or ""
            asked.append((mbox, name, known.get(name, _NO_COST), name == page))
    if request.prefetch is not None:
        for view in request.prefetch.views or ():
            cost = costs.views.get(view.name, _NO_COST) if view.name else costs.all_views
            asked.append((view, view.name or "", cost, True))
    return asked


def _longest_value(details: Details) -> int:
    """Return the bytes of the longest value of a macro: name, key, or one of the parameters."""
    longest = _NULL_BYTES
    if isinstance(details, _NAMED):
        longest = max(longest, len(_encode(details.name)))
    if isinstance(details, ViewRequest):
        longest = max(longest, len(_encode(details.key)))
    for value in (details.parameters or {}).values():
        longest = max(longest, len(_encode(value)))
    return longest


def _trace_bytes(request: DeliveryRequest, asked: Iterable[_Asked], costs: Costs) -> int:
    """Return the bytes of the traces; each repeats the rules of the locations before it."""
    context = request.context
    page = _address_bytes(context.address if context is not None else None)
    total = met = 0
    for location, name, cost, _ in asked:
        own = _address_bytes(location.address) or page
        details = _parameter_bytes(location) + len(name)
        facts = _TARGET_OVERHEAD + own + _PARAMETER_REPEATS * details
        met += cost.condition_bytes + cost.rules * facts
        total += met + details + own + costs.meta_bytes + _TRACE_OVERHEAD
    return total


def _address_bytes(address: Address | None) -> int:
    if address is None:
        return 0
    return _URL_REPEATS * (len(address.url or "") + len(address.referring_url or ""))


def _parameter_bytes(details: Details) -> int:
    given = [details.parameters, details.profile_parameters]
    return len(_encode([one for one in given if one]))
