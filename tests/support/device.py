"""Short constructors of facts, rules, artifacts and requests for tests of the on-device engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from targetry.device.decide import OnDeviceDecision, decide
from targetry.device.logic.facts import Facts, RequestFacts
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.trace import TraceSource
from targetry.models import Address, Context, DeliveryRequest, Geo, MboxRequest

NOW_MS = 1_582_790_460_000  # Thursday 2020-02-27 08:01:00 UTC
CLIENT = "acme"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_3) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/13.0.5 Safari/605.1.15"
)
EVERYBODY = True
NEVER = False


def facts(
    parameters: Mapping[str, Any] | None = None,
    *,
    url: str | None = None,
    geo: Geo | None = None,
    visitor: str = "visitor",
    now_ms: int = NOW_MS,
) -> Facts:
    """Return the facts of the mbox `hero` of a visitor with Safari on a Mac."""
    context = Context(channel="web", address=Address(url=url), user_agent=SAFARI, geo=geo)
    details = MboxRequest(name="hero", parameters=parameters)  # type: ignore[arg-type]
    return Facts(RequestFacts(context, visitor, CLIENT, now_ms), details, "hero")


def window(low: float, high: float) -> dict[str, Any]:
    """Return the condition of an allocation window, as Target writes it.

    `low` belongs to the window only if it is 0, `high` always does.
    """
    operator = "<=" if low == 0 else "<"
    return {"and": [{operator: [low, {"var": "allocation"}]}, {">=": [high, {"var": "allocation"}]}]}


def rule(
    activity: int = 1,
    condition: Any = EVERYBODY,
    *,
    content: Any = "hello",
    name: str = "hero",
    kind: str = "html",
    experience: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Return a rule with one option; `more` replaces or adds members."""
    consequence = {
        "name": name,
        "options": [{"type": kind, "content": content, "eventToken": f"token-{activity}"}],
    }
    meta = {
        "activity.id": activity,
        "activity.name": f"Activity {activity}",
        "activity.type": "ab",
        "audience.ids": [],
        "experience.id": experience,
        "experience.name": f"Experience {experience}",
        "offer.id": 10 * activity + experience,
        "offer.name": f"/offers/{experience}",
    }
    made = {"ruleKey": str(activity), "activityId": activity, "condition": condition}
    return {**made, "consequence": consequence, "meta": meta, **more}


def mboxes_of(*rules: dict[str, Any], mbox: str = "hero", **more: Any) -> dict[str, Any]:
    """Return an artifact with all `rules` on one mbox; `more` replaces or adds members."""
    return artifact({mbox: list(rules)}, **more)


def artifact(
    mboxes: Mapping[str, list[Any]] | None = None, views: Mapping[str, list[Any]] | None = None, **more: Any
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": "1.0.0",
        "meta": {"clientCode": CLIENT, "environment": "production"},
        "globalMbox": "target-global-mbox",
        "geoTargetingEnabled": False,
        "responseTokens": [],
        "remoteMboxes": [],
        "remoteViews": [],
        "localMboxes": list(mboxes or ()),
        "localViews": list(views or ()),
        "rules": {"mboxes": dict(mboxes or {}), "views": dict(views or {})},
    }
    return {**made, **more}


def numbered_ids() -> Callable[[], str]:
    """Return a factory of numbered ids: `id-1`, `id-2` and so on."""
    numbers = itertools.count(1)
    return lambda: f"id-{next(numbers)}"


def request_for(*names: str, mode: str = "execute", **more: Any) -> DeliveryRequest:
    """Return a request of `visitor` for mboxes; `more` holds members by their wire names."""
    mboxes = [{"index": i, "name": name} for i, name in enumerate(names)]
    base: dict[str, Any] = {"requestId": "r", "id": {"tntId": "visitor"}, "context": {"channel": "web"}}
    if mboxes:
        base[mode] = {"mboxes": mboxes}
    return DeliveryRequest.from_dict({**base, **more})


def decision_of(
    rules: RuleSet | Mapping[str, Any],
    request: DeliveryRequest,
    *,
    now_ms: int = NOW_MS,
    traced: bool = False,
) -> OnDeviceDecision:
    if not isinstance(rules, RuleSet):
        rules = compile_artifact(rules)
    trace = TraceSource("session", CLIENT, {"artifactLocation": "Not Applicable"}) if traced else None
    return decide(rules, request, client_code=CLIENT, now_ms=now_ms, new_id=numbered_ids(), trace=trace)


def contents(decision: OnDeviceDecision, mode: str = "execute") -> list[Any]:
    """Return the contents of all options of all mboxes, in order."""
    answer = getattr(decision.response, mode)
    return [option.content for mbox in answer.mboxes for option in mbox.options or ()]
