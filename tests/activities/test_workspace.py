from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.activities import compiled, write_files
from support.cases import each_case
from targetry.activities import (
    ActivitiesError,
    Workspace,
    ab,
    experience,
    geo,
    mbox,
    metric,
    offer,
    xt,
)
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.definitions import (
    AmountSettings,
    GroupDefinition,
    GuardrailDefinition,
    Member,
    MetricSettings,
    PlanDefinition,
    ReportMetrics,
    Schedule,
)
from targetry.activities.model.files import ActivityFolder

WORKSPACE = Workspace(
    "acme",
    ab(
        "hero",
        experience("everyday", offer(mbox="hero", html="<h1>Every day</h1>"), share=50),
        experience("sale", offer(mbox="hero", html="<h1>Sale</h1>"), share=50, name="Sale"),
        audience=["us", mbox.visits > 1],
        metrics=[metric(selector="#buy")],
        schedule=Schedule(from_="2026-11-27T00:00:00Z"),
        group="home",
    ),
    xt(
        "flags",
        experience("gold", offer(mbox="flags", json={"a": [1, None]}), audience=mbox.tier == "gold"),
        experience("rest", offer(mbox="flags", json=None), offer(view="cart", actions=[])),
        properties=["web"],
        priority=5,
    ),
    audiences={"us": geo.country == "US"},
    properties={"web": "6f1c2b9e-3d47-8a05-b1e2-94c07d5fa381"},
    groups={"home": GroupDefinition(holdout=10, members=[Member(activity="hero", share=90)])},
)


def test_workspace_compiles_as_its_files_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_files(tmp_path_factory.mktemp("w"), WORKSPACE.to_yaml())
    assert compiled(folder).artifacts["production"] == WORKSPACE.compile()


def test_plans_of_the_builder_are_those_of_the_files(tmp_path: Path) -> None:
    rails = (GuardrailDefinition(metric="rpo", margin="2%"),)
    workspace = Workspace(
        "acme",
        ab(
            "a",
            experience("x", share=50),
            plan=PlanDefinition(visitors=900),
            primary_metric="orders",
            guardrails=rails,
        ),
        plan=PlanDefinition(visitors=60_000),
        metrics=ReportMetrics(revenue=AmountSettings(cap=500, primary=True)),
        guardrails=rails,
    )
    loaded = load_folder(ActivityFolder(write_files(tmp_path, workspace.to_yaml()))).activities
    assert loaded is not None
    assert (loaded.settings, [*loaded.activities]) == (workspace.settings, workspace.activities)


def test_second_primary_metric_is_a_mistake() -> None:
    metrics = ReportMetrics(orders=MetricSettings(primary=True), rpo=MetricSettings(primary=True))
    with pytest.raises(ActivitiesError) as caught:
        Workspace("acme", metrics=metrics).compile()
    assert str(caught.value) == (
        "metrics.rpo.primary: 'orders' and 'rpo' are both primary, but one metric decides"
    )


def test_lock_keeps_windows() -> None:
    def shares(first: float) -> Workspace:
        return Workspace(
            "acme",
            ab(
                "a",
                experience("x", offer(mbox="m", html="x"), share=first),
                experience("y", offer(mbox="m", html="y"), share=100 - first),
            ),
        )

    lock = shares(20).lock(shares(50).lock())
    assert len(shares(60).compile(lock=lock)["rules"]["mboxes"]["m"]) == 3
    assert len(shares(60).compile()["rules"]["mboxes"]["m"]) == 2


def test_mistakes_name_the_activity() -> None:
    wrong = Workspace("acme", ab("a", experience("x", offer(mbox="m"))), xt("b", experience("y", offer())))
    with pytest.raises(ActivitiesError) as caught:
        wrong.compile()
    assert str(caught.value) == (
        "activities[0].experiences[0]: an experience has no share\n"
        "activities[1].experiences[0].offers[0]: an offer has one of mbox, page_load and view"
    )


def test_unknown_keyword_of_an_activity_raises() -> None:
    with pytest.raises(TypeError, match="nmae"):
        xt("a", experience("x", offer(mbox="m")), nmae="b")  # type: ignore[call-arg]


def test_check_finds_what_the_command_finds() -> None:
    one = Workspace("acme", ab("a", experience("x", offer(mbox="m", html=""), share=100)))
    codes = {finding.code for finding in one.check(0)}
    assert {"TA207", "TA217"} <= codes


def test_values_of_wrong_types_are_mistakes() -> None:
    wrong = Workspace("acme", ab("Bad Key", experience("x", offer(mbox="m"), share=120)))
    with pytest.raises(ActivitiesError) as caught:
        wrong.compile()
    assert "activities[0].key: 'Bad Key' is not allowed here" in str(caught.value)
    assert "activities[0].experiences[0].share: must be at most 100, not 120" in str(caught.value)
    assert wrong.check(0) == caught.value.findings


@each_case(
    "content, message",
    [
        ({"a": ["\ud800"]}, ".json.a[0]: the text has half of a surrogate pair"),
        ({"a\udc00": 1}, ".json.a\udc00: the text has half of a surrogate pair"),
        ({1: "a"}, ".json.1: expected text as a key, got the number 1"),
        ([float("nan")], ".json[0]: JSON has no number nan"),
        ({"a": object()}, ".json.a: expected a JSON value, got a value of type object"),
    ],
)
def test_content_that_is_not_json_is_a_mistake(content: Any, message: str) -> None:
    wrong = Workspace("acme", xt("a", experience("x", offer(mbox="m", json=content))))
    with pytest.raises(ActivitiesError) as caught:
        wrong.compile()
    assert str(caught.value) == f"activities[0].experiences[0].offers[0]{message}"


def test_html_with_half_of_a_surrogate_pair_is_a_mistake() -> None:
    wrong = Workspace("acme", xt("a", experience("x", offer(mbox="m", html="\ud800"))))
    with pytest.raises(ActivitiesError, match="html: the text has half of a surrogate pair"):
        wrong.compile()
