from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from differential.suites import SUITES
from support.cli import json_output, run, text_output, write_artifact
from support.device import artifact, mboxes_of, rule, window
from support.git import git_in
from targetry import samples, testing


def test_sample_shop_is_shown() -> None:
    text = text_output("artifact")

    assert text.startswith(
        "the sample shop · version 1.0.0 · client acme · production · generated Mon 2026-11-02 09:14 UTC\n"
        "9 activities · 10 locations · 23 rules · geo targeting\n"
    )
    assert "Hero: autumn sale · A/B · 482910\n" in text
    assert "for every visitor\nShare   Experience      Location \n" in text
    assert " 50 %   Everyday        mbox hero\n" in text
    assert 'where path is one of "/", "/index.html"\n' in text
    assert 'United States            country is one of "UNITED STATES", "US"' in text
    assert text.endswith("Only the Delivery API decides\n  mbox recommendations\n")


def test_json_has_all_figures() -> None:
    summary = json_output("artifact")

    hero = summary["activities"][0]
    assert (summary["clientCode"], summary["rules"], summary["quarantined"]) == ("acme", 23, [])
    assert (hero["id"], hero["type"]) == (482910, "ab")
    assert [(one["name"], one["share"]) for one in hero["experiences"]] == [
        ("Everyday", 50),
        ("Autumn sale", 30),
        ("Free delivery", 20),
    ]
    assert [one["name"] for one in summary["locations"] if one["isRemote"]] == ["recommendations"]


def test_experience_of_several_rules_is_shown_once_with_all_of_its_locations(tmp_path: Path) -> None:
    document = artifact(
        {
            "hero": [rule(1, window(0, 50)), rule(1, window(50, 100), experience=1)],
            "cart": [rule(1, window(0, 50))],
        }
    )
    (activity,) = json_output("artifact", write_artifact(tmp_path, document))["activities"]

    assert [(one["id"], one["share"], one["locations"]) for one in activity["experiences"]] == [
        (0, 50, ["mbox hero", "mbox cart"]),
        (1, 50, ["mbox hero"]),
    ]


def test_rule_of_a_property_names_it(tmp_path: Path) -> None:
    text = text_output("artifact", write_artifact(tmp_path, mboxes_of(rule(1, propertyTokens=["p", "q"]))))

    assert "of property p, q" in text


@pytest.mark.parametrize(
    ("low", "high", "share"), [(0, 33.34, "33.34 %"), (50, 50, "0 %"), (99, 300, "1 %"), (0, 100, "100 %")]
)
def test_share_is_the_width_of_the_window(tmp_path: Path, low: float, high: float, share: str) -> None:
    assert f"{share}   Experience 0" in text_output(
        "artifact", write_artifact(tmp_path, mboxes_of(rule(1, window(low, high))))
    )


def test_remote_locations_are_listed(tmp_path: Path) -> None:
    document = mboxes_of(rule(), remoteMboxes=["hero", "footer"], localMboxes=["hero"], remoteViews=["home"])
    text = text_output("artifact", write_artifact(tmp_path, document))

    assert text.endswith(
        "Only the Delivery API decides\n  mbox hero, though 1 rule is here\n  mbox footer\n  view home\n"
    )


def test_unusable_rules_are_listed_with_the_reason(tmp_path: Path) -> None:
    path = write_artifact(tmp_path, mboxes_of(rule(), rule(2, {"guess": 1})))

    assert text_output("artifact", path).endswith("Not used\n  mbox hero, rule 1: unknown operator 'guess'\n")
    assert json_output("artifact", path)["quarantined"] == [
        {"location": "mbox hero", "position": 1, "reason": "unknown operator 'guess'"}
    ]


def test_unusable_rules_of_one_reason_are_counted(tmp_path: Path) -> None:
    path = write_artifact(tmp_path, mboxes_of(rule(), *[rule(2, {"guess": 1})] * 1500, rule(3, {"other": 1})))

    text = text_output("artifact", path)
    assert text.count("unknown operator 'guess'") == 21
    assert text.endswith(
        "  mbox hero, rule 1501: unknown operator 'other'\n  and 1,480 more rules: unknown operator 'guess'\n"
    )
    assert len(json_output("artifact", path)["quarantined"]) == 1501


def test_artifact_with_little_meta_data_is_shown(tmp_path: Path) -> None:
    made = rule(1, meta={"activity.id": 1}, consequence={})
    path = write_artifact(tmp_path, {"version": "1", "rules": {"mboxes": {"hero": [made]}}})
    text = text_output("artifact", path, width=300)

    assert text.startswith(f"{path} · version 1\n1 activity · 1 location · 1 rule · no geo targeting\n")
    assert "an activity without a name · unknown type · 1\n" in text


@pytest.mark.skipif(not SUITES.is_dir(), reason="the suites are not next to the checkout")
def test_artifact_of_a_git_revision_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    shutil.copy(samples.shop_path(), folder / "rules.json")
    git = git_in(tmp_path)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (folder / "rules.json").write_text("{}")
    monkeypatch.chdir(folder)
    source = "git:main:rules.json"
    assert text_output("artifact", source, width=200).startswith(f"{source} · version 1.0.0")
    explained = text_output("explain", "--artifact", source, "--mbox", "hero", "--tnt-id", "a1b2", width=200)
    assert "matched: the allocation" in explained
    assert run("activities", "decompile", source, "-O", "activities").exit_code == 0
    assert text_output("activities", "plan", source, "activities") == "No changes.\n"
    for wrong in ("git:main", "git:none:rules.json", "git:main:none.json", "git:-x:rules.json"):
        result = run("artifact", wrong)
        assert (result.exit_code, "Traceback" in result.output) == (1, False)


def test_url_is_an_artifact_and_its_page_is_an_error_with_the_path() -> None:
    with testing.edge() as edge:
        url = f"{edge.url}/acme/production/v1/rules.json"
        assert "Not used" not in text_output("artifact", url)
        assert "matched" in text_output("explain", "--artifact", url, "--mbox", "hero")
        same = run("diff", "--visitors", "10", "--before", url, "--after", samples.shop_path(), "-m", "hero")
        assert same.exit_code == 0
        result = run("artifact", edge.url, width=300)
    assert result.exit_code == 1
    assert "a page and no artifact; add the path" in result.stderr


def test_every_real_artifact_is_shown() -> None:
    for path in sorted((SUITES / "artifacts").glob("*.json")):
        activities = json_output("artifact", path)["activities"]
        assert activities
        assert "{" not in "".join(
            one["audience"] for activity in activities for one in activity["experiences"]
        )
        assert text_output("artifact", path)
