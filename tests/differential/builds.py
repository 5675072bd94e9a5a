"""Random artifacts made with the builder of `targetry.testing`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from differential.artifacts import MBOXES, PROPERTIES, VIEWS, Rng
from targetry.testing import DEFAULT, ActivityBuilder, activity, artifact

_CONDITIONS: tuple[dict[str, Any], ...] = (
    {"browser": ["chrome", "firefox"]},
    {"platform": ["iOS", "mac", "windows"]},
    {"country": "US"},
    {"region": "ca"},
    {"city": ["San Francisco", "Zürich"]},
    {"url_contains": "HOME"},
    {"domain": ["www.foo.com", "foo.com"]},
    {"from_": datetime(2021, 1, 1, tzinfo=UTC)},
    {"from_": datetime(2018, 1, 1, tzinfo=UTC), "to": datetime(2025, 1, 1, tzinfo=UTC)},
    {"plan": ["gold", "Gold", "x"]},
    {"n": 42},
    {"n": True},
    {"parameters": {"user.tier": "gold"}},
)
_OFFERS = ("<b>${activity.name}</b>", "", {"title": "${experience.name}", "n": [1, None]}, 5, False, DEFAULT)


def built_artifact(rng: Rng) -> dict[str, Any]:
    """Return an artifact of up to eight activities over all mboxes and views."""
    return artifact(
        *(_activity(rng, f"Activity {number}") for number in range(rng.randint(1, 8))),
        remote=rng.sample(MBOXES, rng.randint(0, 2)),
        geo=rng.choice((None, True, False)),
    )


def _activity(rng: Rng, name: str) -> ActivityBuilder:
    made = activity(name, property=rng.choice((None, None, *PROPERTIES)))
    if rng.random() < 0.6:
        first = rng.randint(0, 100)
        made.ab(A=first, B=(100 - first) / 2, C=(100 - first) / 2)
    else:
        made.xt()
    for condition in rng.sample(_CONDITIONS, rng.randint(0, 2)):
        made.when(**condition)
    for mbox in rng.sample(MBOXES, rng.randint(1, 3)):
        made.on(mbox, rng.choice(_OFFERS))
    if rng.random() < 0.3:
        made.on_view(rng.choice(VIEWS), rng.choice(_OFFERS))
    if rng.random() < 0.3:
        made.on_page(rng.choice(_OFFERS))
    if rng.random() < 0.5:
        made.click(rng.choice((None, "t-click")))
    return made.priority(rng.randint(0, 3))
