from __future__ import annotations

import json
from typing import Any

import pytest

from support.cases import each_case
from support.edge import HERO, WEB, ask, experience, opened_requests, response_to, shop_registry, web_client
from targetry.samples import shop

NAMES = ["Everyday", "Autumn sale", "Free delivery"]
AUSTRIA, US = 3104421, 3104417  # audiences of the delivery note


def chosen(activity: int | None, experience: int | None, token: str = "482917,482910", **more: Any) -> Any:
    index = {"activityIndex": activity, "experienceIndex": experience}
    return {
        "token": token,
        "previewIndexes": [{key: one for key, one in index.items() if one is not None}],
        **more,
    }


def hero(qa: Any, **more: Any) -> str:
    return experience(response_to({**HERO, "qaMode": qa, **more})["execute"]["mboxes"][0])


def note(qa: Any, country: str) -> str:
    context = {**WEB, "geo": {"countryCode": country}}
    request = {"context": context, "execute": {"mboxes": [{"name": "delivery-note"}]}, "qaMode": qa}
    return experience(response_to(request)["execute"]["mboxes"][0])


@pytest.mark.parametrize("index", [1, 2, 3])
def test_preview_index_selects_an_experience_for_any_allocation(index: int) -> None:
    assert hero(chosen(2, index)) == NAMES[index - 1]
    assert hero(chosen(2, index), id={"tntId": "another"}) == NAMES[index - 1]


@each_case(
    "qa",
    [{}, {"token": "482910"}, chosen(2, 4), chosen(3, 2), chosen(2, None), chosen(None, 2), chosen(2, 2, token="dGhlIHRva2Vu")],
    ids=["nothing", "no index", "no such experience", "no such activity", "no experience", "no activity", "a token of Adobe's"],
)  # fmt: skip
def test_unknown_preview_index_leaves_the_allocation_in_effect(qa: Any) -> None:
    assert hero(qa) == hero({}) == "Everyday"


def test_audience_of_a_selected_experience_still_applies() -> None:
    united_states = chosen(1, 1, token="482923")
    assert note(united_states, "US") == "United States"
    request = {"context": WEB, "execute": {"mboxes": [{"name": "delivery-note"}]}, "qaMode": united_states}
    assert "options" not in response_to(request)["execute"]["mboxes"][0]
    request["qaMode"] = {**united_states, "evaluateAsTrueAudienceIds": [US]}
    assert experience(response_to(request)["execute"]["mboxes"][0]) == "United States"


def test_audience_ids_count_as_true_or_false() -> None:
    assert note({"evaluateAsTrueAudienceIds": [AUSTRIA]}, "JP") == "German-speaking Europe"
    assert note({"evaluateAsFalseAudienceIds": [AUSTRIA]}, "AT") == note({}, "JP") == "Everybody else"
    both = {"evaluateAsTrueAudienceIds": [US], "evaluateAsFalseAudienceIds": [US]}
    assert note(both, "US") == "Everybody else"


def test_audience_that_counts_as_true_keeps_the_split() -> None:
    def navigations(qa: Any) -> set[int]:
        """Return the number of options for the page, for visitors outside of the audience."""
        page = {"context": WEB, "execute": {"pageLoad": {}}, "qaMode": qa}
        answers = [response_to({**page, "id": {"tntId": f"visitor-{n}"}}) for n in range(20)]
        return {len(answer["execute"]["pageLoad"]["options"]) for answer in answers}

    assert navigations({}) == {0}
    assert navigations({"evaluateAsTrueAudienceIds": [3104460]}) == {0, 2}, "one half sees no change"


def test_listed_activities_only_drops_other_activities() -> None:
    mboxes = [{"name": "hero"}, {"name": "checkout-flags"}]
    request = {
        **HERO,
        "execute": {"mboxes": mboxes},
        "qaMode": {"token": "482910", "listedActivitiesOnly": True},
    }
    first, second = response_to(request)["execute"]["mboxes"]
    assert (experience(first), "options" in second) == ("Everyday", False)


def test_qa_mode_applies_to_views() -> None:
    request = {
        "context": WEB,
        "prefetch": {"views": [{"name": "cart"}, {}]},
        "qaMode": chosen(1, 2, token="482956", listedActivitiesOnly=True),
    }
    views = response_to(request)["prefetch"]["views"]
    names = {option["responseTokens"]["experience.name"] for view in views for option in view["options"]}
    assert names == {"With promise"}


def test_nothing_of_qa_mode_is_recorded() -> None:
    qa = {"token": "482910"}
    assert ask({**HERO, "qaMode": qa}).events == ()
    notification = {"id": "n", "type": "display", "timestamp": 1}
    answer = ask({"context": WEB, "qaMode": qa, "notifications": [notification]})
    assert json.loads(answer.body)["notifications"] == [{"id": "n"}]
    assert answer.events == ()


def test_other_requests_are_decided_as_before() -> None:
    before = response_to(HERO)["execute"]
    hero(chosen(2, 3))
    assert response_to(HERO)["execute"] == before


def test_page_explains_a_qa_mode_request() -> None:
    client = web_client()
    client.post("/rest/v1/delivery?client=acme&sessionId=s1", json={**HERO, "qaMode": chosen(2, 3)})
    assert "Hero: autumn sale › Free delivery" in client.get("/recent").text
    assert "QA mode: not recorded" in opened_requests(client)


def test_trace_uses_qa_mode() -> None:
    answer = response_to({**HERO, "trace": {}, "qaMode": chosen(2, 2)})
    trace = answer["execute"]["mboxes"][0]["trace"]
    assert [campaign["branchId"] for campaign in trace["campaigns"]] == [1]


@each_case("ids", [None, 5, ["x"], [True], [{}]])
def test_invalid_audience_ids_of_an_artifact_are_ignored(ids: Any) -> None:
    document = shop()
    for rule in document["rules"]["mboxes"]["hero"]:
        rule["meta"]["audience.ids"] = ids
    answer = web_client(artifact=document).post(
        "/rest/v1/delivery?client=acme&sessionId=s1",
        json={**HERO, "qaMode": {"evaluateAsFalseAudienceIds": [1], "evaluateAsTrueAudienceIds": [1]}},
    )
    assert experience(answer.json()["execute"]["mboxes"][0]) == "Everyday"


def test_rules_of_qa_mode_leave_no_encoded_responses() -> None:
    registry = shop_registry()
    encoded = registry.artifacts[0].encoded
    for _ in range(2):
        ask({**HERO, "qaMode": chosen(2, 2)}, registry=registry)
    assert encoded.execute == {}
    ask(HERO, registry=registry)
    assert len(encoded.execute) == 1
