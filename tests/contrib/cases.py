"""Requests to a site, and what each has to give in every framework.

A framework builds the pages of `PAGES` over a client of an edge, with the options of `web_options`,
and gives `check` a `Site` to ask them by. Its peer is 10.0.0.9, a trusted proxy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Literal, NamedTuple, Protocol

from targetry.edge.in_process import LocalEdge
from targetry.web.consent import Consent

HOST = "shop.example.com"
FAR = 4_000_000_000
MBOX = "hero"
"""The mbox of all pages: each visitor gets an offer, and each decision is an impression."""

PAGES = {
    "/offer": "200, `page_body` with the offer",
    "/unused": "200, and the target is not touched",
    "/context": "200, `context_body`",
    "/missing": "404 after a decision",
    "/failing": "500 after a decision",
    "/raising": "raises RuntimeError after a decision",
    "/redirect": "302 to /offer after a decision",
    "/stream-before": "the offer as a stream, decided before the stream starts",
    "/stream-in": "the offer as a stream, decided while it is sent",
    "/remembered": "as /stream-in, after `remember()`",
    "/static/app": "200; the path is excluded, so that there is no target",
}


def consent_of(header: str | None) -> Any:
    """Return the answer of the option `consent`: the header `x-consent` of a request."""
    if header == "raise":
        raise RuntimeError("the consent store is down")
    return None if header is None else Consent(header)


def web_options(header: Callable[[Any, str], str | None]) -> dict[str, Any]:
    """Return the options of the integration.

    Args:
        header: Returns a header of a framework's request.
    """
    return {
        "consent": lambda request: consent_of(header(request, "x-consent")),
        "exclude": ["/static/"],
        "trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8", "::1"],
        "ip": True,
    }


def page_body(offer: object, target: Any) -> dict[str, Any]:
    """Return the JSON of `/offer`."""
    return {"offer": offer, "tnt": target.tnt_id, "session": target.session_id, "ecid": target.ecid}


def context_body(target: Any) -> dict[str, Any]:
    """Return the JSON of `/context`."""
    context: dict[str, Any] = json.loads(target.context.to_json())
    return context


class Answer(NamedTuple):
    """Response of a site; `headers` are in their order."""

    status: int
    headers: Sequence[tuple[str, str]]
    text: str

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def cookies(self) -> dict[str, str]:
        """Values of the cookies that are set, by name."""
        return {
            name: one.value for text in self.all("set-cookie") for name, one in SimpleCookie(text).items()
        }


class Site(Protocol):
    """Application of a framework, with its client and the edge behind it."""

    edge: LocalEdge

    def get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        """Ask a page of `https://shop.example.com`; an exception of the page is a 500."""

    def stats(self) -> Any:
        """Return the client's counts, once its impressions are sent."""


@dataclass(frozen=True)
class Case:
    """A request, and what it has to give.

    `cookie` says what becomes of the visitor's cookies. `tnt`, `session` and `ecid` are of the
    body; True is any new id.
    """

    path: str = "/offer"
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    status: int = 200
    cookie: Literal["set", "none", "deleted"] = "set"
    tnt: str | bool | None = True
    session: str | bool | None = True
    ecid: str | None = None
    impressions: int = 1
    dropped: int = 0
    fault: str | None = None
    vary: bool = True
    body: Any = None
    has_offer: bool = True


LIVING = f"session#s1#{FAR}|PC#p1.35_0#{FAR}"
EXPIRED = "session#s0#1|PC#p0.35_0#1"
ECID = "12345678901234567890123456789012345678"
AMCV = f"AMCV_0123456789ABCDEF01234567%40AdobeOrg=MCMID%7C{ECID}"
KNOWN: dict[str, Any] = {"tnt": "p1.35_0", "session": "s1"}


def cookie(value: str, **more: str) -> dict[str, str]:
    return {"cookie": value, **more}


CASES = {
    "new visitor": Case(),
    "unused": Case("/unused", cookie(f"mbox={LIVING}"), cookie="none", impressions=0, vary=False),
    "excluded": Case("/static/app", cookie(f"mbox={LIVING}"), cookie="none", impressions=0, vary=False),
    "returning": Case(headers=cookie(f"mbox={LIVING}"), **KNOWN),
    "two mbox cookies": Case(headers=cookie(f"a=b; mbox={EXPIRED}; mbox={LIVING}"), **KNOWN),
    "two living mbox cookies": Case(headers=cookie(f"mbox={LIVING}; mbox=session#s2#{FAR}"), **KNOWN),
    "quoted": Case(headers=cookie(f'mbox="{LIVING}"'), **KNOWN),
    "percent-encoded": Case(
        headers=cookie("mbox=" + LIVING.replace("#", "%23").replace("|", "%7C")), **KNOWN
    ),
    "garbled": Case(headers=cookie("mbox=%%%#|||##; ;;=\x07; mboxEdgeCluster=x@evil")),
    "cookie of 8 KB": Case(headers=cookie(f"junk={'x' * 7900}; mbox={LIVING}"), **KNOWN),
    "mbox cookie of 8 KB": Case(headers=cookie(f"mbox={'|'.join(['junk#j#1'] * 900)}")),
    "expired": Case(headers=cookie(f"mbox={EXPIRED}")),
    "AMCV": Case(headers=cookie(AMCV), tnt=None, ecid=ECID),
    "AMCV and mbox": Case(headers=cookie(f"{AMCV}; mbox={LIVING}"), ecid=ECID, **KNOWN),
    "location hint": Case(headers=cookie(f"mbox=session#s1#{FAR}; mboxEdgeCluster=35"), session="s1"),
    "context": Case(
        "/context",
        {
            "user-agent": "Firefox",
            "referer": "https://a.example/x",
            "accept-language": "de",
            "sec-ch-ua": '"Chromium";v="143"',
            "sec-ch-ua-mobile": "?0",
            "sec-ch-ua-platform": '"Windows"',
            "x-forwarded-for": "1.2.3.4, 203.0.113.9, 10.0.0.8",
        },
        impressions=0,
        has_offer=False,
        body={
            "channel": "web",
            "browser": {"language": "de"},
            "address": {"url": f"https://{HOST}/context", "referringUrl": "https://a.example/x"},
            "geo": {"ipAddress": "203.0.113.9"},
            "userAgent": "Firefox",
            "clientHints": {
                "mobile": False,
                "platform": "Windows",
                "browserUAWithMajorVersion": '"Chromium";v="143"',
            },
        },
    ),
    "query": Case(
        "/context?q=a%20b&x=%C3%A4",
        {"user-agent": ""},
        impressions=0,
        has_offer=False,
        body={"channel": "web", "address": {"url": f"https://{HOST}/context?q=a%20b&x=%C3%A4"}},
    ),
    "URL of 60 KB": Case(
        "/context?" + "q" * 60_000,
        {"user-agent": ""},
        impressions=0,
        has_offer=False,
        body={"channel": "web", "address": {"url": f"https://{HOST}/context"}},
    ),
    "header beyond ASCII": Case(headers={"user-agent": "F\xfcrf\xe4x", "referer": "\xff\xfe"}),
    "granted": Case(headers=cookie(f"mbox={LIVING}", **{"x-consent": "granted"}), **KNOWN),
    "anonymous": Case(
        headers=cookie(f"{AMCV}; mbox={LIVING}", **{"x-consent": "anonymous"}), cookie="none", impressions=0
    ),
    "denied": Case(
        headers=cookie(f"{AMCV}; mbox={LIVING}; mboxEdgeCluster=35", **{"x-consent": "denied"}),
        cookie="deleted",
        impressions=0,
        tnt=None,
        session=None,
        has_offer=False,
    ),
    "consent raises": Case(
        headers=cookie(f"mbox={LIVING}", **{"x-consent": "raise"}),
        cookie="deleted",
        impressions=0,
        tnt=None,
        session=None,
        has_offer=False,
        fault="consent",
    ),
    "404": Case("/missing", status=404),
    "500": Case("/failing", status=500, impressions=0, dropped=1),
    "exception": Case("/raising", status=500, cookie="none", impressions=0, dropped=1, vary=False),
    "redirect": Case("/redirect", status=302),
    "HEAD": Case(method="HEAD", has_offer=False),
    "stream, decided before": Case("/stream-before"),
    "stream, decided in it": Case("/stream-in", cookie="none", fault="cookies", vary=False),
    "stream, remembered": Case("/remembered"),
}
"""Cases by ids. An exception is answered outside of most middleware, so without cookies."""

_JSON_PAGES = ("/offer", "/context")


def check(site: Site, case: Case) -> None:
    """Ask a page, and compare everything that the case names."""
    before = site.stats()
    seen = len(site.edge.events)
    answer = site.get(case.path, case.headers, case.method)
    stats = site.stats()
    assert answer.status == case.status
    check_cookies(case, answer)
    assert ("cookie" in ", ".join(answer.all("vary")).lower()) == case.vary
    events = site.edge.events[seen:]
    assert [(one.kind, one.location) for one in events] == [("display", MBOX)] * case.impressions
    dropped = stats.notifications.dropped.get("response", 0) - before.notifications.dropped.get("response", 0)
    assert dropped == case.dropped
    faults = {
        kind: count - before.web_faults.get(kind, 0)
        for kind, count in stats.web_faults.items()
        if count != before.web_faults.get(kind, 0)
    }
    assert faults == ({} if case.fault is None else {case.fault: 1})
    if case.method == "HEAD":
        assert answer.text == ""
    elif case.path.partition("?")[0] in _JSON_PAGES:
        check_body(case, json.loads(answer.text), answer)
    if "stream" in case.path:
        assert "hero" in answer.text
    if events and isinstance(case.ecid or case.tnt, str):
        assert events[0].visitor == str(case.ecid or case.tnt).partition(".")[0]


def check_cookies(case: Case, answer: Answer) -> None:
    cookies = answer.cookies
    if case.cookie == "none":
        assert cookies == {}
    elif case.cookie == "deleted":
        assert cookies["mbox"] == ""
        assert all("Max-Age=0" in text for text in answer.all("set-cookie"))
    else:
        assert cookies["mbox"].startswith("session#")
        (text,) = (one for one in answer.all("set-cookie") if one.startswith("mbox="))
        assert "; Path=/; SameSite=Lax; Secure" in text
        if isinstance(case.tnt, str):
            assert f"|PC#{case.tnt}#" in text


def check_body(case: Case, body: dict[str, Any], answer: Answer) -> None:
    if case.body is not None:
        body.get("geo", {}).pop("ipAddress", None) if "geo" not in case.body else None
        assert {name: value for name, value in body.items() if value != {}} == case.body
        return
    assert (body["offer"] is not None) == case.has_offer
    for name, expected in (("tnt", case.tnt), ("session", case.session), ("ecid", case.ecid)):
        assert body[name] is not None if expected is True else body[name] == expected, name
    if case.cookie == "set" and body["tnt"] is not None:
        assert f"session#{body['session']}#" in answer.cookies["mbox"]
        assert f"|PC#{body['tnt']}#" in answer.cookies["mbox"]
