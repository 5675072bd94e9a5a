"""Options of OFREP: routes, tokens, targeting key, reasons; and the choice of the artifact."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.device import CLIENT, artifact, rule
from support.edge import web_client
from support.ofrep import ALL, ONE, SOMEONE, evaluate, flags, post
from targetry import OptionError
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.edge.assembly import check_edge_options, open_edge
from targetry.edge.in_process import GivenArtifact, MemoryLedger
from targetry.edge.ofrep.settings import Tokens, ofrep_settings
from targetry.edge.options import EdgeOptions
from targetry.ledger.reader import Reader


@pytest.mark.parametrize("path", [ONE + "gold", ALL, "/ofrep/v1/events"])
def test_edge_without_ofrep_has_none_of_its_routes(path: str) -> None:
    answer = post(web_client(artifact=flags(), ofrep=None), path)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


WITH_TOKENS = web_client(artifact=flags(), ofrep=ofrep_settings(tokens=["first", "second"]))


@each_case(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second"},
        {"x-api-key": "second"},
        {"authorization": "Basic x", "x-api-key": "first"},
    ],
)
@each_case("path", [ONE + "static:on", ALL])
def test_token_admits(headers: dict[str, str], path: str) -> None:
    assert post(WITH_TOKENS, path, headers=headers).status_code == 200


@each_case(
    "headers",
    [
        {},
        {"authorization": "Bearer other"},
        {"authorization": "first"},
        {"authorization": "Basic first"},
        {"authorization": "Bearer "},
        {"x-api-key": ""},
        {"x-api-key": "firs"},
    ],
)
@each_case("path", [ONE + "static:on", ALL])
def test_wrong_token_is_401(headers: dict[str, str], path: str) -> None:
    answer = post(WITH_TOKENS, path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert list(answer.json()) == ["errorDetails"]


def test_other_routes_need_no_token() -> None:
    assert WITH_TOKENS.get("/healthz").status_code == 200


def test_tokens_are_not_shown() -> None:
    assert repr(Tokens(["secret"])) == "Tokens(1)"


def test_event_stream_of_an_edge_with_tokens_has_a_key_in_its_uri() -> None:
    document = post(WITH_TOKENS, ALL, headers={"x-api-key": "first"}).json()
    uri = document["eventStreams"][0]["endpoint"]["requestUri"]
    assert "&key=" in uri
    assert "first" not in uri
    assert WITH_TOKENS.get(uri + "x").status_code == 401


@pytest.mark.parametrize(
    ("option", "visitor"),
    [("third-party-id", "third_party_id"), ("tnt-id", "tnt_id"), ("ecid", "marketing_cloud_visitor_id")],
)
def test_targeting_key_is_the_id_of_the_option(option: Any, visitor: str) -> None:
    assert ofrep_settings(targeting_key=option).targeting.field == visitor


def test_targeting_key_fills_the_parameter_of_the_option() -> None:
    condition = {"==": [{"var": "mbox.user"}, "u1"]}
    document = artifact({"mine": [rule(1, condition, content="mine", name="mine")]})
    settings = ofrep_settings(targeting_key_parameter="user")
    assert evaluate(web_client(artifact=document, ofrep=settings), "mine").json()["value"] == "mine"
    assert "value" not in evaluate(web_client(artifact=document), "mine").json()


def test_reasons_that_the_schema_does_not_list_are_unknown_if_strict(tmp_path: Path) -> None:
    strict = web_client(artifact=flags(), ofrep=ofrep_settings(reasons="strict"))
    assert evaluate(strict, "rest").json()["reason"] == "UNKNOWN"
    assert evaluate(strict, "static:on").json()["reason"] == "STATIC"
    assert {flag.get("reason") for flag in post(strict, ALL).json()["flags"]} == {
        "STATIC", "SPLIT", "UNKNOWN"
    }  # fmt: skip


def test_flags_of_an_artifact_whose_file_was_rejected_are_stale(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(msgspec.json.encode(flags()))
    watcher = ArtifactWatcher([file])
    client = TestClient(EdgeApplication(Edge(watcher)))
    assert evaluate(client, "split").json()["reason"] == "SPLIT"
    file.write_text("broken")
    watcher.refresh()
    document = evaluate(client, "split").json()
    assert (document["reason"], document["metadata"]["reason"]) == ("STALE", "SPLIT")


@each_case(
    "option, value",
    [
        ("ofrep_tokens", [""]),
        ("ofrep_tokens", ["a b"]),
        ("ofrep_tokens", ["é"]),
        ("ofrep_targeting_key", "name"),
        ("ofrep_targeting_key_parameter", ""),
        ("ofrep_impressions", "all"),
        ("ofrep_reasons", "some"),
    ],
)
def test_wrong_option_raises_with_its_name(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        check_edge_options(EdgeOptions(**{option: value}))
    assert caught.value.path == option


def test_options_of_the_command_reach_the_routes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = EdgeOptions(ofrep_tokens=["t"], ofrep_reasons="strict")
    edge = open_edge(options, logging.getLogger("edge"))
    try:
        client = TestClient(edge.application)
        assert evaluate(client, "hero").status_code == 401
        document = evaluate(client, "delivery-note", headers={"x-api-key": "t"}).json()
        assert document["reason"] == "UNKNOWN"
    finally:
        edge.close()
    assert "ofrep_token" not in caplog.text


@pytest.mark.parametrize(
    ("given", "status", "visitors"),
    [
        ({}, 200, ["u1.35_0"]),
        ({"ofrep_targeting_key": "tnt-id"}, 200, ["u1"]),
        ({"ofrep_impressions": "none"}, 200, []),
        ({"ofrep": False}, 404, []),
    ],
    ids=["none", "targeting key", "impressions", "no ofrep"],
)
def test_option_of_the_command_decides_what_is_recorded(
    given: dict[str, Any], status: int, visitors: list[str], tmp_path: Path
) -> None:
    edge = open_edge(EdgeOptions(data=tmp_path, **given), logging.getLogger("edge"))
    answer = evaluate(TestClient(edge.application), "hero", {"targetingKey": "u1.35_0"})
    edge.close()
    assert answer.status_code == status
    with Reader.open(tmp_path) as reader:
        assert [one.visitor for one in reader.events()] == visitors


def test_parameter_of_the_command_has_the_targeting_key(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    condition = {"==": [{"var": "mbox.user"}, "u1"]}
    file.write_bytes(msgspec.json.encode(artifact({"mine": [rule(1, condition, content="x", name="mine")]})))
    options = EdgeOptions(artifacts=[file], ofrep_targeting_key_parameter="user")
    edge = open_edge(options, logging.getLogger("edge"))
    assert evaluate(TestClient(edge.application), "mine").json()["value"] == "x"
    edge.close()


class Artifacts(GivenArtifact):
    """Several artifacts, each with a flag `who` that says which."""

    def __init__(self, *names: tuple[str, str]) -> None:
        self.reloads = self.refusals = 0
        self.registry = ArtifactRegistry(self._loaded(*name) for name in names)

    def _loaded(self, client: str, environment: str) -> LoadedArtifact:
        document = artifact(
            {"who": [rule(1, content=f"{client} {environment}", name="who")]},
            meta={"clientCode": client, "environment": environment},
        )
        return LoadedArtifact(client, msgspec.json.encode(document))


SEVERAL = TestClient(
    EdgeApplication(Edge(Artifacts((CLIENT, "production"), (CLIENT, "staging"), ("globex", ""))))
)


@each_case(
    "prefix, who",
    [
        ("/acme", "acme production"),
        ("/acme/staging", "acme staging"),
        ("/globex", "globex "),
        ("/globex/any", "globex "),
    ],
)
def test_prefix_selects_the_artifact(prefix: str, who: str) -> None:
    assert post(SEVERAL, f"{prefix}{ONE}who").json()["value"] == who
    assert post(SEVERAL, f"{prefix}{ALL}").json()["flags"][0]["value"] == who


@pytest.mark.parametrize(
    ("prefix", "details"),
    [
        ("", "say which client: /<client>/ofrep/v1/…; here are acme, globex"),
        ("/other", "client 'other' is not served here; served: acme, globex (option --client)"),
        ("/acme/dev", "client 'acme' has no environment 'dev' here; served: production, staging"),
    ],
)
def test_prefix_that_selects_none_is_a_general_error(prefix: str, details: str) -> None:
    for path in (f"{prefix}{ONE}who", f"{prefix}{ALL}"):
        answer = post(SEVERAL, path)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "GENERAL")
        assert answer.json()["errorDetails"] == details


def test_edge_without_an_artifact_is_503() -> None:
    for path in (ONE + "who", ALL):
        answer = post(TestClient(EdgeApplication(Edge(Artifacts()))), path)
        assert (answer.status_code, list(answer.json())) == (503, ["errorDetails"])


def test_recorded_visitor_is_the_id_of_the_option() -> None:
    ledger = MemoryLedger()
    settings = ofrep_settings(targeting_key="ecid")
    evaluate(web_client(ledger, flags(), ofrep=settings), "split", {**SOMEONE, "thirdPartyId": "p"})
    assert [event.visitor for event in ledger.events] == ["u1"]
