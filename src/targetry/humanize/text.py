"""Other people's texts as they can be shown: names and values of artifacts and requests, of any length and with anything in them."""

from __future__ import annotations

import json
from typing import Any, Final

_SHOWN_CHARACTERS: Final = 400


def escape_control_characters(text: str) -> str:
    """The text without what a terminal would take for commands, or what would turn the text around it."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def truncate_text(text: str) -> str:
    """The text, or its beginning and how much there is of it."""
    text = escape_control_characters(text)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def compact_json(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)
