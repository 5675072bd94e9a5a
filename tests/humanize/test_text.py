from __future__ import annotations

from targetry.humanize.text import shortened, visible


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    assert visible("a\x1b[2J\u202eb\nc\udcff") == "a\\x1b[2J\\u202eb\nc\\udcff"


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    assert shortened("a" * 400) == "a" * 400
    assert shortened("a" * 1401) == "a" * 400 + "… (1,401 characters)"
