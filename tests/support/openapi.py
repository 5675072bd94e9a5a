"""Requests generated from the API's OpenAPI description, and checks of the edge's responses.

schemathesis generates valid and invalid requests. Few of them reach a rule, so most get a valid
query and names of mboxes of the artifact. Mutants are valid requests with all members that the edge
reads, and one or two changes.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

DESCRIPTION: Final = Path(__file__).parents[3] / "shared" / "openapi" / "delivery" / "api.yaml"
LONGEST_S: Final = 10.0  # a response that takes longer counts as a hang

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_QUERY: Final = {"imsOrgId": "0123456789ABCDEF01234567@AdobeOrg", "sessionId": "s1"}
_DETAILS: Final = {
    "parameters": {"plan": "gold", "member.tier": "Silver", "foo": "bar"},
    "profileParameters": {"age": "42"},
    "order": {"id": "o1", "total": 12.5, "purchasedProductIds": ["p1", "p2"], "time": "2026-11-24T12:00:00Z"},
    "product": {"id": "p1", "categoryId": "c"},
}
_WEB: Final = {
    "channel": "web",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0",
    "address": {"url": "https://www.acme.example/a/b?c=d#e", "referringUrl": "https://news.example.co.uk/"},
    "geo": {
        "ipAddress": "203.0.113.7",
        "countryCode": "DE",
        "stateCode": "BE",
        "city": "Berlin",
        "latitude": 52.5,
    },
    "clientHints": {
        "mobile": False,
        "platform": "Windows",
        "browserUAWithMajorVersion": '"Chromium";v="119"',
    },
    "timeOffsetInMinutes": 60,
    "beacon": False,
}
_ODD: Final = (
    None, True, 0, -1, 2**31, 2**63, -(2**64), 1e308, 0.1, "", " ", "\x00", "\ud800", "é", "😀", "x" * 6000, "9" * 400,
    "2026-13-45T00:00:00Z", [], {}, [None], [[]], {"": ""}, {"a": {"a": {"a": {}}}}, ["x"] * 300,
)  # fmt: skip


# file → the error in it, and the correction
_MENDED: Final = {
    "delivery/api.yaml": (
        "https://{clientCode}.tt.omtrdc.net/",
        "http://127.0.0.1/",
    ),  # a variable without a value
    "delivery/components/MboxRequest.yaml": ("- mbox\n", "- name\n"),  # there is no property `mbox`
    # Tokens and traces contain values, as the examples of the description show, not objects.
    "delivery/components/TraceResponse.yaml": (
        "  additionalProperties:\n    type: object\n",
        "  x-values:\n",
    ),
    "common/components/ResponseTokens.yaml": ("  additionalProperties:\n    type: object\n", "  x-values:\n"),
}


@cache
def operation() -> Any:
    """Return `POST /rest/v1/delivery` of a corrected copy of the description."""
    description = _mended_copy(Path(_folder().name))
    return schemathesis.openapi.from_path(str(description))["/rest/v1/delivery"]["POST"]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that exists until the process ends.

    Without the referenced files every response would pass.
    """
    return tempfile.TemporaryDirectory()


def _mended_copy(folder: Path) -> Path:
    source = DESCRIPTION.parents[1]
    for file in source.rglob("*.yaml"):
        name = file.relative_to(source)
        text = file.read_text("utf-8")
        wrong, meant = _MENDED.get(name.as_posix(), ("", ""))
        assert wrong in text, f"{name} has been mended already"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(wrong, meant) if wrong else text, "utf-8")
    return folder / "delivery" / DESCRIPTION.name


class Prober:
    """A client of an edge. `statuses` counts the responses, `slowest_s` is the longest wait."""

    def __init__(self, url: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def case(self, case: Any) -> None:
        """Send a case; raise without a response that the description allows."""
        self._check(case, lambda: case.call(base_url=self._url, session=self._session, timeout=LONGEST_S))

    def mutant(self, mutant: Mutant) -> None:
        """Send a mutant; raise as `case` does."""
        url = f"{self._url}/rest/v1/delivery"
        self._check(
            None,
            lambda: self._session.post(
                url, params=_QUERY, data=mutant.body, headers=mutant.headers, timeout=LONGEST_S
            ),
        )

    def _check(self, case: Any | None, ask: Callable[[], Any]) -> None:
        started = time.perf_counter()
        answer = ask()
        self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
        self.statuses[answer.status_code] += 1
        check(answer, case)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def __str__(self) -> str:
        return f"{self.statuses.total():,} answers, {dict(self.statuses)}, the slowest after {self.slowest_s:.3f} s"


def check(answer: Any, case: Any | None = None) -> None:
    """Raise for a response that the description does not allow, and for every 5xx."""
    (case or operation().Case()).validate_response(answer, checks=_CHECKS)


def cases(mboxes: Sequence[str]) -> st.SearchStrategy[Any]:
    """Return requests, half of them valid by the description."""
    made = st.one_of(*(operation().as_strategy(generation_mode=mode) for mode in GenerationMode))
    return st.builds(_aimed, made, st.sampled_from([_QUERY, _QUERY, None]), st.sampled_from([*mboxes, None]))


def _aimed(case: Any, query: dict[str, str] | None, mbox: str | None) -> Any:
    if query is not None:
        case.query = dict(query)
    if isinstance(case.body, dict) and mbox is not None:
        for mode in ("execute", "prefetch"):
            for asked in _mboxes(case.body.get(mode)):
                asked["name"] = mbox
    return case


def _mboxes(mode: Any) -> list[dict[str, Any]]:
    mboxes = mode.get("mboxes") if isinstance(mode, dict) else None
    return [one for one in (mboxes if isinstance(mboxes, list) else ()) if isinstance(one, dict)]


class Mutant(NamedTuple):
    body: bytes
    headers: dict[str, str]


def mutant(seed: int, mboxes: Sequence[str]) -> Mutant:
    """Return a valid request with some values, bytes or encodings changed, sometimes none."""
    chance = random.Random(seed)
    document = copy.deepcopy(_good_request(mboxes, chance))
    for _ in range(chance.randint(0, 2)):
        _change(document, chance)
    text = json.dumps(document).encode()
    if chance.random() < 0.2:
        text = _damaged(text, chance)
    headers = {"content-type": chance.choice(["application/json", "application/json", "text/plain", ""])}
    kind = chance.random()
    if kind < 0.1:
        text, headers["content-encoding"] = gzip.compress(text), "gzip"
    elif kind < 0.13:
        text, headers["content-encoding"] = _damaged(gzip.compress(text), chance), "gzip"
    elif kind < 0.15:
        headers["content-encoding"] = chance.choice(["gzip", "br", "identity", "GZIP", "gzip, gzip"])
    return Mutant(text, headers)


def _good_request(mboxes: Sequence[str], chance: random.Random) -> dict[str, Any]:
    """Return a request for a 200, with a random part of all members."""
    asked = [
        {"name": name, "index": index, **_DETAILS} for index, name in enumerate(chance.choices(mboxes, k=3))
    ]
    shown = {
        "id": "n1",
        "type": "display",
        "timestamp": 1_795_800_000_000,
        "tokens": ["t"],
        "mbox": {"name": asked[0]["name"]},
    }
    parts: dict[str, Any] = {
        "id": {"tntId": "3f9c.28_0", "customerIds": [{"id": "1", "integrationCode": "crm", "authenticatedState": "unknown"}]},
        "execute": {"mboxes": asked, "pageLoad": _DETAILS},
        "prefetch": {"mboxes": asked[:1], "views": [{}, {"name": "cart", **_DETAILS}], "pageLoad": {}},
        "notifications": [shown, {**_DETAILS, **shown, "type": "click", "view": {"name": "cart"}, "mbox": None}],
        "telemetry": {"entries": [{"requestId": "r", "execution": 1.5, "features": {"executeMboxCount": 1}}]},
        "property": {"token": "7a1bd75e-a8a1-4c3c-8e4a-6d2e0c1f0a11"},
        "trace": {"authorizationToken": "t", "usage": {"a": "b"}},
        "experienceCloud": {"analytics": {"logging": "server_side"}, "audienceManager": {"locationHint": 9, "blob": "b"}},
        "qaMode": {"token": "482910,482917", "evaluateAsTrueAudienceIds": [1], "previewIndexes": [{"activityIndex": 1, "experienceIndex": 1}]},
        "requestId": "r1",
        "impressionId": "i1",
    }  # fmt: skip
    return {"context": _WEB, **{name: part for name, part in parts.items() if chance.random() < 0.5}}


def _change(document: Any, chance: random.Random) -> None:
    """Change one place: replace a value, remove a member, or insert a part of the document."""
    places = list(_places(document))
    if not places:
        return
    holder, key = chance.choice(places)
    kind = chance.random()
    if kind < 0.6:
        holder[key] = copy.deepcopy(chance.choice(_ODD))
    elif kind < 0.75:
        del holder[key]
    else:
        other, other_key = chance.choice(places)
        holder[key] = copy.deepcopy(other[other_key])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _damaged(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    end = min(len(text), start + chance.randint(0, 8))
    new = chance.choice(
        [b"", b"\x00", b"\xff\xfe", b'"', b"{", b"]", b"\\ud800", chance.randbytes(4), text[start:]]
    )
    return text[:start] if chance.random() < 0.2 else text[:start] + new + text[end:]
