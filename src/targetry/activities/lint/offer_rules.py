"""Checks of offers: shape, macros, metrics, kind of place, content, size; and response tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from targetry.activities.compile.activity_set import is_file_reference
from targetry.activities.compile.compiler import artifact_bytes
from targetry.activities.lint.context import LintContext, Placement
from targetry.activities.model.definitions import FileReference, MetricDefinition
from targetry.activities.model.finding import Finding
from targetry.device.personalize import MACRO, MACRO_FIELDS, RESPONSE_TOKENS, macro_key
from targetry.device.ruleset import compile_artifact
from targetry.errors import ArtifactError

_MOST_ARTIFACT_BYTES: Final = 1_000_000
_MOST_OFFER_BYTES: Final = 100_000
# Names that the meta of every rule has.
_META: Final = frozenset(
    {
        *("activity.id", "activity.name", "activity.type", "experience.id", "experience.name"),
        *("location.id", "location.name", "location.type", "option.id", "view.name"),
    }
)
_BRACKETS: Final = {")": "(", "]": "["}
_QUOTED: Final = re.compile(r"""\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


def content_of(context: LintContext, placement: Placement) -> tuple[str, Any] | None:
    """Return type and content of an offer, that of a file included; None without a content."""
    found = placement.offer.content
    if found is None:
        return None
    kind, value = found
    if isinstance(value, FileReference):
        text = context.activities.texts.get(value.file)
        return None if text is None else (kind, text)
    if kind == "json" and is_file_reference(value):
        text = context.activities.texts.get(value["file"])
        return None if text is None else (kind, msgspec.json.decode(text))
    return kind, value


def check_contents(context: LintContext) -> Iterator[Finding]:
    """Find offers with a content that cannot work: TA209, TA214, TA217, TA218."""
    parameters = _known_parameters(context)
    for placement in context.placements:
        found = content_of(context, placement)
        if found is None:
            continue
        kind, content = found
        path = f"{placement.path}.{kind}"
        yield from _check_macros(context, placement, kind, content, path, parameters)
        yield from _check_place(context, placement, kind, path)
        if kind == "html" and not str(content).strip():
            message = "the HTML is empty"
            yield context.finding("TA217", path, message, "leave the content out for default content")
        if kind == "redirect" and not _is_absolute(content):
            message = f"{content!r} is not an absolute http or https URL"
            yield context.finding("TA217", path, message)
        text = content if isinstance(content, str) else _encoded(content)
        size = len(text.encode("utf-8", "replace"))
        if size > _MOST_OFFER_BYTES:
            message = f"the offer has {size:,} bytes; more than {_MOST_OFFER_BYTES:,} slow pages down"
            yield context.finding("TA218", path, message)


def _encoded(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def _is_absolute(url: Any) -> bool:
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _known_parameters(context: LintContext) -> set[str]:
    """Return the names of parameters that audiences read."""
    text = " ".join(one.text for one in context.texts)
    return {found[1] or found[2] for found in _PARAMETER.finditer(text)}


_PARAMETER: Final = re.compile(r"""\b(?:mbox|param)(?:\.(\w+)|\[["']([^"']+)["']\])""")


def _check_macros(
    context: LintContext, placement: Placement, kind: str, content: Any, path: str, parameters: set[str]
) -> Iterator[Finding]:
    if kind in ("json", "redirect", "dynamic"):
        text = content if isinstance(content, str) else _encoded(content)
        if found := MACRO.search(text):
            message = f"the macro {found.group()} is never filled in {kind}"
            yield context.finding("TA209", path, message, "use html or actions")
        return
    texts = [content] if kind == "html" else [one.get("content") for one in content]
    known = _META | MACRO_FIELDS | {"name"} | parameters
    offer = placement.offer
    if offer.id is not None or isinstance(offer.html, FileReference):
        known |= {"offer.id"}
    if offer.name is not None:
        known |= {"offer.name"}
    for text in texts:
        if not isinstance(text, str):
            continue
        for match in MACRO.finditer(text):
            if macro_key(match[1]) not in known and match[1] not in known:
                message = f"nothing is known that fills the macro {match.group()}"
                hint = "it is filled if requests have a parameter of that name"
                yield context.finding("TA209", path, message, hint)
                return


def _check_place(context: LintContext, placement: Placement, kind: str, path: str) -> Iterator[Finding]:
    offer = placement.offer
    if kind == "actions" and offer.mbox == context.settings.global_mbox:
        message = f"actions in the mbox {offer.mbox!r} are not applied at page load"
        yield context.finding("TA214", f"{placement.path}.mbox", message, "write `page_load: 0`")
    elif kind == "html" and offer.page_load is not None:
        message = "HTML at page load has no element to replace"
        hint = f"write `mbox: {context.settings.global_mbox}`, or use actions"
        yield context.finding("TA214", path, message, hint)


def check_shapes(context: LintContext) -> Iterator[Finding]:
    """Find JSON offers of one place that differ in shape between experiences (TA208)."""
    firsts: dict[tuple[Any, ...], tuple[Placement, Any]] = {}
    for placement in context.placements:
        found = content_of(context, placement)
        if found is None or found[0] != "json":
            continue
        first, content = firsts.setdefault(
            (placement.activity_index, *placement.place), (placement, found[1])
        )
        difference = next(_differences(content, found[1], ""), None) if first is not placement else None
        if difference is not None:
            yield context.finding(
                "TA208",
                f"{placement.path}.json",
                f"the shape differs from that of the experience {first.experience.key!r}: {difference}",
            )


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in other:
                yield f"{inner} is missing"
            elif key not in one:
                yield f"{inner} is only here"
            else:
                yield from _differences(one[key], other[key], inner)
    elif isinstance(one, list) and isinstance(other, list):
        if one and other:
            yield from _item_differences(one, other, f"{path}[]")
    elif one is not None and other is not None and _type(one) != _type(other):
        yield f"{path or 'the value'} is {_type(other)} instead of {_type(one)}"


def _item_differences(one: list[Any], other: list[Any], path: str) -> Iterator[str]:
    """Compare the types of items, and if all are objects, the names that any of them has."""
    if all(isinstance(item, dict) for item in (*one, *other)):
        yield from _differences(_all_names(one), _all_names(other), path)
        return
    known, found = ({_type(item) for item in items if item is not None} for items in (one, other))
    if known and found and known != found:
        yield f"{path} is {_either(found)} instead of {_either(known)}"


def _all_names(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for item in reversed(items) for name, value in item.items()}


def _either(types: set[str]) -> str:
    return " or ".join(sorted(types))


def _type(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a text", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


def check_metrics(context: LintContext) -> Iterator[Finding]:
    """Find click metrics without the selector they need, and selectors that are no CSS (TA213)."""
    seen: set[str] = set()
    for placement in context.placements:
        is_page = placement.offer.mbox is None
        for path, metric in _metrics(context, placement):
            if path in seen:
                continue
            if metric.selector is not None and not is_selector(metric.selector):
                seen.add(path)
                message = f"{metric.selector!r} is not a CSS selector"
                yield context.finding("TA213", f"{path}.selector", message)
            elif metric.type == "click" and metric.selector is None and is_page:
                seen.add(path)
                message = "a click on a page or in a view is counted for an element"
                yield context.finding("TA213", path, message, "give the metric a `selector`")


def _metrics(context: LintContext, placement: Placement) -> Iterator[tuple[str, MetricDefinition]]:
    activity = f"activities[{placement.activity_index}]"
    levels = (
        (placement.path, placement.offer.metrics),
        (f"{activity}.experiences[{placement.number}]", placement.experience.metrics),
        (activity, placement.activity.metrics),
    )
    for path, metrics in levels:
        if metrics is not None:
            yield from ((f"{path}.metrics[{index}]", one) for index, one in enumerate(metrics))
            return
    defaults = context.settings.defaults.metrics
    yield from ((f"defaults.metrics[{index}]", one) for index, one in enumerate(defaults))


def is_selector(text: str) -> bool:
    """Return whether a text can be a CSS selector: its quotes and brackets are whole."""
    plain = _QUOTED.sub("x", text).strip()
    opened: list[str] = []
    for char in plain:
        if char in _BRACKETS.values():
            opened.append(char)
        elif char in _BRACKETS and (not opened or opened.pop() != _BRACKETS[char]):
            return False
    has_odd_character = any(char in "\"'\\{};@!<" for char in plain)
    is_open = not plain or plain[-1] in ">+~,.#:" or plain[0] in "+~,)]" or re.search(r",\s*,", plain)
    return not (opened or has_odd_character or is_open)


def check_response_tokens(context: LintContext) -> Iterator[Finding]:
    """Find response tokens that decisions on device never fill (TA216)."""
    for index, name in enumerate(context.settings.response_tokens):
        path = f"response_tokens[{index}]"
        if name not in RESPONSE_TOKENS:
            yield context.finding("TA216", path, f"the response token {name!r} is not filled on device")
        elif name.startswith("geo.") and context.settings.geo is False:
            message = f"the response token {name!r} is not filled without places"
            yield context.finding("TA216", path, message, "remove `geo: false`")


def check_artifacts(context: LintContext) -> Iterator[Finding]:
    """Find artifacts that the engine cannot use in full (TA006), and large ones (TA218)."""
    for name, artifact in context.compilation.artifacts.items():
        text = artifact_bytes(artifact)
        if len(text) > _MOST_ARTIFACT_BYTES:
            message = f"the artifact of {name!r} has {len(text):,} bytes, which every client downloads"
            yield context.finding("TA218", "", message)
        try:
            rules = compile_artifact(text)
        except ArtifactError as error:
            yield context.finding("TA006", "", f"the artifact of {name!r} cannot be used: {error}")
            continue
        for rule in rules.unusable[:20]:
            yield context.finding("TA006", "", f"the artifact of {name!r} has an unusable rule: {rule}")
