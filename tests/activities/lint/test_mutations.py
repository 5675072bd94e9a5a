"""Mutated files give findings at positions that exist, never another exception.

Files are mutated as texts, and as values. A folder without errors can be compiled, planned,
generated and formatted.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from support.activities import write_files
from support.slow import slow
from targetry.activities.compile.compiler import artifact_bytes, compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.lint.checker import check_folder
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.formatter import format_file
from targetry.activities.model.yaml_values import parse_yaml
from targetry.activities.review.codegen import generate_module
from targetry.activities.review.plan import plan
from targetry.activities.review.plan_text import plan_text

FILES = {
    "targetry.yaml": """\
client: acme
environments: {production: {}, staging: {except: [old]}}
properties: {web: 00000000-0000-0000-0000-000000000001}
audiences:
  us: geo.country == "US" and user.browserVersion >= 100
  gold: {where: 'mbox.tier_lc in ["gold", "platinum"]', id: 7}
groups: {both: {members: [{activity: hero, share: 40}, {activity: old, share: 40}], holdout: 5}}
remote: {mboxes: [note], views: []}
response_tokens: [activity.id, offer.name]
defaults: {metrics: [{type: click}], priority: 3}
""",
    "hero.yaml": """\
key: hero
name: Hero  # targetry: ignore[TA204] later
audience: [us, not gold]
schedule: {from: 2026-01-01T00:00:00Z, to: 2027-01-01T00:00:00+01:00, days: [mon, sun], hours: "09:00-17:00"}
properties: [web]
traffic: 50
experiences:
  - {key: one, share: 33.3, offers: [{mbox: hero, html: '<b>${mbox.tier}</b>'}, {page_load: 0, actions: []}]}
  - key: two
    share: 66.7
    control: true
    audience: |
      starts_with(page.url_lc, "https://acme.example/") and
        current_timestamp < at("2026-06-01T00:00:00Z")
    offers:
      - {mbox: hero, json: {title: a, items: [1, null]}, metrics: [{type: click, selector: '#a > b'}]}
""",
    "old.yaml": """\
activities:
  - &old
    key: old
    type: xt
    experiences: [{key: x, offers: [{view: home, html: {file: offers/a.html}}, {mbox: m, redirect: https://a.example}]}]
""",
    "offers/a.html": "<b>a</b>",
    "targetry.lock": '{"version": 1, "activities": {"hero": {"id": 5, "experiences": {"one": {"id": 0, "windows": [[0, 1]]}}}}}',
}
PIECES = [
    *(
        "",
        " ",
        "\n",
        "\t",
        "\0",
        "\ufeff",
        "é",
        "\U0001f600",
        "-",
        ":",
        ",",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "|",
        ">",
        "#",
    ),
    *(
        "&a",
        "*a",
        "*old",
        "<<: ",
        "!!str",
        "---\n",
        "...\n",
        "null",
        "~",
        "true",
        "1e999",
        "-1",
        "0",
        "9" * 30,
        ".5",
    ),
    *(
        "audience: ",
        "experiences: ",
        "not ",
        " and ",
        "allocation",
        "raw('{}')",
        'var("")',
        "x" * 5000,
        "{file: a}",
    ),
]


def mutated(text: str, chance: random.Random) -> bytes:
    """Return a text with one to three changes: a part is cut, doubled, moved or replaced."""
    for _ in range(chance.randint(1, 3)):
        start, end = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        end = min(end, start + chance.choice([0, 1, 3, 40]))
        lines = text.split("\n")
        match chance.randrange(4):
            case 0:
                text = text[:start] + chance.choice(PIECES) + text[end:]
            case 1:
                text = text[:start] + text[start:end] * 2 + text[end:]
            case 2:
                line = lines.pop(chance.randrange(len(lines)))
                lines.insert(chance.randrange(len(lines) + 1), line)
                text = "\n".join(lines)
            case _:
                words = text.split(" ")
                words[chance.randrange(len(words))] = chance.choice(words)
                text = " ".join(words)
    content = text.encode()
    if chance.random() < 0.1:
        position = chance.randrange(len(content) + 1)
        content = content[:position] + bytes([chance.randrange(256)]) + content[position:]
    return content


VALUES: list[Any] = [
    *(None, True, 0, -1, 1, 100.5, 1e300, 5e-324, 10**30, 2**63, "", "x", "a b", "us", "<<", "hero", [], {}),
    *({"": 1}, [[]], [None], {"file": "offers/a.html"}, {"file": "/etc/passwd"}, {"file": "x\0y"}),
    *("raw('[\"\\\\ud800\"]')", "raw('NaN')", f"raw('{'[' * 2000}')", 'mbox["\\ud800"]', "1 % 0 == 1"),
    *("at('0001-01-01T00:00:00+14:00') < 1", "not " * 70 + "us", "9999-12-31T23:59:59-14:00"),
    *("2026-13-01", "24:00-25:00", "https://[", "${mbox.}", "#a[", "a\tb\nc", "\u200f\x7f", "x" * 5000),
]
KEYS = [
    "key",
    "id",
    "name",
    "traffic",
    "share",
    "windows",
    "verbatim",
    "options",
    "token",
    "audience",
    "group",
    "priority",
    "schedule",
    "state",
    "type",
    "metrics",
    "html",
    "json",
    "actions",
    "mbox",
    "view",
    "page_load",
    "location_id",
    "renamed_from",
    "holdout",
    "record_holdout",
    "members",
    "artifact",
    "only",
    "except",
    "properties",
    "where",
    "geo",
    "remote",
    "experiences",
    "activities",
    "groups",
    "rest",
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in parts:
        yield from paths(one, (*path, key))


def mutated_value(text: str, chance: random.Random) -> bytes:
    """Return a document with one value replaced, added, removed or copied from elsewhere."""
    value = json.loads(text) if text.startswith("{") else parse_yaml(text).value
    *parents, last = chance.choice([one for one in paths(value) if one])
    parent = reduce(getitem, parents, value)
    new: Any = chance.choice(VALUES)
    if chance.random() < 0.3:
        new = copy.deepcopy(reduce(getitem, chance.choice(list(paths(value))), value))
    match chance.randrange(3):
        case 0 if isinstance(parent[last], dict):
            parent[last][chance.choice(KEYS)] = new
        case 1:
            del parent[last]
        case _:
            parent[last] = new
    return json.dumps(value, ensure_ascii=False).encode()


def cases(first: int, last: int) -> Iterator[tuple[str, bytes]]:
    for seed in range(first, last):
        chance = random.Random(seed)
        name = chance.choice([one for one in FILES if one != "offers/a.html"])
        mutate = mutated if seed % 2 else mutated_value
        yield name, mutate(FILES[name], chance)


def use(folder: ActivityFolder, live: dict[str, Any]) -> None:
    """Do what the commands do with a folder without errors."""
    loaded = load_folder(folder)
    assert loaded.activities is not None
    compilation = compile_activities(loaded.activities, loaded.lock)
    assert compilation.findings == []
    for artifact in compilation.artifacts.values():
        assert artifact_bytes(artifact)
        assert plan_text(plan(live, artifact))
    compile(generate_module(loaded.activities, compilation.layout), "generated", "exec")
    for text in loaded.texts.values():
        assert parse_yaml(format_file(text)).value == parse_yaml(text).value


def test_only_the_lock_of_the_unchanged_files_is_wrong(tmp_path: Path) -> None:
    found = check_folder(ActivityFolder(write_files(tmp_path, FILES)), 1_780_000_000_000)
    assert {one.code for one in found if one.level == "error"} == {"TA007"}


@pytest.mark.parametrize(("first", "last"), [(0, 30), *slow((30, 400))])
def test_mutated_file_gives_findings_only(first: int, last: int, tmp_path: Path) -> None:
    folder = ActivityFolder(write_files(tmp_path, FILES))
    activities = load_folder(folder).activities
    assert activities is not None
    live = compile_activities(activities, None).artifacts["production"]
    for name, content in cases(first, last):
        (tmp_path / name).write_bytes(content)
        lines = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        findings = check_folder(folder, 1_780_000_000_000)
        if {one.code for one in findings if one.level == "error"} <= {"TA007"}:
            use(folder, live)
        for finding in findings:
            if finding.file == name:
                assert 1 <= finding.line <= len(lines), (content, finding)
                assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1, (content, finding)
        (tmp_path / name).write_text(FILES[name], "utf-8")
