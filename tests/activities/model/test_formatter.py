from __future__ import annotations

import random
from pathlib import Path

from support.activities import HERO, write_files
from support.cases import each_case
from support.cli import run
from targetry import samples
from targetry.activities.compile.decompile import decompile
from targetry.activities.model.documents import documents
from targetry.activities.model.formatter import format_file
from targetry.activities.model.yaml_values import parse_yaml

BEFORE = """\
# schema
experiences:
# the first
- offers:
  - html: |
      <b>

      # no comment
    mbox: hero  # here
  share: 50
  key: a

- {share: 50, key: b}
# about the key
key: hero
audience: >
  us and
  not gold
"""
AFTER = """\
# schema
# about the key
key: hero
audience: >
  us and
  not gold
experiences:
# the first
- key: a
  share: 50
  offers:
  - mbox: hero  # here
    html: |
      <b>

      # no comment

- {share: 50, key: b}
"""


def test_keys_are_sorted_and_comments_move_with_them() -> None:
    assert format_file(BEFORE) == AFTER
    assert format_file(AFTER) == AFTER


def test_map_of_a_list_whose_first_key_would_have_a_comment_stays() -> None:
    text = "key: a\nexperiences:\n- share: 50\n  # its name\n  key: x\n"
    assert format_file(text) == text


@each_case(
    "text, formatted",
    [
        ("client: a\ntargetry: 1\n", "targetry: 1\nclient: a\n"),
        ("activities:\n  - name: x\n    key: a\n", "activities:\n  - key: a\n    name: x\n"),
        ("name: x\n\nkey: a", "key: a\nname: x\n"),
        ("{name: x, key: a}\n", "{name: x, key: a}\n"),
        ("- a\n", "- a\n"),
        ("", ""),
    ],
    ids=lambda case: case[0],
)
def test_small_files(text: str, formatted: str) -> None:
    result = format_file(text, is_settings="client" in text)
    assert result.strip() == formatted.strip()


def test_no_value_of_shuffled_files_changes() -> None:
    rng = random.Random(5)
    found = decompile(samples.shop())
    for name, text in documents(found.settings, found.activities).items():
        if name != "targetry.yaml":
            assert format_file(text) == text
        head, *blocks = text.replace("\n", "\n\0").split("\0")
        starts = [number for number, line in enumerate(blocks) if line and line[0] not in " -\n"]
        parts = ["".join(blocks[low:high]) for low, high in zip(starts, [*starts[1:], None], strict=True)]
        rng.shuffle(parts)
        shuffled = head + "".join(parts)
        assert parse_yaml(shuffled).value == parse_yaml(text).value
        assert format_file(shuffled, is_settings=name == "targetry.yaml") == text


def test_command_formats_and_checks(tmp_path: Path) -> None:
    write_files(
        tmp_path, {"hero.yaml": "experiences: [{key: x, share: 100}]\n# c\nkey: hero\n", "b.yaml": HERO}
    )
    assert run("activities", "format", tmp_path, "--check").exit_code == 1
    assert run("activities", "format", tmp_path).exit_code == 0
    assert (tmp_path / "hero.yaml").read_text() == "# c\nkey: hero\nexperiences: [{key: x, share: 100}]\n"
    assert run("activities", "format", tmp_path, "--check").exit_code == 0
    write_files(tmp_path, {"hero.yaml": "a: [\n"})
    result = run("activities", "format", tmp_path)
    assert (result.exit_code, "hero.yaml:2:1: error TA001" in result.stderr) == (1, True)
