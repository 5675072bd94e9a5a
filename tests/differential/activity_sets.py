"""Random sets of activities, compiled twice so that experiences have several windows."""

from __future__ import annotations

from typing import Any

from differential.artifacts import MBOXES, VIEWS, Rng
from targetry.activities import Workspace, ab, experience, metric, offer, xt
from targetry.activities.model.definitions import (
    ActivityDefinition,
    ExperienceDefinition,
    GroupDefinition,
    Member,
    OfferDefinition,
)

_AUDIENCES = (
    'mbox.plan == "gold"',
    "mbox.n > 41",
    'user.browserType in ["chrome", "firefox"]',
    'contains(page.url_lc, "home")',
    'not geo.country == "US"',
    'starts_with(mbox.plan, "go") or current_day == "5"',
    '"0900" <= current_time <= "1659"',
)
_KEYS = ("a", "b", "c")


def compiled_set(rng: Rng) -> dict[str, Any]:
    """Return the artifact of random activities after a change of all shares."""
    seed = rng.random()
    first = _workspace(type(rng)(seed), rng)
    return _workspace(type(rng)(seed), rng).compile(lock=first.lock())


def _workspace(fixed: Rng, free: Rng) -> Workspace:
    """Return a workspace whose activities follow from `fixed`, and whose shares from `free`."""
    activities = [_activity(fixed, free, f"activity-{number}") for number in range(fixed.randint(1, 6))]
    members = [Member(activity=one.key, share=free.randint(1, 100 // 7)) for one in activities[:2]]
    return Workspace(
        "acme",
        *activities,
        groups={"pair": GroupDefinition(holdout=free.randint(0, 9), members=members, record_holdout=True)}
        if fixed.random() < 0.5
        else None,
    )


def _activity(fixed: Rng, free: Rng, key: str) -> ActivityDefinition:
    audience = fixed.sample(_AUDIENCES, fixed.randint(0, 2))
    priority = fixed.randint(0, 2)
    metrics = [metric(selector="#a")] if fixed.random() < 0.5 else None
    places = fixed.sample((*MBOXES, *VIEWS), fixed.randint(1, 2))
    if fixed.random() < 0.3:
        experiences = [_experience(fixed, key, places, None) for key in _KEYS]
        return xt(key, *experiences, audience=audience, priority=priority, metrics=metrics)
    cuts = sorted(free.randint(0, 100) for _ in _KEYS[1:])
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    experiences = [_experience(fixed, key, places, share) for key, share in zip(_KEYS, shares, strict=True)]
    traffic = free.choice((100, 100, 35.5))
    return ab(key, *experiences, audience=audience, priority=priority, traffic=traffic, metrics=metrics)


def _experience(fixed: Rng, key: str, places: list[str], share: float | None) -> ExperienceDefinition:
    audience = [fixed.choice(_AUDIENCES)] if fixed.random() < 0.3 else []
    return experience(key, *(_offer(fixed, place) for place in places), share=share, audience=audience)


def _offer(fixed: Rng, place: str) -> OfferDefinition:
    where: dict[str, Any] = {"view": place} if place in VIEWS else {"mbox": place}
    content: dict[str, Any] = fixed.choice(
        ({"html": "<b>${activity.name}</b>"}, {"json": {"title": "${experience.name}", "n": [1, None]}}, {})
    )
    return offer(**where, **content)
