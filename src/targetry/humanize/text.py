"""Safe display of texts from artifacts and requests, of any length and with any characters."""

from __future__ import annotations

import json
from typing import Any, Final

_SHOWN_CHARACTERS: Final = 400


def escape_control_characters(text: str) -> str:
    """Return the text with control characters, which terminals interpret, as escape sequences."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def truncate_text(text: str) -> str:
    """Return the text with escaped control characters, cut to 400 characters and its length."""
    text = escape_control_characters(text)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def compact_json(value: Any) -> str:
    """Return a JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)
