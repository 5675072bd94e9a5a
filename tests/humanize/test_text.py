from __future__ import annotations

from targetry.humanize.text import escape_control_characters, truncate_text


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    assert escape_control_characters("a\x1b[2J\u202eb\nc\udcff") == "a\\x1b[2J\\u202eb\nc\\udcff"


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    assert truncate_text("a" * 400) == "a" * 400
    assert truncate_text("a" * 1401) == "a" * 400 + "… (1,401 characters)"
