from __future__ import annotations

from targetry.humanize.text import escape_control_characters, truncate_text


def test_control_characters_are_escaped() -> None:
    assert escape_control_characters("a\x1b[2J\u202eb\nc\udcff") == "a\\x1b[2J\\u202eb\nc\\udcff"


def test_long_text_is_cut_and_shows_its_length() -> None:
    assert truncate_text("a" * 400) == "a" * 400
    assert truncate_text("a" * 1401) == "a" * 400 + "… (1,401 characters)"
