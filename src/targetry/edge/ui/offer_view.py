"""View of a response: the offers of each place with their content, JSON as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from targetry.humanize.text import compact_json
from targetry.models import DeliveryRequest

_MOST_NODES: Final = 500
_DEEPEST: Final = 16
_MOST_OFFERS: Final = 50


class TreeNode(msgspec.Struct, frozen=True):
    """Value of a JSON tree: its name, its text, and its parts.

    `kind` is `object`, `list`, `text`, `number`, `boolean` or `null`.
    """

    name: str
    kind: str
    text: str
    parts: list[TreeNode]


class OfferView(msgspec.Struct, frozen=True):
    """Offer of a place: `number` is its position in the response, `type` that of its option.

    `text` is the content of HTML and redirects, `tree` that of all others, None for default
    content.
    """

    number: int
    type: str
    text: str | None
    tree: TreeNode | None


def offers_by_location(request: DeliveryRequest, response: dict[str, Any]) -> list[list[OfferView]]:
    """Return the offers of each requested location, in the order of an explanation's locations."""
    found = []
    number = 0
    for options in _options_by_location(request, response):
        offers: list[OfferView] = []
        for option in options:
            if len(offers) < _MOST_OFFERS:
                offers.append(_offer(number, option))
            number += 1
        found.append(offers)
    return found


def html_of(request: DeliveryRequest, response: dict[str, Any], number: int) -> str | None:
    """Return the HTML of the offer at a position, None if there is none."""
    options = [one for options in _options_by_location(request, response) for one in options]
    if number >= len(options) or options[number].get("type") != "html":
        return None
    content = options[number].get("content")
    return content if isinstance(content, str) else None


def _options_by_location(
    request: DeliveryRequest, response: dict[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    for mode in ("execute", "prefetch"):
        requested, answered = getattr(request, mode), response.get(mode) or {}
        if requested is None:
            continue
        for mbox in requested.mboxes or ():
            yield [
                option
                for one in answered.get("mboxes") or ()
                if (one.get("index"), one.get("name")) == (mbox.index, mbox.name)
                for option in one.get("options") or ()
            ]
        if requested.page_load is not None:
            yield (answered.get("pageLoad") or {}).get("options") or []
    if request.prefetch is not None:
        views = (response.get("prefetch") or {}).get("views") or []
        for view in request.prefetch.views or ():
            yield [
                option
                for one in views
                if view.name in (None, "", one.get("name"))
                for option in one.get("options") or ()
            ]


def _offer(number: int, option: dict[str, Any]) -> OfferView:
    kind, content = str(option.get("type") or "default content"), option.get("content")
    if kind in ("html", "redirect") and isinstance(content, str):
        return OfferView(number, kind, content, None)
    if content is None:
        return OfferView(number, kind, None, None)
    return OfferView(number, kind, None, json_tree(content))


def json_tree(value: Any) -> TreeNode:
    """Return a JSON value as a tree with a bounded number of nodes."""
    return _Tree(_MOST_NODES).node("", value, 0)


class _Tree:
    def __init__(self, left: int) -> None:
        self._left = left

    def node(self, name: str, value: Any, depth: int) -> TreeNode:
        self._left -= 1
        if isinstance(value, dict):
            return self._parts(name, "object", f"{{{len(value)}}}", list(value.items()), depth)
        if isinstance(value, list):
            numbered = [(str(place), one) for place, one in enumerate(value)]
            return self._parts(name, "list", f"[{len(value)}]", numbered, depth)
        kinds = {str: "text", bool: "boolean", type(None): "null"}
        text = value if isinstance(value, str) else compact_json(value)
        return TreeNode(name, kinds.get(type(value), "number"), text, [])

    def _parts(self, name: str, kind: str, text: str, values: list[tuple[str, Any]], depth: int) -> TreeNode:
        parts: list[TreeNode] = []
        for key, value in values:
            if self._left <= 0 or depth == _DEEPEST:
                parts.append(TreeNode("…", "null", f"{len(values) - len(parts):,} more", []))
                break
            parts.append(self.node(key, value, depth + 1))
        return TreeNode(name, kind, text, parts)
