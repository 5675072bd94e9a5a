"""Dicts with names: of artifacts, and of contexts."""

from __future__ import annotations

from support.cases import each_case
from target_decisioning_engine.types import decisioning_artifact, decisioning_context
from target_python_sdk import TargetClient
from targetry import samples


@each_case(
    "name",
    ["DecisioningArtifact", "DecisioningArtifactMeta", "DecisioningArtifactRules", "Rule", "RuleMeta"],
)
def test_part_of_an_artifact_is_a_dict_that_keeps_every_key(name: str) -> None:
    kind = getattr(decisioning_artifact, name)
    assert kind({"ruleKey": "1", "meta": {"activity.id": 1}}) == {"ruleKey": "1", "meta": {"activity.id": 1}}
    assert kind() == kind(None) == {}


@each_case("name", ["DecisioningContext", "GeoContext", "PageContext", "TimingContext", "UserContext"])
def test_context_is_a_dict_of_its_keywords(name: str) -> None:
    assert getattr(decisioning_context, name)(browserType="firefox") == {"browserType": "firefox"}


def test_artifact_made_of_them_decides() -> None:
    artifact = decisioning_artifact.DecisioningArtifact(samples.shop())
    hero = [decisioning_artifact.Rule(rule) for rule in artifact["rules"]["mboxes"]["hero"]]
    artifact["rules"] = decisioning_artifact.DecisioningArtifactRules({"mboxes": {"hero": hero}})
    with TargetClient.create(
        {
            "client": "acme",
            "organization_id": "1234567890@AdobeOrg",
            "decisioning_method": "on-device",
            "artifact_payload": artifact,
            "polling_interval": 0,
            "send_notification_func": lambda impression: None,
        }
    ) as client:
        offers = client.get_attributes(["hero"]).get_response()
    assert offers["response"].execute.mboxes[0].options
