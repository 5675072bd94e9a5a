from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.activities import HERO, SETTINGS, artifact_of, compiled, findings_of, write_files
from support.cases import each_case
from targetry.activities.compile.compiler import artifact_bytes
from targetry.device.ruleset import compile_artifact

ACTIVITY = """
key: a
experiences:
  - key: x
    share: 100
    offers:
      - {mbox: m, html: x}
"""


def rules_of(folder: Path, text: str, settings: str = "", place: str = "m") -> list[dict[str, Any]]:
    artifact = artifact_of(folder, {"a.yaml": text, "targetry.yaml": SETTINGS + settings})
    rules = artifact["rules"]["mboxes"].get(place, artifact["rules"]["views"].get(place))
    assert isinstance(rules, list)
    return rules


def test_split_activity_becomes_a_rule_for_each_experience(tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path, {"hero.yaml": HERO})
    assert {key: value for key, value in artifact.items() if key != "rules"} == {
        "version": "1.0.0",
        "meta": {"clientCode": "acme", "environment": "production"},
        "globalMbox": "target-global-mbox",
        "geoTargetingEnabled": False,
        "responseTokens": [
            *("activity.id", "activity.name", "experience.id", "experience.name"),
            *("offer.id", "offer.name", "option.id", "option.name"),
        ],
        "remoteMboxes": [],
        "remoteViews": [],
        "localMboxes": ["hero"],
        "localViews": [],
    }
    first, second = artifact["rules"]["mboxes"]["hero"]
    assert first == {
        "ruleKey": "1769862858",
        "activityId": 1769862858,
        "meta": {
            "activity.id": 1769862858,
            "activity.name": "hero",
            "activity.type": "ab",
            "experience.id": 0,
            "experience.name": "everyday",
            "location.name": "hero",
            "location.type": "mbox",
            "location.id": 0,
            "audience.ids": [],
            "option.id": 2,
            "option.name": "Offer2",
        },
        "condition": {"and": [{"<=": [0, {"var": "allocation"}]}, {">=": [50, {"var": "allocation"}]}]},
        "consequence": {
            "name": "hero",
            "options": [
                {
                    "type": "html",
                    "eventToken": "tmbiG3hhUBWg8OhpFjNG4jfiO89qbPQ+6z5QhSLTZUdnoa1V9d0CUf55pZol45/b+OEdk+/z3vzj+/kSqI+f8Q==",
                    "content": "every day",
                }
            ],
            "metrics": [{"eventToken": "NYg2FvWnkQQwMxsbjqQxhA==", "type": "click"}],
        },
    }
    assert list(first) == ["ruleKey", "activityId", "meta", "condition", "consequence"]
    assert second["condition"] == {
        "and": [{"<": [50, {"var": "allocation"}]}, {">=": [100, {"var": "allocation"}]}]
    }
    assert second["meta"]["option.id"] == 3
    assert compile_artifact(artifact_bytes(artifact)).unusable == ()


def test_text_of_an_artifact_is_compact(tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path, {"a.yaml": ACTIVITY.replace("html: x", "html: größe")})
    text = artifact_bytes(artifact)
    assert text.endswith(b"}\n")
    assert "größe".encode() in text
    assert b": " not in text
    assert json.loads(text) == artifact


def test_names_and_order_of_files_do_not_matter(tmp_path: Path) -> None:
    other = ACTIVITY.replace("key: a", "key: b\npriority: 5")
    one = artifact_of(tmp_path / "1", {"a.yaml": ACTIVITY, "b.yaml": other})
    two = artifact_of(tmp_path / "2", {"z/1.yaml": ACTIVITY, "2.yml": other})
    assert artifact_bytes(one) == artifact_bytes(two)
    assert [rule["meta"]["activity.name"] for rule in one["rules"]["mboxes"]["m"]] == ["b", "a"]


def test_audiences_stand_after_the_window_the_narrowest_first(tmp_path: Path) -> None:
    text = """
    key: a
    audience: [us, 'mbox.a == "1"']
    experiences:
      - key: x
        share: 100
        audience: gold
        offers:
          - {mbox: m, html: x, audience: 'mbox.c == "3"'}
    """
    audiences = """
audiences:
  us: {where: 'geo.country == "US"', id: 7}
  gold: mbox.tier == "gold"
"""
    (rule,) = rules_of(tmp_path, text, audiences)
    assert [part[next(iter(part))] for part in rule["condition"]["and"][1:]] == [
        [{"var": "mbox.c"}, "3"],
        [{"var": "mbox.tier"}, "gold"],
        [{"var": "geo.country"}, "US"],
        [{"var": "mbox.a"}, "1"],
    ]
    assert rule["meta"]["audience.ids"] == [1196416239, 7]


def test_single_condition_is_not_wrapped_and_none_is_true(tmp_path: Path) -> None:
    text = """
    key: a
    type: xt
    experiences:
      - {key: x, audience: 'mbox.a == "1"', offers: [{mbox: m, html: x}]}
      - {key: y, offers: [{mbox: m}]}
    """
    first, second = rules_of(tmp_path, text)
    assert first["condition"] == {"==": [{"var": "mbox.a"}, "1"]}
    assert second["condition"] is True
    assert first["meta"]["activity.type"] == "landing"


def test_default_content_has_only_a_token(tmp_path: Path) -> None:
    (rule,) = rules_of(tmp_path, "key: a\ntype: xt\nexperiences: [{key: x, offers: [{mbox: m}]}]")
    assert list(rule["consequence"]["options"][0]) == ["eventToken"]
    assert rule["meta"]["option.id"] == 0
    assert "option.name" not in rule["meta"]


def test_places_of_page_load_and_views_are_numbered(tmp_path: Path) -> None:
    text = """
    key: a
    id: 12
    type: xt
    experiences:
      - key: x
        offers:
          - {page_load: 3, actions: [{type: setHtml, selector: p, content: hi}]}
          - {view: home, location_id: 1, actions: []}
          - {mbox: m, html: x}
    """
    artifact = artifact_of(tmp_path, {"a.yaml": text})
    rules = artifact["rules"]
    found = [*rules["mboxes"]["target-global-mbox"], *rules["views"]["home"], *rules["mboxes"]["m"]]
    assert [
        (rule["ruleKey"], rule["meta"]["location.type"], rule["meta"]["location.id"]) for rule in found
    ] == [("12-3", "view", 3), ("12-1", "view", 1), ("12", "mbox", 0)]
    assert (artifact["localMboxes"], artifact["localViews"]) == (["m", "target-global-mbox"], ["home"])


def test_second_offer_at_a_place_has_a_token_of_its_own(tmp_path: Path) -> None:
    text = "key: a\ntype: xt\nexperiences: [{key: x, offers: [{mbox: m, html: a}, {mbox: m, html: b}]}]"
    tokens = [rule["consequence"]["options"][0]["eventToken"] for rule in rules_of(tmp_path, text)]
    assert len(set(tokens)) == 2
    assert [len(token) for token in tokens] == [88, 88]


def test_content_of_files_is_included(tmp_path: Path) -> None:
    offers = "[{mbox: m, html: {file: o/a.html}}, {mbox: m, json: {file: o/a.json}}]"
    files = {
        "a.yaml": f"key: a\ntype: xt\nexperiences: [{{key: x, offers: {offers}}}]\n",
        "o/a.html": "<b>\n",
        "o/a.json": '{"a": [1, null]}',
    }
    rules = artifact_of(tmp_path, files)["rules"]["mboxes"]["m"]
    assert [rule["consequence"]["options"][0]["content"] for rule in rules] == ["<b>\n", {"a": [1, None]}]
    assert all(rule["meta"]["offer.id"] > 1_000_000_000 for rule in rules)


def test_closest_metrics_count(tmp_path: Path) -> None:
    text = """
    key: a
    type: xt
    metrics: [{type: click, selector: a}]
    experiences:
      - {key: x, offers: [{mbox: m}, {mbox: m, metrics: []}]}
      - {key: y, metrics: [{type: display, token: given}], offers: [{mbox: m}]}
    """
    found = [rule["consequence"]["metrics"] for rule in rules_of(tmp_path, text)]
    assert found[0][0]["selector"] == "a"
    assert len(found[0][0]["eventToken"]) == 24
    assert found[1:] == [[], [{"eventToken": "given", "type": "display"}]]


def test_environments_choose_activities_and_properties(tmp_path: Path) -> None:
    settings = """
environments:
  production: {except: [b]}
  staging: {only: [b], properties: {web: token-of-staging}}
properties: {web: token-of-production}
"""
    files = {
        "targetry.yaml": SETTINGS + settings,
        "a.yaml": ACTIVITY + "properties: [web]\n",
        "b.yaml": ACTIVITY.replace("key: a", "key: b") + "properties: [web]\n",
        "c.yaml": ACTIVITY.replace("key: a", "key: c\nstate: paused"),
    }
    artifacts = compiled(write_files(tmp_path, files)).artifacts
    found = {
        name: [
            (one["meta"]["activity.name"], one["propertyTokens"]) for one in artifact["rules"]["mboxes"]["m"]
        ]
        for name, artifact in artifacts.items()
    }
    assert found == {"production": [("a", ["token-of-production"])], "staging": [("b", ["token-of-staging"])]}
    assert artifacts["staging"]["meta"]["environment"] == "staging"


def test_geo_follows_the_audiences(tmp_path: Path) -> None:
    geo = ACTIVITY + "audience: geo.country == 'US'\n"
    assert artifact_of(tmp_path / "1", {"a.yaml": geo})["geoTargetingEnabled"] is True
    off = {"a.yaml": geo, "targetry.yaml": SETTINGS + "geo: false\n"}
    assert artifact_of(tmp_path / "2", off)["geoTargetingEnabled"] is False


def test_other_fields_replace_and_omit_compiled_ones(tmp_path: Path) -> None:
    settings = (
        "artifact: {version: 1.2.0, future: [1], meta: {x: 1}}\nomit: [remoteViews, meta.environment]\n"
    )
    artifact = artifact_of(tmp_path, {"a.yaml": ACTIVITY, "targetry.yaml": SETTINGS + settings})
    assert (artifact["version"], artifact["future"]) == ("1.2.0", [1])
    assert artifact["meta"] == {"clientCode": "acme", "x": 1}
    assert "remoteViews" not in artifact


def test_verbatim_rules_stand_after_those_of_activities(tmp_path: Path) -> None:
    settings = "verbatim: [{kind: mboxes, name: m, rules: [{any: thing}]}]\n"
    rules = rules_of(tmp_path, ACTIVITY, settings)
    assert rules[1:] == [{"any": "thing"}]


@each_case(
    "schedule, conditions",
    [
        (
            "{from: 2026-11-27T00:00:00Z, to: 2026-11-28T00:00:00+01:00}",
            [{"<=": [1795737600000, {"var": "current_timestamp"}, 1795820399999]}],
        ),
        ("{from: '2026-11-27T00:00Z'}", [{"<=": [1795737600000, {"var": "current_timestamp"}]}]),
        ("{to: 2026-11-27T00:00:00Z}", [{"<=": [{"var": "current_timestamp"}, 1795737599999]}]),
        ("{days: [fri]}", [{"==": ["5", {"var": "current_day"}]}]),
        (
            "{days: [mon, sun]}",
            [{"or": [{"==": ["1", {"var": "current_day"}]}, {"==": ["7", {"var": "current_day"}]}]}],
        ),
        ("{hours: 09:00-17:00}", [{"<=": ["0900", {"var": "current_time"}, "1659"]}]),
        ("{hours: 17:00-24:00}", [{"<=": ["1700", {"var": "current_time"}, "2359"]}]),
        (
            "{hours: 22:00-06:00}",
            [
                {
                    "or": [
                        {"<=": ["2200", {"var": "current_time"}, "2359"]},
                        {"<=": ["0000", {"var": "current_time"}, "0559"]},
                    ]
                }
            ],
        ),
    ],
    ids=lambda case: case[0],
)
def test_schedule_becomes_conditions(schedule: str, conditions: list[Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (rule,) = rules_of(Path(folder), f"{ACTIVITY}schedule: {schedule}\n")
    assert rule["condition"]["and"][1:] == conditions


MISTAKES: list[tuple[str, dict[str, str], str]] = [
    ("time without offset", {"a.yaml": ACTIVITY + "schedule: {from: '2026-11-27'}\n"},
     "a.yaml:8:18: error TA114: the time '2026-11-27' has no offset; add Z or +01:00"),
    ("end before start", {"a.yaml": ACTIVITY + "schedule: {from: 2026-11-27T00:00:00Z, to: 2026-11-26T00:00:00Z}\n"},
     "a.yaml:8:44: error TA114: the schedule ends before it starts"),
    ("hours", {"a.yaml": ACTIVITY + "schedule: {hours: 9-17}\n"},
     "a.yaml:8:19: error TA114: '9-17' is no range of hours; write it like 09:00-17:00"),
    ("two places", {"a.yaml": ACTIVITY.replace("mbox: m", "mbox: m, view: v")},
     "a.yaml:7:9: error TA002: an offer has one of mbox, page_load and view"),
    ("two contents", {"a.yaml": ACTIVITY.replace("html: x", "html: x, json: 1")},
     "a.yaml:7:9: error TA002: an offer has at most one content"),
    ("property", {"a.yaml": ACTIVITY + "properties: [wbe]\n", "targetry.yaml": SETTINGS + "properties: {web: t}\n"},
     "a.yaml:8:14: error TA004: there is no property 'wbe'; did you mean 'web'?"),
    ("environment", {"a.yaml": ACTIVITY, "targetry.yaml": SETTINGS + "environments: {production: {only: [aa]}}\n"},
     "targetry.yaml:3:36: error TA004: there is no activity 'aa'; did you mean 'a'?"),
    ("equal keys", {"a.yaml": ACTIVITY, "b.yaml": ACTIVITY},
     "a.yaml:2:6: error TA003: two activities have the key 'a'"),
    ("equal ids", {"a.yaml": ACTIVITY + "id: 5\n", "b.yaml": ACTIVITY.replace("key: a", "key: b\nid: 5")},
     "b.yaml:2:1: error TA003: 'b' and 'a' have the id 5; give one an id"),
    ("no share", {"a.yaml": "key: a\nexperiences: [{key: x}]\n"},
     "a.yaml:2:15: error TA203: an experience has no share"),
    ("too many shares", {"a.yaml": "key: a\nexperiences: [{key: x, share: 60}, {key: y, share: 60}]\n"},
     "a.yaml:2:14: error TA203: the shares add up to 120 %"),
    ("decimals", {"a.yaml": "key: a\nexperiences: [{key: x, share: 33.333}]\n"},
     "a.yaml:2:31: error TA203: the share 33.333 has more than two decimals"),
    ("share of xt", {"a.yaml": "key: a\ntype: xt\nexperiences: [{key: x, share: 1}]\n"},
     "a.yaml:3:31: error TA203: an activity of type 'xt' has no shares; use the type ab"),
    ("cycle", {"a.yaml": ACTIVITY, "targetry.yaml": SETTINGS + "audiences: {p: not q, q: p and True}\n"},
     "targetry.yaml:3:26: error TA004: the audience 'p' refers to itself: p → q → p"),
    ("unknown name", {"a.yaml": ACTIVITY + "audience: geo.contry == 'US'\n"}, "a.yaml:8:15: error TA103"),
]  # fmt: skip


@each_case("name, files, finding", MISTAKES, ids=lambda case: case[0])
def test_mistakes_are_found_at_their_positions(name: str, files: dict[str, str], finding: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = findings_of(Path(folder), files)
    assert found[0].startswith(finding), found


def test_audience_that_multiplies_itself_is_refused(tmp_path: Path) -> None:
    names = "".join(
        f"  a{n}: {' and '.join([f'a{n - 1}'] * 8)}\n" if n else "  a0: mbox.a == 1\n" for n in range(12)
    )
    found = findings_of(
        tmp_path, {"a.yaml": ACTIVITY + "audience: a11\n", "targetry.yaml": SETTINGS + f"audiences:\n{names}"}
    )
    assert "has more than 20,000 values" in found[0]


def test_many_expressions_are_not_taken_for_a_large_one(tmp_path: Path) -> None:
    large = " or ".join(f'mbox.a == "{number}"' for number in range(150))
    activities = "".join(
        f"  - {{key: a-{number}, type: xt, audience: '{large if number % 2 else 'mbox.b == 1'}', "
        f"experiences: [{{key: x, offers: [{{mbox: m}}]}}]}}\n"
        for number in range(60)
    )
    assert findings_of(tmp_path, {"a.yaml": f"activities:\n{activities}"}) == []
