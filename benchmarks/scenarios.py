"""Artifacts and requests of the benchmarks, in wire JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared" / "conformance" / "artifacts"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36"
GLOBAL_MBOX = "target-global-mbox"
TEN_MB = 10_000_000


@dataclass(frozen=True)
class Scenario:
    """One row of the table. With `vary` every call has a new user agent."""

    name: str
    artifact: dict[str, Any]
    request: dict[str, Any]
    goal_us: float | None = None
    vary: bool = False


def scenarios() -> list[Scenario]:
    """Return all scenarios, fast ones first."""
    one_mbox = artifact([activity(1, "hero")])
    with_rule = artifact([activity(1, "hero", {"==": ["gold", {"var": "mbox.plan"}]})])
    by_browser = artifact([activity(1, "hero", {"==": [{"var": "user.browserType"}, "chrome"]})])
    gold = {"name": "hero", "index": 1, "parameters": {"plan": "gold"}}
    hero = {"name": "hero", "index": 1}
    return [
        Scenario("execute one mbox, with notification", one_mbox, request(execute={"mboxes": [hero]}), 15),
        Scenario("prefetch one mbox, parameter rule", with_rule, request(prefetch={"mboxes": [gold]}), 10),
        Scenario(
            "prefetch all views, 40 KB artifact",
            views_artifact(),
            request(prefetch={"views": [views_details()]}),
            40,
        ),
        Scenario("browser rule, user agent seen before", by_browser, request(prefetch={"mboxes": [hero]})),
        Scenario(
            "browser rule, user agent never seen",
            by_browser,
            request(prefetch={"mboxes": [hero]}),
            1000,
            vary=True,
        ),
        *(one_of_many(count) for count in (10, 100, 1_000, 10_000)),
        Scenario("pageLoad, 1,000 activities", page_artifact(1_000), request(execute={"pageLoad": {}}), 1000),
    ]


def one_of_many(count: int) -> Scenario:
    many = artifact(
        [activity(n, f"mbox-{n}", {"==": ["gold", {"var": "mbox.plan"}]}) for n in range(1, count + 1)]
    )
    asked = {"name": f"mbox-{count // 2}", "index": 1, "parameters": {"plan": "gold"}}
    return Scenario(f"prefetch one mbox of {count:,} activities", many, request(prefetch={"mboxes": [asked]}))


def request(**modes: Any) -> dict[str, Any]:
    """Return a request of one visitor with a complete geo location, which needs no lookup."""
    return {
        "id": {
            "tntId": "338e3c1e51f7416a8e1ccba4f81acea0.28_0",
            "marketingCloudVisitorId": "07327024324407615852294135870030620007",
        },
        "context": {
            "channel": "web",
            "address": {"url": "https://www.shop.example.com/section/7/?q=1"},
            "userAgent": CHROME,
            "geo": {
                "city": "SAN FRANCISCO",
                "countryCode": "US",
                "stateCode": "CA",
                "latitude": 37.75,
                "longitude": -122.4,
            },
        },
        **modes,
    }


def artifact(activities: list[list[dict[str, Any]]], *, views: bool = False) -> dict[str, Any]:
    """Return an artifact of activities, each the list of its rules."""
    places: dict[str, list[dict[str, Any]]] = {}
    for rules in activities:
        for rule in rules:
            places.setdefault(rule["consequence"]["name"], []).append(rule)
    return {
        "version": "1.0.0",
        "meta": {
            "clientCode": "acme",
            "environment": "production",
            "generatedAt": "2026-01-01T00:00:00.000Z",
        },
        "globalMbox": GLOBAL_MBOX,
        "geoTargetingEnabled": True,
        "responseTokens": [
            "activity.id",
            "activity.name",
            "experience.id",
            "experience.name",
            "geo.city",
            "offer.id",
        ],
        "remoteMboxes": [],
        "remoteViews": [],
        "localMboxes": [] if views else list(places),
        "localViews": list(places) if views else [],
        "rules": {"mboxes": {}, "views": places} if views else {"mboxes": places, "views": {}},
    }


def activity(
    number: int, place: str, audience: Any = True, *, location_type: str = "mbox", size: int = 60
) -> list[dict[str, Any]]:
    """Return the rules of an A/B test with two experiences."""
    return [_rule(number, place, experience, audience, location_type, size) for experience in (0, 1)]


def _rule(
    number: int, place: str, experience: int, audience: Any, location_type: str, size: int
) -> dict[str, Any]:
    low, high = (("<=", 0), (">=", 50)) if experience == 0 else (("<", 50), (">=", 100))
    window = {"and": [{low[0]: [low[1], {"var": "allocation"}]}, {high[0]: [high[1], {"var": "allocation"}]}]}
    return {
        "ruleKey": str(number),
        "activityId": number,
        "meta": {
            "activity.id": number,
            "activity.name": f"Activity {number}",
            "activity.type": "ab",
            "experience.id": experience,
            "experience.name": f"Experience {'AB'[experience]}",
            "location.name": place,
            "location.type": location_type,
            "location.id": 0,
            "audience.ids": [] if audience is True else [number + 100_000],
            "offer.id": 2 * number + experience,
            "offer.name": f"/activity-{number}/experiences/{experience}/pages/0/zones/0/1612386851217",
        },
        "condition": window if audience is True else {"and": [window, audience]},
        "consequence": {
            "name": place,
            "options": [_option(number, experience, location_type, size)],
            "metrics": [],
        },
    }


def _option(number: int, experience: int, location_type: str, size: int) -> dict[str, Any]:
    token = f"{number:x}-{experience}-2qipfsIHvVzTQxHolz2IpSCnQ9Y9OaLL2gsdrWQTvE54PwSz67rmXWmSnkXpSSS2Q=="
    text = f"<div>{'Buy now. ' * (size // 9)}</div>"
    if location_type == "view":
        action = {
            "type": "insertBefore",
            "selector": "#a > P:nth-of-type(1)",
            "cssSelector": "#a > P:nth-of-type(1)",
            "content": text,
        }
        return {"type": "actions", "content": [action], "eventToken": token}
    return {"type": "html", "content": text, "eventToken": token}


def views_artifact() -> dict[str, Any]:
    """Return the suites' artifact of views, or without the suites one of similar size."""
    path = SHARED / "TEST_ARTIFACT_VIEWS.json"
    if path.is_file():
        loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return loaded
    place = {
        "and": [{"==": ["local-target-test", {"var": "page.domain"}]}, {"==": ["/", {"var": "page.path"}]}]
    }
    audience = {"and": [{"==": ["correct", {"var": "mbox.jason"}]}, place]}
    return artifact(
        [
            activity(n, ("contact", "home")[n % 3 > 0], audience, location_type="view", size=600)
            for n in range(1, 12)
        ],
        views=True,
    )


def views_details() -> dict[str, Any]:
    return {
        "parameters": {"jason": "correct", "greg": "correct"},
        "address": {"url": "http://local-target-test/"},
    }


def page_artifact(count: int) -> dict[str, Any]:
    """Return activities on the global mbox with an audience each; one in twenty is for all."""
    return artifact(
        [activity(n, GLOBAL_MBOX, True if n % 20 == 0 else _section(n)) for n in range(1, count + 1)]
    )


def _section(number: int) -> dict[str, Any]:
    return {
        "and": [
            {"in": [f"/section/{number}/", {"var": "page.url_lc"}]},
            {"==": [{"var": "user.browserType"}, "chrome"]},
        ]
    }


def large_artifact() -> bytes:
    """Return ten megabytes of JSON: some 3,000 activities with offers of half a kilobyte."""
    one = len(json.dumps(activity(1, "mbox-1", _section(1), size=500)))
    made = [activity(n, f"mbox-{n}", _section(n), size=500) for n in range(1, TEN_MB // one + 1)]
    return json.dumps(artifact(made)).encode()
