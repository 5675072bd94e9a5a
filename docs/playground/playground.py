"""Body of the playground: decisions, explanations and splits, from JSON to JSON.

It runs in the browser on Pyodide, and in the tests on CPython.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from targetry import ArtifactError, OptionError, TargetClient, TargetError, samples
from targetry.activities.compile.compiler import artifact_bytes, compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.lint.checker import check_loaded
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.device.explain.explanation import Verdict
from targetry.humanize.explanation import (
    condition_parts,
    describe_experience,
    describe_reason,
)
from targetry.testing import FakeTransport, activity, artifact

VISITORS = 1000
ACTIVITIES = """\
# An activity as YAML. More files follow a line of three hyphens.
key: headline
name: Headline
audience: returning
metrics: [{type: click}]
experiences:
  - key: welcome
    share: 70
    offers:
      - mbox: hero
        html: <h1>Welcome back</h1>
  - key: sale
    share: 30
    offers:
      - mbox: hero
        html: <h1>Autumn sale</h1>
---
client: acme
audiences:
  returning: mbox.visits > 1
"""
_known: dict[str, _Loaded] = {}


class _Loaded(NamedTuple):
    """Client of an artifact, and what the page shows of activities.

    `compiled` is the artifact that they were compiled to, None for a given artifact.
    """

    client: TargetClient
    findings: list[str]
    compiled: str | None


class ActivitiesError(Exception):
    """Activities cannot be compiled; the text has one finding on each line."""


def examples() -> str:
    """Return the artifacts and requests to start from, as JSON."""
    split = artifact(
        activity("Headline")
        .ab(Welcome=50, Sale=50)
        .on("hero", Welcome="Welcome", Sale="Autumn sale")
        .click(),
    )
    audiences = artifact(
        activity("Gold members", property=None).xt("Gold").when(plan="gold").on("banner", {"discount": 20}),
        activity("Phones").xt("App").when(platform=["iOS", "Android"]).on("banner", {"app": True}),
        activity("Everybody").xt("Everybody").on("banner", {"discount": 0}),
    )
    found: list[tuple[str, Any, list[str], dict[str, str]]] = [
        ("The sample shop", samples.shop(), ["hero", "checkout-flags", "delivery-note"], {}),
        ("A split", split, ["hero"], {}),
        ("Audiences", audiences, ["banner"], {"plan": "gold"}),
        ("Activities as YAML", ACTIVITIES, ["hero"], {"visits": "3"}),
    ]
    return json.dumps(
        [
            {
                "name": name,
                "artifact": document if isinstance(document, str) else json.dumps(document, indent=2),
                "request": json.dumps(_request(mboxes, parameters), indent=2),
            }
            for name, document, mboxes, parameters in found
        ]
    )


def answer(state: str) -> str:
    """Return offers, explanation and code for an artifact and a request.

    Args:
        state: JSON with `artifact`, a text of JSON or of activities as YAML, and `request`, a text
            of JSON.

    Returns:
        JSON with `locations`, `code`, `findings` and `compiled`, or with `error`: the `field` of
        the page, and a `message`.
    """
    return json.dumps(_caught(_answer, json.loads(state)))


def split(state: str) -> str:
    """Return how often each experience is decided for visitors of new ids, as JSON.

    Args:
        state: as for `answer`.

    Returns:
        JSON with `mboxes`: the `name` of each, and its `experiences` with `name` and `count`.
    """
    return json.dumps(_caught(_split, json.loads(state)))


def _caught(work: Any, state: Mapping[str, str]) -> dict[str, Any]:
    try:
        loaded = _loaded(state["artifact"])
    except (ArtifactError, OptionError, ActivitiesError) as error:
        return {"error": {"field": "artifact", "message": str(error)}}
    try:
        request = json.loads(state["request"])
    except ValueError as error:
        return {"error": {"field": "request", "message": f"the request is not JSON: {error}"}}
    try:
        found: dict[str, Any] = work(loaded, request)
    except (TargetError, AttributeError, TypeError) as error:
        return {"error": {"field": "request", "message": str(error)}}
    return found


def _loaded(text: str) -> _Loaded:
    """Return a client that decides by an artifact or activities; the last one is kept."""
    if text not in _known:
        is_artifact = text.lstrip().startswith(("{", "["))
        source, findings = (text, []) if is_artifact else _compiled(text)
        client = TargetClient.create(
            client="acme",
            organization_id="1@AdobeOrg",
            decisioning_method="on-device",
            artifact_payload=source,
            polling_interval=0,
            transport=FakeTransport(),
            send_notification_func=lambda payload: None,
            telemetry_enabled=False,
        )
        _known.clear()
        compiled = None if is_artifact else json.dumps(json.loads(source), indent=2, ensure_ascii=False)
        _known[text] = _Loaded(client, findings, compiled)
    return _known[text]


def _compiled(text: str) -> tuple[str, list[str]]:
    """Return the artifact of activities, and the findings that are no errors.

    A document with a client is the file `targetry.yaml`.
    """
    files, starts = {"targetry.yaml": "client: acme\n"}, {"targetry.yaml": 0}
    for start, document in _documents(text):
        name = "targetry.yaml" if re.search(r"^client:", document, re.MULTILINE) else f"line-{start + 1}.yaml"
        files[name], starts[name] = document, start
    with tempfile.TemporaryDirectory() as place:
        for name, document in files.items():
            (Path(place) / name).write_text(document, "utf-8")
        loaded = load_folder(ActivityFolder(place))
    findings = check_loaded(loaded, int(time.time() * 1000))
    result = None if loaded.activities is None else compile_activities(loaded.activities)
    lines = [_line(one, starts.get(one.file, 0)) for one in findings]
    if result is None or loaded.findings or result.findings:
        raise ActivitiesError("\n".join(lines))
    return artifact_bytes(next(iter(result.artifacts.values()))).decode(), lines


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Yield the documents of a text that are not empty, each with the number of lines before it."""
    start = 0
    for document in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE):
        if document.strip():
            yield start, document
        start += document.count("\n")


def _line(finding: Finding, start: int) -> str:
    return str(replace(finding, file="", line=finding.line + start)).removeprefix(":")


def _answer(loaded: _Loaded, request: dict[str, Any]) -> dict[str, Any]:
    offers = loaded.client.get_offers(request=request)
    locations = []
    for explained in loaded.client.explain_request(offers.request).locations:
        location = explained.location
        if location.type == "mbox":
            options = offers.mbox(location.name or "").options
        elif location.type == "view":
            options = offers.view(location.name or "").options if location.name else []
        else:
            options = offers.page_load.options
        locations.append(
            {
                "name": location.name or location.type,
                "type": location.type,
                "mode": location.mode,
                "isRemote": explained.is_remote,
                "offers": [{"type": one.type, "content": _text(one.content)} for one in options],
                "rules": [_rule(rule) for rule in explained.rules],
                "changes": explained.changes,
            }
        )
    return {
        "locations": locations,
        "code": _code(request, is_artifact=loaded.compiled is None),
        "findings": loaded.findings,
        "compiled": loaded.compiled,
    }


def _rule(rule: Any) -> dict[str, Any]:
    return {
        "activity": rule.meta.get("activity.name"),
        "experience": describe_experience(rule.meta) or "without a name",
        "isMatched": rule.verdict is Verdict.MATCHED,
        "isReached": rule.verdict is not Verdict.NOT_REACHED,
        "reason": describe_reason(rule),
        "parts": [
            {"depth": part.depth, "holds": part.holds, "text": part.text, "value": part.value or part.error}
            for part in condition_parts(rule.condition)
        ],
    }


def _split(loaded: _Loaded, request: dict[str, Any]) -> dict[str, Any]:
    client = loaded.client
    asked = client.get_offers(request=request).request
    parts = [part for part in (asked.execute, asked.prefetch) if part is not None]
    mboxes = [mbox for part in parts for mbox in part.mboxes or ()][:20]
    token = None if asked._property is None else asked._property.token
    counts: list[Counter[str]] = [Counter() for _ in mboxes]
    for number in range(VISITORS):
        visitor = client.visitor(tnt_id=f"visitor-{number}", context=asked.context, property_token=token)
        for count, mbox in zip(counts, mboxes, strict=True):
            decision = client.decide(mbox.name or "", visitor, parameters=mbox.parameters, shown=False)
            experience = decision.experience
            name = "default content" if experience is None else experience.name or str(experience.id)
            count["decided by Target" if decision.reason == "remote" else name] += 1
    return {
        "visitors": VISITORS,
        "mboxes": [
            {
                "name": mbox.name,
                "experiences": [{"name": name, "count": number} for name, number in count.most_common()],
            }
            for mbox, count in zip(mboxes, counts, strict=True)
        ],
    }


def _request(mboxes: list[str], parameters: dict[str, Any]) -> dict[str, Any]:
    asked = [{"index": index, "name": name, "parameters": parameters} for index, name in enumerate(mboxes)]
    return {
        "id": {"tntId": "visitor-1"},
        "context": {
            "channel": "web",
            "address": {"url": "https://shop.example/"},
            "userAgent": "",
            "geo": {"countryCode": "US"},
        },
        "execute": {"mboxes": asked},
    }


def _text(content: Any) -> str:
    return content if isinstance(content, str) else msgspec.json.format(msgspec.json.encode(content)).decode()


def _code(request: dict[str, Any], *, is_artifact: bool) -> dict[str, str]:
    """Return the same call in other forms."""
    text = json.dumps(request, indent=4)
    python = text.replace(": true", ": True").replace(": false", ": False").replace(": null", ": None")
    edge = "targetry edge rules.json" if is_artifact else "targetry edge --activities activities"
    compiling = "" if is_artifact else "# targetry activities compile -O rules.json\n"
    return {
        "Python": (
            f"{compiling}from targetry import TargetClient\n\n"
            'client = TargetClient.create(\n    client="acme",\n    organization_id="1@AdobeOrg",\n'
            '    decisioning_method="on-device",\n    artifact_location="rules.json",\n)\n'
            f"offers = client.get_offers(request={python})\n"
        ),
        "curl": (
            f"{edge} &\n"
            "curl 'http://127.0.0.1:8080/rest/v1/delivery?client=acme&sessionId=session-1' \\\n"
            f"  -H 'Content-Type: application/json' -d '{json.dumps(request)}'\n"
        ),
        "pytest": (
            f"{compiling}import json\nfrom pathlib import Path\n\nfrom targetry import TargetClient\n\n\n"
            "def test_offers(target):\n"
            '    target.serve(json.loads(Path("rules.json").read_text()))\n'
            '    with TargetClient.create(client="acme", organization_id="1@AdobeOrg", decisioning_method="on-device") as client:\n'
            f"        offers = client.get_offers(request={_indented(python)})\n"
            "    assert offers.content(…) == …\n"
        ),
    }


def _indented(text: str) -> str:
    return text.replace("\n", "\n        ")
