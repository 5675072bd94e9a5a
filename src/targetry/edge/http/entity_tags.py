"""Comparison of entity tags with `if-none-match`."""

from __future__ import annotations


def is_known_tag(etag: str, known_tags: str) -> bool:
    """Return whether `if-none-match` names the tag, compared weakly (RFC 9110, 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in known_tags.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
