"""QA mode on device: `get_offers`, `decide` and `flag` by the rules of the edge."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from targetry import (
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    OptionError,
    QAMode,
    QAModePreviewIndex,
    TargetClient,
    TargetryWarning,
    VisitorId,
)
from targetry.samples import shop

NAMES = ["Everyday", "Autumn sale", "Free delivery"]
ADOBES = "dGhlIHRva2Vu"


@pytest.fixture
def reported() -> list[Any]:
    return []


@pytest.fixture
def client(reported: list[Any]) -> Iterator[TargetClient]:
    options: dict[str, Any] = {
        "client": "acme",
        "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
        "decisioning_method": "on-device",
        "artifact_payload": shop(),
        "polling_interval": 0,
        "telemetry_enabled": False,
        "send_notification_func": reported.append,
    }
    with TargetClient.create(**options) as made:
        yield made


def mode(experience: int, token: str = "482917,482910") -> QAMode:
    return QAMode(
        token=token, preview_indexes=[QAModePreviewIndex(activity_index=2, experience_index=experience)]
    )


def shown(client: TargetClient, qa: Any) -> list[str | None]:
    """Return the experience of the hero for one visitor, as each of the three calls has it."""
    mboxes = [MboxRequest(name="hero", index=0)]
    request = DeliveryRequest(id=VisitorId("a1b2"), execute=ExecuteRequest(mboxes=mboxes), qa_mode=qa)
    tokens = client.get_offers(request=request).execute.mboxes[0].options[0].response_tokens
    visitor = client.visitor(tnt_id="a1b2", qa_mode=qa)
    decision = client.decide("hero", visitor)
    assert decision.experience is not None
    details = client.flag_details("hero", None, visitor=visitor)
    everything = client.all_flags(visitor=visitor)
    return [tokens["experience.name"], decision.experience.name, details.variant, everything["hero"].variant]


@pytest.mark.parametrize("index", [1, 2, 3])
def test_preview_index_selects_the_experience_of_all_calls(client: TargetClient, index: int) -> None:
    assert shown(client, mode(index)) == [NAMES[index - 1]] * 4


def test_nothing_is_reported_in_qa_mode(client: TargetClient, reported: list[Any]) -> None:
    shown(client, mode(2))
    decision = client.decide("hero", client.visitor(tnt_id="a1b2", qa_mode=mode(2)), shown=False)
    assert not decision.shown()
    assert not decision.is_shown
    assert reported == []
    client.decide("hero", client.visitor(tnt_id="a1b2"))
    assert len(reported) == 1


def test_other_visitors_are_decided_as_usual(client: TargetClient) -> None:
    client.decide("hero", client.visitor(tnt_id="a1b2", qa_mode=mode(2)))
    assert shown(client, None) == ["Everyday"] * 4


def test_mapping_is_read_by_the_names_of_the_wire(client: TargetClient) -> None:
    qa = {"token": "482910", "previewIndexes": [{"activityIndex": 1, "experienceIndex": 3}]}
    assert client.decide("hero", client.visitor(tnt_id="a1b2", qa_mode=qa)).experience.name == NAMES[2]  # type: ignore[union-attr]


def test_wrong_qa_mode_is_refused_with_its_path(client: TargetClient) -> None:
    with pytest.raises(OptionError) as caught:
        client.visitor(tnt_id="a1b2", qa_mode={"token": ["482910"]})
    assert caught.value.path == "qa_mode.token"


def test_token_that_only_adobe_can_read_is_one_warning(client: TargetClient) -> None:
    with pytest.warns(TargetryWarning, match="cannot be read on device") as caught:
        found = [shown(client, mode(number, ADOBES)) for number in (2, 3)]
    assert found == [["Everyday"] * 4] * 2
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_readable_token_and_no_token_are_no_warning(client: TargetClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown(client, mode(1))
        shown(client, QAMode(evaluate_as_true_audience_ids=[1]))
