"""Evaluation of all flags over OFREP, and entity tags."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from starlette.testclient import TestClient

from support.device import artifact, rule
from support.edge import web_client
from support.ofrep import ALL, SOMEONE, flags, post
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.in_process import GivenArtifact, MemoryLedger

KEYS = [
    "a b#c", "empty", "gold", "home/hero", "italy", "rest", "split",
    "static", "static:on", "static:steps", "static:rate", "static:name", "static:nested", "static:gone",
]  # fmt: skip


def test_all_flags_are_those_that_the_rules_decide_with_their_members() -> None:
    answer = post(web_client(artifact=flags()), ALL)
    document = answer.json()
    assert answer.status_code == 200
    assert [flag["key"] for flag in document["flags"]] == KEYS
    assert document["metadata"] == {
        "flagSetId": "acme",
        "version": document["flags"][0]["metadata"]["version"],
    }
    values = {flag["key"]: flag.get("value", "(default)") for flag in document["flags"]}
    assert (values["static:steps"], values["gold"], values["split"]) == (3, "(default)", "split")


def test_metadata_has_the_version_of_the_artifact() -> None:
    document = post(web_client(), ALL).json()
    assert document["metadata"] == {"flagSetId": "acme", "version": "2026-11-02T09:14:27.318Z"}


def test_flag_that_fails_does_not_fail_the_others() -> None:
    failed = {flag["key"]: flag for flag in post(web_client(artifact=flags()), ALL, {}).json()["flags"]}
    assert failed["split"] == {
        "key": "split",
        "errorCode": "TARGETING_KEY_MISSING",
        "errorDetails": "an activity splits its visitors, and the context names none",
    }
    assert failed["static:on"]["value"] is True


def test_all_flags_count_no_impression() -> None:
    ledger = MemoryLedger()
    post(web_client(ledger, flags()), ALL)
    assert ledger.events == []


@pytest.mark.parametrize(("body", "code"), [(b"[]", "PARSE_ERROR"), (b'{"context":1}', "INVALID_CONTEXT")])
def test_bad_request_has_no_key(body: bytes, code: str) -> None:
    answer = web_client(artifact=flags()).post(ALL, content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["errorCode", "errorDetails"])
    assert answer.json()["errorCode"] == code


def tag_of(client: TestClient, context: Any = SOMEONE) -> str:
    tag: str = post(client, ALL, context).headers["etag"]
    return tag


def test_tag_is_a_digest_of_the_body() -> None:
    answer = post(web_client(artifact=flags()), ALL)
    assert answer.headers["etag"] == f'"{hashlib.blake2b(answer.content, digest_size=8).hexdigest()}"'
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("query", ["", "?flagConfigEtag=x&flagConfigLastModified=1771622898"])
def test_known_flags_are_304(known: str, query: str) -> None:
    client = web_client(artifact=flags())
    tag = tag_of(client)
    answer = post(client, ALL + query, headers={"if-none-match": known.format(tag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


def test_flags_of_another_context_or_artifact_are_not_known() -> None:
    source = GivenArtifact(flags(), None)
    client = TestClient(EdgeApplication(Edge(source)))
    known = {"if-none-match": tag_of(client)}
    assert post(client, ALL, headers=known).status_code == 304
    assert post(client, ALL, {"plan": "gold"}, headers=known).status_code == 200
    source.replace(flags(meta={"clientCode": "acme", "generatedAt": "2026-12-01T00:00:00Z"}))
    assert post(client, ALL, headers=known).status_code == 200


def test_many_flags_are_evaluated_in_a_thread() -> None:
    many = {f"m{number:04}": [rule(number, name=f"m{number:04}", content="x")] for number in range(1, 301)}
    document = post(web_client(artifact=artifact(many)), ALL).json()
    assert [flag["key"] for flag in document["flags"]] == list(many)


def test_flags_that_are_too_large_together_are_413() -> None:
    large = {f"m{number}": [rule(number, name=f"m{number}", content="x" * 900_000)] for number in range(1, 6)}
    answer = post(web_client(artifact=artifact(large)), ALL)
    assert answer.status_code == 413
    assert answer.json() == {
        "errorDetails": "all flags together are larger than 4,000,000 bytes; evaluate single flags"
    }


def test_body_names_the_event_stream_of_the_same_artifact() -> None:
    client = web_client(artifact=flags())
    for prefix in ("", "/acme", "/acme/production"):
        (stream,) = post(client, prefix + ALL).json()["eventStreams"]
        uri = stream["endpoint"]["requestUri"]
        assert stream == {"type": "sse", "endpoint": {"requestUri": uri}, "inactivityDelaySec": 120}
        assert uri.startswith(f"{prefix}/ofrep/v1/events?since=")
