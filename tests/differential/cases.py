"""Random requests for an artifact; a seed always gives the same cases."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

from differential import artifacts, suites
from differential.artifacts import CLOCKS, GLOBAL_MBOX, PARAMETERS, PROPERTIES, TEXTS, Rng

Question = dict[str, Any]
"""`artifact`, `request` (wire JSON), `sessionId`, `now` (epoch ms), `conf` (client options)."""

_FIREFOX = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:73.0) Gecko/20100101 Firefox/73.0"
_CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36"
USER_AGENTS = (
    _FIREFOX,
    _CHROME,
    _CHROME + " Edg/119.0.2151.58",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0 Safari/537.36 Edge/17.17134",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/119.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/119.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:109.0) Gecko/20100101 Firefox/119.0",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.1.2",
    "",
    "Größe/1.0 \U0001f600 Chrome/1",
)
PLATFORM_HINTS = ("Windows", "macOS", "Linux", "Android", "Chrome OS", "")
BRAND_HINTS = (
    '"Chromium";v="119", "Google Chrome";v="119", "Not?A_Brand";v="24"',
    '"Microsoft Edge";v="117.0.1", "Chromium";v="119.0.2"',
    '"Safari";v="16.5"',
    "nonsense",
    "",
)
URLS = (
    "http://local-target-test/",
    "http://local-target-test:8080/home?bar=true#hello",
    "https://www.foo.com/Home?q=1#Top",
    "https://shop.foo.co.uk/home/",
    "https://WWW.Shop.FOO.co.uk/A/b?Q=1&q=1",
    "http://a.b.c.d.foo.com",
    "http://my-site.us-east-1.elasticbeanstalk.com/x",
    "http://user:secret@foo.com:81/x",
    "https://foo.com/?a=b?c=d#e#f",
    "https://foo.com/%7Ex/ü?ö=ß#ä",
    "http://127.0.0.1:8080/a",
    "http://localhost:3000/",
    "foo.com/path",
    "https://shop.foo.com.au/%E2%9C%93?utm_source=x&Q=1&q=1#/a/b?c",
    "HTTPS://WWW.EXAMPLE.ORG:443/Home",
    "https://xn--bcher-kva.de/home",
    "app-x://open/home?q=1",
    "https://foo.com/home" + "/x" * 1000,
    "",
)
_IDS = (
    "338e3c1e51f7416a8e1ccba4f81acea0",
    "338e3c1e51f7416a8e1ccba4f81acea0.28_0",
    "550e8400-e29b-41d4-a716-446655440000.35_0",
    "\U0001f600x",
    "größe",
    "日本.28_0",
    "a.b.c",
    "a.",
    "\0",
    "x" * 128,
    "\U0010ffff\U00010000",
)
_ECIDS = ("07327024324407615852294135870030620007", "12345")
_CUSTOMER_IDS = [{"id": "crm-7", "integrationCode": "crm", "authenticatedState": "authenticated"}]
_ODD_VALUES: tuple[Any, ...] = (
    *(
        "GOLD",
        "x" * 200,
        42,
        0,
        1.5,
        1e21,
        -0.0,
        True,
        False,
        0.1 + 0.2,
        1e-7,
        5e-324,
        2**53,
        -(2**53),
        123456789.0,
    ),
    *("aΣ", "ΣΑ Σ", "İ", "\U00010400", "a" * 5000, "\u00a042", "4\ufeff2", "-Infinity"),
)


def cases(seed: int, count: int, *, requests_per_artifact: int = 10) -> Iterator[Question]:
    """Yield `count` cases over generated artifacts and, if present, those of the suites."""
    rng = random.Random(seed)
    real = [suites.artifact(name) for name in suites.artifact_names()]
    for start in range(0, count, requests_per_artifact):
        chosen = rng.choice(real) if real and rng.random() < 0.2 else artifacts.artifact(rng)
        for _ in range(min(requests_per_artifact, count - start)):
            yield question(rng, chosen)


def question(rng: Rng, artifact: Mapping[str, Any]) -> Question:
    """Return one call of a visitor for this artifact."""
    return {
        "artifact": artifact,
        "request": _Request(rng, artifact).build(),
        "sessionId": f"session-{rng.randint(1, 99)}",
        "now": rng.choice(CLOCKS)
        if rng.random() < 0.5
        else rng.randint(1_500_000_000_000, 1_900_000_000_000),
        "conf": {"client": rng.choice(("acme", "someClientId", "größe"))},
    }


class _Request:
    def __init__(self, rng: Rng, artifact: Mapping[str, Any]) -> None:
        self.rng = rng
        rules = artifact["rules"]
        self.mboxes = [*rules["mboxes"], GLOBAL_MBOX, "empty", "unknown"]
        self.views = [*rules["views"], "unknown"]
        # Node takes the page of a location's own address for the referring one too (D-17).
        self.same_address = '"referring.' in repr(artifact).replace("'", '"')
        self.parameters = [*PARAMETERS, *_asked_parameters(artifact)]
        self.values = _wanted_values(artifact)
        self.clashes = False  # of parameters: Node is asked without them (D-48), which a trace would show

    def build(self) -> dict[str, Any]:
        rng = self.rng
        request: dict[str, Any] = {"requestId": f"request-{rng.randint(1, 99)}", "context": self._context()}
        visitor = self._visitor()
        if visitor is not None:
            request["id"] = visitor
        modes = rng.choice((("execute",), ("prefetch",), ("prefetch",), ("execute", "prefetch")))
        for mode in modes:
            request[mode] = self._mode(mode)
        if rng.random() < 0.4:
            request["property"] = {"token": rng.choice((*PROPERTIES, "unknown"))}
        if rng.random() < 0.25 and not self.clashes:
            request["trace"] = {}
        return request

    def _visitor(self) -> dict[str, Any] | None:
        rng = self.rng
        visitor: dict[str, Any] = {}
        if rng.random() < 0.7:
            visitor["tntId"] = rng.choice(
                (*_IDS, f"{rng.getrandbits(64):x}", f"{rng.getrandbits(64):x}.35_0")
            )
        if rng.random() < 0.3:
            visitor["marketingCloudVisitorId"] = rng.choice((*_ECIDS, str(rng.getrandbits(100))))
        if rng.random() < 0.2:
            visitor["thirdPartyId"] = rng.choice(("third.party.7", "third", "größe"))
        if rng.random() < 0.1 and visitor:
            visitor["customerIds"] = copy.deepcopy(_CUSTOMER_IDS)
        return visitor or None

    def _context(self) -> dict[str, Any]:
        rng = self.rng
        context: dict[str, Any] = {"channel": "web"}
        if rng.random() < 0.9:
            context["address"] = self._address()
        if rng.random() < 0.9:
            context["userAgent"] = rng.choice(USER_AGENTS)
        if rng.random() < 0.2:
            context["clientHints"] = self._hints()
        if rng.random() < 0.6:
            context["geo"] = self._geo()
        return context

    def _hints(self) -> dict[str, Any]:
        rng = self.rng
        hints: dict[str, Any] = {"mobile": rng.random() < 0.5}
        if rng.random() < 0.7:
            hints["platform"] = rng.choice(PLATFORM_HINTS)
        for key in ("browserUAWithMajorVersion", "browserUAWithFullVersion"):
            if rng.random() < 0.5:
                hints[key] = rng.choice(BRAND_HINTS)
        return hints

    def _geo(self) -> dict[str, Any]:
        rng = self.rng
        geo: dict[str, Any] = {}
        choices: dict[str, tuple[Any, ...]] = {
            "city": (
                "SAN FRANCISCO",
                "San Francisco",
                "sanfrancisco",
                "ZÜRICH",
                "Zürich",
                "Straße",
                "İzmir",
                "東京",
                "",
            ),
            "countryCode": ("US", "us", "FR"),
            "stateCode": ("CA", "ca", "CAL"),
            "latitude": (37.74, 0.0, -10.5, 37),
            "longitude": (-122.24, 0.0, 8.5),
        }
        for key, values in choices.items():
            if rng.random() < 0.6:
                geo[key] = rng.choice(values)
        return geo

    def _address(self, own: bool = False) -> dict[str, Any]:
        rng = self.rng
        url = rng.choice(URLS)
        if own and self.same_address:
            return {"url": url, "referringUrl": url}
        address = {"url": url}
        if rng.random() < 0.6:
            address["referringUrl"] = rng.choice(URLS)
        return address if rng.random() < 0.95 else {}

    def _mode(self, mode: str) -> dict[str, Any]:
        rng = self.rng
        asked: dict[str, Any] = {}
        if rng.random() < 0.8:
            asked["mboxes"] = [self._mbox(i) for i in range(rng.choice((1, 1, 2, 3, 6)))]
        if rng.random() < 0.3:
            asked["pageLoad"] = self._details()
        if mode == "prefetch" and rng.random() < 0.4:
            asked["views"] = self._views()
        return asked or {"pageLoad": {}}

    def _mbox(self, position: int) -> dict[str, Any]:
        rng = self.rng
        mbox = {"name": rng.choice(self.mboxes), **self._details()}
        if rng.random() < 0.8:
            mbox["index"] = position + 1 if rng.random() < 0.9 else 0
        return mbox

    def _views(self) -> list[dict[str, Any]]:
        rng = self.rng
        if rng.random() < 0.5:
            return [self._details()]
        return [{"name": rng.choice(self.views), **self._details()} for _ in range(rng.randint(1, 3))]

    def _details(self) -> dict[str, Any]:
        rng = self.rng
        details: dict[str, Any] = {}
        if rng.random() < 0.7:
            details["parameters"] = self._parameters()
        if rng.random() < 0.2:
            details["profileParameters"] = {"plan": "gold"}
        if rng.random() < 0.2:
            details["address"] = self._address(own=True)
        return details

    def _parameters(self) -> dict[str, Any]:
        rng = self.rng
        names = rng.sample(self.parameters, rng.randint(0, 5))
        self.clashes |= any(other.startswith(f"{name}.") for name in names for other in names)
        return {name: self._value() for name in names}

    def _value(self) -> Any:
        rng = self.rng
        if rng.random() < 0.4:
            return rng.choice(self.values)
        return rng.choice((*TEXTS, *_ODD_VALUES))


def _asked_parameters(artifact: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters that the conditions read."""
    found = [value for key, value in _leaves(artifact["rules"]) if key == "var" and isinstance(value, str)]
    names = {path[5:].removesuffix("_lc") for path in found if path.startswith("mbox.")}
    return sorted(name for name in names if name and not name.endswith(".length"))


def _wanted_values(artifact: Mapping[str, Any]) -> list[str]:
    """Return the values that conditions compare with."""
    compared = {
        str(value) for key, value in _leaves(artifact["rules"]) if key == "" and isinstance(value, str)
    }
    return sorted(value for value in compared if len(value) < 30) or ["gold"]


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield scalars with their object key, `""` in lists."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _leaves(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value)
    else:
        yield key, tree
