"""Mutated files give findings at positions that exist, never another exception."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.activities import write_files
from support.slow import slow
from targetry.activities.lint.checker import check_folder
from targetry.activities.model.files import ActivityFolder

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


def cases(first: int, last: int) -> Iterator[tuple[str, bytes]]:
    for seed in range(first, last):
        chance = random.Random(seed)
        name = chance.choice([one for one in FILES if one != "offers/a.html"])
        yield name, mutated(FILES[name], chance)


def test_only_the_lock_of_the_unchanged_files_is_wrong(tmp_path: Path) -> None:
    found = check_folder(ActivityFolder(write_files(tmp_path, FILES)), 1_780_000_000_000)
    assert {one.code for one in found if one.level == "error"} == {"TA007"}


@pytest.mark.parametrize(("first", "last"), [(0, 60), *slow((60, 1000))])
def test_mutated_file_gives_findings_only(first: int, last: int, tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    for name, content in cases(first, last):
        (tmp_path / name).write_bytes(content)
        lines = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        for finding in check_folder(ActivityFolder(tmp_path), 1_780_000_000_000):
            if finding.file == name:
                assert 1 <= finding.line <= len(lines), (content, finding)
                assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1, (content, finding)
        (tmp_path / name).write_text(FILES[name], "utf-8")
