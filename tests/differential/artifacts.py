"""Random artifacts of the kinds that Target exports."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

MBOXES = ("hero", "cart", "footer banner", "größe", "mbox.with.dots", "empty")
VIEWS = ("home", "checkout", "Über uns")
PROPERTIES = ("a1b2", "c3d4")
GLOBAL_MBOX = "target-global-mbox"
CLOCKS = (
    1_585_098_300_000,
    1_700_000_000_123,
    1_751_328_000_000,
    1_767_225_599_999,
    1_600_000_000_001,
    1_613_100_000_000,
    1_709_164_799_999,  # the last moments of a 28th of February before a 29th
    1_709_251_199_999,
    1_711_846_800_000,  # clocks go forward in Europe
)
"""Moments at which something might turn over, epoch ms."""
TEXTS = (
    "gold",
    "Gold",
    "silver",
    "",
    "42",
    "1e3",
    "0",
    "42.0",
    " 7 ",
    "x",
    "Straße",
    "日本",
    "\U0001f600",
    "true",
    "null",
    "0x1f",
    "ΑΣ",
    "İstanbul",
    "ǅ",
    "\u2028",
    "\ufb01",
    "\ud83d",
    "a\0b",
    "-0",
    "1_000",
    "٣",
    "${n}",
)
NUMBERS = (0, 1, 42, 1000, -1, 0.5, 99.99, 1e21, 1e-7, 2**53)
PARAMETERS = (
    "plan",
    "Plan",
    "n",
    "user.tier",
    "user.id.kind",
    "a..b",
    ".lead",
    "trail.",
    "größe",
    "plan_lc",
    "index",
    "user",
    "42",
    "name",
    "key",
    "length",
    "list.0",
    "ΑΣ",
    "activity.id",
    "location.name",
)
TOKENS = (
    *("activity.id", "activity.name", "activity.type", "experience.id", "experience.name"),
    *("location.id", "location.name", "location.type", "offer.id", "offer.name", "option.id", "option.name"),
    *("geo.city", "geo.country", "geo.state", "geo.latitude", "geo.longitude"),
    *("profile.score", "company.name"),
)
MACROS = (
    *(
        "${campaign.name}",
        "${activity.id}",
        "${recipe.id}",
        "${experience.name}",
        "${offer.name}",
        "${option.id}",
    ),
    *(
        "${mbox.name}",
        "${name}",
        "${index}",
        "${Plan}",
        "${mbox.plan}",
        "${profile.mbox.plan}",
        "${a.b.activity.name}",
    ),
    *(
        "${nope}",
        "${}",
        "${mbox.}",
        "${location.name}",
        "${user.tier}",
        "${mbox.user.tier}",
        "$ {plan}",
        "${plan",
        "${größe}",
    ),
    *(
        "${n}",
        "${activity.type}",
        "${campaign.recipe.id}",
        "${mbox}",
        "${mbox.mbox.plan}",
        "${view.name}",
        "${Campaign.name}",
    ),
)

Rng = random.Random


def artifact(rng: Rng) -> dict[str, Any]:
    """Return an artifact with up to a dozen activities over all mboxes and views."""
    maker = _Maker(rng)
    rules: dict[str, dict[str, list[Any]]] = {"mboxes": {}, "views": {}}
    for _ in range(rng.randint(1, 12)):
        maker.activity(rules)
    mboxes, views = [*MBOXES, GLOBAL_MBOX], list(VIEWS)
    made: dict[str, Any] = {
        "version": rng.choice(("1.0.0", "1.0", "1")),
        "meta": {
            "clientCode": "acme",
            "environment": rng.choice(("production", "staging")),
            "generatedAt": "2026-01-01T00:00:00.000Z",
        },
        "globalMbox": rng.choice((*(GLOBAL_MBOX,) * 9, "hero", "global of another name")),
        "geoTargetingEnabled": rng.random() < 0.5,
        "responseTokens": rng.sample(TOKENS, rng.randint(0, len(TOKENS))),
        "remoteMboxes": _some(rng, mboxes, 0.15),
        "localMboxes": _some(rng, mboxes, 0.85),
        "remoteViews": _some(rng, views, 0.15),
        "localViews": _some(rng, views, 0.85),
        "rules": rules,
    }
    for optional in ("responseTokens", "remoteMboxes", "remoteViews", "geoTargetingEnabled", "globalMbox"):
        if rng.random() < 0.05:
            del made[optional]
    return made


def _some(rng: Rng, names: list[str], share: float) -> list[str]:
    return [name for name in names if rng.random() < share]


class _Maker:
    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.number = rng.randint(1000, 900_000)

    def activity(self, rules: dict[str, dict[str, list[Any]]]) -> None:
        """Add an activity: for each of its places, one rule per experience."""
        rng = self.rng
        self.number += rng.randint(1, 50)
        kind = rng.choice(("ab", "landing"))
        audience = self.condition() if rng.random() < 0.7 else True
        experiences = rng.randint(1, 4)
        for place, name in self._places():
            for experience, window in enumerate(self._windows(kind, experiences)):
                own = self.condition() if kind == "landing" and rng.random() < 0.7 else audience
                rules[place].setdefault(name, []).append(
                    self._rule(kind, "mbox" if place == "mboxes" else "view", name, experience, window, own)
                )

    def _places(self) -> list[tuple[str, str]]:
        rng = self.rng
        every = [("mboxes", name) for name in (*MBOXES[:-1], GLOBAL_MBOX, GLOBAL_MBOX)]
        every += [("views", name) for name in VIEWS]
        return list(dict.fromkeys(rng.sample(every, rng.randint(1, 3))))

    def _windows(self, kind: str, experiences: int) -> list[Any]:
        """Return allocation windows as Target writes them.

        The first closed below, the others open.
        """
        if kind == "landing":
            return [None] * experiences
        rng = self.rng
        cuts = sorted(
            rng.choice((rng.randint(1, 99), round(rng.uniform(0, 100), 2))) for _ in range(experiences - 1)
        )
        bounds = [0, *cuts, rng.choice((100, 100, 80))]
        windows = []
        for i in range(experiences):
            lower = "<=" if i == 0 else "<"
            low, high = {lower: [bounds[i], _var("allocation")]}, {">=": [bounds[i + 1], _var("allocation")]}
            windows.append(
                {"and": [low, high]}
                if rng.random() < 0.9
                else {"<=": [bounds[i], _var("allocation"), bounds[i + 1]]}
            )
        return windows

    def _rule(
        self, kind: str, place: str, name: str, experience: int, window: Any, audience: Any
    ) -> dict[str, Any]:
        rng, number = self.rng, self.number
        parts = [part for part in (window, audience) if part is not None]
        condition = (
            parts[0] if len(parts) == 1 else {"and": parts} if rng.random() < 0.9 else {"and": parts[::-1]}
        )
        rule = {
            "ruleKey": str(number) if rng.random() < 0.8 else f"{number}-{experience}",
            "activityId": number,
            "meta": self._meta(kind, place, name, experience),
            "condition": condition,
            "consequence": self._consequence(name),
        }
        if rng.random() < 0.25:
            rule["propertyTokens"] = rng.sample(PROPERTIES, rng.randint(0, 2))
        if rng.random() < 0.1:
            rule |= {"seed": "x", "future": {"a": [1]}}
        return rule

    def _meta(self, kind: str, place: str, name: str, experience: int) -> dict[str, Any]:
        rng, number = self.rng, self.number
        meta = {
            "activity.id": number,
            "activity.name": rng.choice((f"[test] Activity {number}", f"Größe {number}", "a ${name} b")),
            "activity.type": kind,
            "experience.id": experience,
            "experience.name": f"Experience {chr(65 + experience)}",
            "location.name": name,
            "location.type": place,
            "location.id": 0,
            "audience.ids": rng.sample(range(100, 120), rng.randint(0, 3)),
        }
        if rng.random() < 0.1:
            del meta[rng.choice(("activity.type", "experience.id", "experience.name", "location.id"))]
        if rng.random() < 0.1:
            meta |= {"profile.score": 5, "key": "from meta", "n": 0, "location.id": "7"}
        for part in ("offer", "option"):
            if rng.random() < 0.8:
                meta |= {f"{part}.id": rng.randint(0, 9), f"{part}.name": f"/{part}s/{experience}"}
        return meta

    def _consequence(self, name: str) -> dict[str, Any]:
        rng = self.rng
        made: dict[str, Any] = {
            "name": name if rng.random() < 0.95 else rng.choice((*MBOXES, *VIEWS)),
            "options": [self._option() for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3)))],
            "metrics": [self._metric() for _ in range(rng.choice((0, 0, 1, 2, 3)))],
        }
        if rng.random() < 0.1:
            made["analytics"] = {"payload": {"pe": "tnt", "tnta": f"{self.number}:0:0|2"}}
        return made

    def _option(self) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(
            ("html", "html", "json", "json", "redirect", "dynamic", "actions", "actions", "default")
        )
        option: dict[str, Any] = {} if kind == "default" else {"type": kind, "content": self._content(kind)}
        if rng.random() < 0.9:
            option["eventToken"] = self._token()
        if rng.random() < 0.05:
            option["responseTokens"] = {"stale": True}
        if rng.random() < 0.05:
            option.pop(
                rng.choice(("type", "content", "eventToken") if kind != "actions" else ("type",)), None
            )
        return option

    def _content(self, kind: str) -> Any:
        rng = self.rng
        if kind == "json":
            return rng.choice(
                (
                    {"plan": "gold", "n": {"deep": [1, 2.5, None]}},
                    {},
                    [],
                    [1, {"a": 2}],
                    42,
                    0,
                    True,
                    False,
                    "text",
                    "",
                    "${name}",
                )
            )
        if kind == "actions":
            return [self._action() for _ in range(rng.randint(0, 3))]
        if kind == "html":
            return rng.choice(("", "plain", self._text(), self._text(), self._text()))
        return rng.choice(("https://example.org/?n=${name}", self._text()))

    def _action(self) -> dict[str, Any]:
        rng = self.rng
        content = rng.choice(
            (self._text(), {"background-color": "rgba(1, 2, 3, 1)", "note": "${name}"}, "", None)
        )
        action = {
            "type": rng.choice(("setHtml", "setStyle", "insertBefore", "customCode")),
            "selector": "#a > P:nth-of-type(1)",
            "cssSelector": "#a",
        }
        return action if content is None else {**action, "content": content}

    def _text(self) -> str:
        return " ".join(self.rng.choice((*MACROS, "<b>hi</b>", "ß")) for _ in range(self.rng.randint(1, 4)))

    def _metric(self) -> dict[str, Any]:
        rng = self.rng
        metric = {"type": rng.choice(("click", "click", "display")), "eventToken": self._token()}
        if rng.random() < 0.05:
            del metric[rng.choice(("type", "eventToken"))]
        return metric if rng.random() < 0.5 else {**metric, "selector": "#a"}

    def _token(self) -> str:
        return f"token-{self.rng.randint(1, 40)}=="

    def condition(self, depth: int = 0) -> Any:
        """Return an audience: one rule of the audience builder, or several joined."""
        rng = self.rng
        if depth < 2 and rng.random() < 0.35:
            joined = [self.condition(depth + 1) for _ in range(rng.randint(1, 3))]
            return {"!": joined[:1]} if rng.random() < 0.2 else {rng.choice(("and", "or")): joined}
        kinds: tuple[Callable[[Rng], Any], ...] = (
            _parameter,
            _parameter,
            _parameter,
            _time,
            _place,
            _page,
            _browser,
            _odd,
        )
        return rng.choice(kinds)(rng)


def _var(path: str) -> dict[str, Any]:
    return {"var": path}


def _either_way(rng: Rng, operator: str, left: Any, right: Any) -> Any:
    return {operator: [left, right]} if rng.random() < 0.5 else {operator: [right, left]}


def _parameter(rng: Rng) -> Any:
    name = rng.choice(PARAMETERS)
    path = f"mbox.{name}" if rng.random() < 0.7 else f"mbox.{name}_lc"
    operator = rng.choice(
        ("==", "==", "!=", "in", "in-list", "<", "<=", ">", ">=", "between", "exists", "starts", "ends")
    )
    value: Any = rng.choice(TEXTS) if rng.random() < 0.7 else rng.choice(NUMBERS)
    if operator == "between":
        return {"<=": [rng.choice(NUMBERS), _var(path), rng.choice((*NUMBERS, *TEXTS))]}
    if operator == "exists":
        return rng.choice(
            (
                {"!!": [_var(path)]},
                {"!": [_var(path)]},
                {"!=": [_var(path), None]},
                {"==": [_var(path), None]},
            )
        )
    if operator == "in-list":
        return {"in": [_var(path), [*rng.sample(TEXTS, 3), 42]]}
    if operator == "in":
        return {"in": [value, _var(path)]}
    if operator == "starts":
        return {"==": [{"substr": [_var(path), 0, 2]}, "go"]}
    if operator == "ends":
        return {"==": [{"substr": [_var(path), -2]}, "ld"]}
    return _either_way(rng, operator, value, _var(path))


def _time(rng: Rng) -> Any:
    kind = rng.choice(("time", "day", "timestamp", "week"))
    if kind == "time":
        start, end = sorted(f"{rng.randint(0, 23):02d}{rng.randint(0, 59):02d}" for _ in range(2))
        hours = {"<=": [start, _var("current_time"), end]}
        return (
            {"and": [{"==": [str(rng.randint(1, 7)), _var("current_day")]}, hours]}
            if rng.random() < 0.5
            else hours
        )
    if kind == "day":
        return {"or": [{"==": [str(day), _var("current_day")]} for day in rng.sample(range(1, 8), 3)]}
    if kind == "week":
        return {"in": [_var("current_day"), rng.choice(([1, 2, 3, 4, 5], ["1", "2", "3"], "12345"))]}
    since = rng.choice((rng.randint(1_500_000_000_000, 1_900_000_000_000), rng.choice(CLOCKS)))
    until = rng.choice((since, since + rng.randint(0, 200_000_000_000)))
    if rng.random() < 0.5:
        return {"<=": [since, _var("current_timestamp"), until]}
    return {"and": [{">=": [_var("current_timestamp"), since]}, {"<": [_var("current_timestamp"), until]}]}


def _place(rng: Rng) -> Any:
    """Return names in capitals, as in artifacts."""
    part = rng.choice(("country", "region", "city", "latitude", "longitude"))
    if part in ("latitude", "longitude"):
        return {
            rng.choice(("<", "<=", ">", ">=")): [
                rng.choice(("37.70", "0", 37.7, -122.5)),
                _var(f"geo.{part}"),
            ]
        }
    name = rng.choice(
        ("US", "UNITED STATES", "CA", "CALIFORNIA", "SAN FRANCISCO", "SANFRANCISCO", "ZÜRICH", "FR")
    )
    return _either_way(rng, "==", name, _var(f"geo.{part}"))


def _page(rng: Rng) -> Any:
    where = rng.choice(("page", "page", "page", "referring"))
    part = rng.choice(("url", "path", "query", "fragment", "domain", "subdomain", "topLevelDomain"))
    path = f"{where}.{part}{rng.choice(('', '_lc'))}"
    value = rng.choice(
        (
            "home",
            "/home",
            "foo.com",
            "foo.co.uk",
            "shop",
            "co.uk",
            "com",
            "Q=1",
            "q=1",
            "",
            "local-target-test",
            "/",
        )
    )
    return {rng.choice(("in", "==", "!=")): [value, _var(path)]}


def _browser(rng: Rng) -> Any:
    part = rng.choice(("browserType", "platform", "browserVersion", "locale"))
    if part == "browserVersion":
        return {
            rng.choice(("<", "<=", ">", ">=", "==")): [
                rng.choice((17, "73", 100, "-1")),
                _var("user.browserVersion"),
            ]
        }
    names = (
        "chrome",
        "safari",
        "mobile safari",
        "firefox",
        "edge",
        "ie",
        "unknown",
        "windows",
        "mac",
        "linux",
        "Android",
        "iOS",
        "en",
    )
    return _either_way(rng, "==", rng.choice(names), _var(f"user.{part}"))


def _odd(rng: Rng) -> Any:
    """Return literals, and the allocation in unusual positions."""
    return rng.choice(
        (
            *(True, False, None, 0, 1, "", "x", [], {}, {"a": 1, "b": 2}),
            {"<": [_var("allocation"), rng.randint(0, 100)]},
            {">": [_var("allocation"), rng.randint(0, 100)]},
            {"!": [{"<": [_var("allocation"), rng.randint(0, 100)]}]},
            {"==": [{"%": [_var("allocation"), 2]}, 0]},
            {"if": [_var("mbox.plan"), True, {"<": [_var("allocation"), 50]}]},
            {"some": [["gold", "silver"], {"==": [_var(""), "gold"]}]},
            {"missing": ["mbox.plan", "mbox.n"]},
            {"==": [{"cat": [_var("mbox.plan"), "-", _var("mbox.n")]}, "gold-42"]},
            {"var": ["mbox.nope", rng.choice(("default", False))]},
            {"==": [_var("mbox.plan.length"), 4]},
            {"in": ["gold", {"merge": [_var("mbox.plan"), _var("mbox.Plan")]}]},
        )
    )
