"""Consequence → what a visitor is given: options with response tokens and macros filled in, and metrics.

A `Template` is made once per rule (spec/decisioning.md §7): what is the same for every visitor is done then, and
what is left for a decision is to copy it, so that nobody's changes reach the next visitor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from targetry.device.artifact import ConsequenceDocument, MetricDocument, OptionDocument
from targetry.device.logic.javascript import UNDEFINED, to_text
from targetry.models import (
    AnalyticsPayload,
    AnalyticsResponse,
    DecisioningMethod,
    Geo,
    Metric,
    MetricType,
    Option,
    OptionType,
)

if TYPE_CHECKING:
    from targetry.device.logic.facts import Facts

_META_TOKENS = (
    "activity.id",
    "activity.name",
    "activity.type",
    "experience.id",
    "experience.name",
    "location.id",
    "location.name",
    "location.type",
    "offer.id",
    "offer.name",
    "option.id",
    "option.name",
)
_GEO_TOKENS = {
    "geo.city": "city",
    "geo.country": "country_code",
    "geo.state": "state_code",
    "geo.latitude": "latitude",
    "geo.longitude": "longitude",
}
_METHOD_TOKEN = "activity.decisioningMethod"

_FIELDS = frozenset({"index", "key"})  # of a location, besides its name

_MACRO = re.compile(r"\$\{([A-Za-z0-9_.]*)\}")
_OLD_WORDS = (
    (re.compile("campaign", re.IGNORECASE), "activity"),
    (re.compile("recipe", re.IGNORECASE), "experience"),
)


def geo_token_attributes(response_tokens: Container[str]) -> tuple[tuple[str, str], ...]:
    """The response tokens that tell the visitor's place, each with the attribute of `Geo` that it tells."""
    return tuple((name, attribute) for name, attribute in _GEO_TOKENS.items() if name in response_tokens)


def geo_tokens(geo: Geo | None, tokens: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """What `tokens`, of `geo_token_attributes`, tell about this place: the same in every option of a request (§7.1)."""
    told: dict[str, Any] = {}
    if geo is not None:
        for name, attribute in tokens:
            value = getattr(geo, attribute)
            if value is not None:
                told[name] = value
    return told


Render = Callable[["Facts"], Any]
"""Makes content for one location of one request."""


class OptionTemplate(NamedTuple):
    """An option; exactly one of `shared` (immutable content) and `render` (content made anew) gives its content."""

    type: str | None
    shared: Any
    render: Render | None
    event_token: str | None

    @property
    def is_blank(self) -> bool:
        return self.type is None and self.shared is None and self.render is None  # D-19


class Template:
    """What one rule gives.

    `execute` are the options that an execute request gets, without event tokens and without blank ones; `prefetch` those of a
    prefetch request, with the event tokens to notify with.
    """

    __slots__ = (
        "analytics",
        "click_metrics",
        "event_tokens",
        "execute",
        "meta",
        "metrics",
        "name",
        "prefetch",
        "tokens",
    )

    def __init__(
        self, consequence: ConsequenceDocument, meta: dict[str, Any], response_tokens: frozenset[str]
    ) -> None:
        metrics = consequence.metrics or []
        options = [_option(option, meta) for option in consequence.options or []]
        self.name = consequence.name
        self.meta = meta
        self.execute = tuple(option._replace(event_token=None) for option in options if not option.is_blank)
        self.prefetch = tuple(_with_display_token(options, metrics))
        self.event_tokens = tuple(option.event_token for option in options if option.event_token)
        self.metrics = tuple(metrics)
        self.click_metrics = tuple(metric for metric in metrics if metric.type == MetricType.CLICK)
        payload = consequence.analytics.payload if consequence.analytics is not None else None
        self.analytics = payload
        self.tokens = {_METHOD_TOKEN: DecisioningMethod.ON_DEVICE.value}
        self.tokens |= {name: meta[name] for name in _META_TOKENS if name in response_tokens and name in meta}

    def options(
        self, templates: Iterable[OptionTemplate], facts: Facts, geo_tokens: dict[str, Any]
    ) -> list[Option]:
        """The options of `templates`, which are `execute` or `prefetch`, for one location of one request."""
        options = []
        for type_, shared, render, event_token in templates:
            content = shared if render is None else render(facts)
            options.append(Option(type_, content, event_token, self.tokens | geo_tokens))
        return options

    def clicks(self) -> list[Metric]:
        """The metrics that an execute request gets."""
        return _metrics(self.click_metrics) if self.click_metrics else []

    def every_metric(self) -> list[Metric]:
        """The metrics of a view."""
        return _metrics(self.metrics)

    def analytics_response(self) -> AnalyticsResponse | None:
        payload = self.analytics
        if payload is None:
            return None
        return AnalyticsResponse(AnalyticsPayload(payload.get("pe"), payload.get("tnta")))


def _metrics(documents: Iterable[MetricDocument]) -> list[Metric]:
    return [Metric(document.type, document.selector, document.event_token) for document in documents]


def _option(document: OptionDocument, meta: dict[str, Any]) -> OptionTemplate:
    render = _renderer(document, meta)
    return OptionTemplate(
        document.type,
        document.content if render is None else None,
        render,
        document.event_token,
    )


def _with_display_token(options: list[OptionTemplate], metrics: list[MetricDocument]) -> list[OptionTemplate]:
    """An option without a token is notified with that of the display metric at its place."""
    completed = []
    for position, option in enumerate(options):
        if (
            not option.event_token
            and position < len(metrics)
            and metrics[position].type == MetricType.DISPLAY
        ):
            option = option._replace(event_token=metrics[position].event_token)
        completed.append(option)
    return completed


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────


def _renderer(document: OptionDocument, meta: dict[str, Any]) -> Render | None:
    """How the content is made for one visitor; None when it can be given out as it is."""
    content = document.content
    if isinstance(content, str):
        return _text_renderer(content, meta) if document.type == OptionType.HTML else None
    if not isinstance(content, dict | list):
        return None
    if document.type == OptionType.ACTIONS and isinstance(content, list):
        return _actions_renderer(content, meta)
    return _copier(content)


def _copier(content: Any) -> Render:
    if isinstance(content, dict) and not any(isinstance(value, dict | list) for value in content.values()):
        return lambda _: content.copy()
    return lambda _: _copied(content)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) if isinstance(item, dict | list) else item for key, item in value.items()}
    return [_copied(item) if isinstance(item, dict | list) else item for item in value]


def _actions_renderer(actions: list[Any], meta: dict[str, Any]) -> Render:
    """Macros stand in the text content of each action; everything else is copied."""
    plan = []
    for action in actions:
        content = action.get("content") if isinstance(action, dict) else None
        fill = _text_renderer(content, meta) if isinstance(content, str) else None
        flat = isinstance(action, dict) and not any(
            isinstance(value, dict | list) for value in action.values()
        )
        plan.append((action, flat, fill))

    if all(flat and fill is None for _, flat, fill in plan):
        return lambda _: [action.copy() for action in actions]

    def render(facts: Facts) -> list[Any]:
        rendered = []
        for action, flat, fill in plan:
            copy = action.copy() if flat else _copied(action) if isinstance(action, dict | list) else action
            if fill is not None:
                copy["content"] = fill(facts)
            rendered.append(copy)
        return rendered

    return render


# ── macros ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _text_renderer(text: str, meta: dict[str, Any]) -> Render | None:
    """Fill the macros of a text (§7.2); those that only the activity answers are filled once and for all."""
    pieces: list[str | tuple[str, str]] = []
    end = 0
    for match in _MACRO.finditer(text):
        key = macro_key(match.group(1))
        value = _known_value(key, meta)
        pieces += [text[end : match.start()], (key, match.group()) if value is UNDEFINED else to_text(value)]
        end = match.end()
    if not pieces:
        return None
    pieces.append(text[end:])
    return lambda facts: "".join(
        piece if isinstance(piece, str) else _value_here(piece[0], piece[1], facts) for piece in pieces
    )


def macro_key(name: str) -> str:
    """The name that a macro is looked up by: today's words, the last two parts, without `mbox`."""
    for old, new in _OLD_WORDS:
        name = old.sub(new, name)
    return ".".join(part for part in name.split(".")[-2:] if part != "mbox")


def _known_value(key: str, meta: dict[str, Any]) -> Any:
    if key == "view.name":  # D-23
        key = "location.name"
    return meta.get(key, UNDEFINED)


def _value_here(key: str, macro: str, facts: Facts) -> str:
    """What the location or its parameters say; the macro itself when nobody knows it."""
    field = facts.name if key == "name" else getattr(facts.details, key, None) if key in _FIELDS else None
    if field is not None:
        return to_text(field)
    value = (facts.details.parameters or {}).get(key, UNDEFINED)
    return macro if value is UNDEFINED else to_text(value)
