"""Effect of a change on given visitors: how many see an activity before and after."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from targetry.activities.review.inventory import take_inventory
from targetry.activities.review.plan import Change, insert_change
from targetry.device.decide import Match, decide
from targetry.device.logic.facts import bucketing_id
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.models import DeliveryRequest


class Reach(msgspec.Struct, frozen=True):
    """Visitors among `total` who see an activity no longer, and those who see it newly."""

    lost: int
    gained: int
    total: int


def with_visitors(
    changes: list[Change],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    requests: Iterable[DeliveryRequest],
    now_ms: int,
) -> list[Change]:
    """Return the changes of a plan, and those of what the visitors of requests see.

    Args:
        changes: The plan.
        old: The earlier artifact.
        new: The later one.
        requests: Requests with ids of visitors; those of one visitor count together.
        now_ms: Time of the decisions, epoch milliseconds.

    Raises:
        ArtifactError: An artifact cannot be used.
    """
    before, after = compile_artifact(msgspec.json.encode(old)), compile_artifact(msgspec.json.encode(new))
    seen: defaultdict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for request in requests:
        for rules, ids in zip((before, after), seen[bucketing_id(request.id)], strict=True):
            ids |= _seen(rules, request, now_ms)
    lost = Counter(id for earlier, later in seen.values() for id in earlier - later)
    gained = Counter(id for earlier, later in seen.values() for id in later - earlier)
    names = {one.id: one.name for side in (old, new) for one in take_inventory(side).activities.values()}
    found = list(changes)
    for id in sorted((lost | gained).keys()):
        reach = Reach(lost[id], gained[id], len(seen))
        insert_change(found, Change("visitors", names.get(id, id), id, after=msgspec.to_builtins(reach)))
    return found


def _seen(rules: RuleSet, request: DeliveryRequest, now_ms: int) -> set[str]:
    client = rules.meta.get("clientCode")
    matches: list[Match] = []
    decide(rules, request, client if isinstance(client, str) else "", now_ms, lambda: "", matches=matches)
    return {str(one.rule.meta.get("activity.id")) for one in matches if one.rule is not None}
