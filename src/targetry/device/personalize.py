"""Personalization: options with response tokens and macros, and metrics, from a rule's consequence.

A `Template` is built once per rule. Everything that is equal for all visitors is computed then; a
decision only copies it, so a change to one response does not reach the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

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

Labels = dict[str, bool | int | float | str]
"""Ids and names of activity, experience and offer."""

_LABELS = (
    "activity.id",
    "activity.name",
    "activity.type",
    "experience.id",
    "experience.name",
    "option.id",
    "offer.id",
    "offer.name",
)
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
RESPONSE_TOKENS = frozenset({*_META_TOKENS, *_GEO_TOKENS, _METHOD_TOKEN})
"""Names of the response tokens that decisions on device fill."""

MACRO_FIELDS = frozenset({"index", "key"})  # of a location, in addition to its name

MACRO = re.compile(r"\$\{([A-Za-z0-9_.]*)\}")
_OLD_WORDS = (
    (re.compile("campaign", re.IGNORECASE), "activity"),
    (re.compile("recipe", re.IGNORECASE), "experience"),
)


def geo_token_attributes(response_tokens: Container[str]) -> tuple[tuple[str, str], ...]:
    """Return the response tokens about the geo location, each with its attribute of `Geo`."""
    return tuple((name, attribute) for name, attribute in _GEO_TOKENS.items() if name in response_tokens)


def geo_tokens(geo: Geo | None, tokens: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return the values of geo response tokens, which are equal in every option of a request.

    Args:
        geo: The visitor's geo location.
        tokens: The result of `geo_token_attributes`.
    """
    values: dict[str, Any] = {}
    if geo is not None:
        for name, attribute in tokens:
            value = getattr(geo, attribute)
            if value is not None:
                values[name] = value
    return values


def variant_of(meta: Mapping[str, Any]) -> str | None:
    """Return the name of the experience, else its id, of a rule's meta or an offer's tokens."""
    variant = meta.get("experience.name")
    if variant is None or variant == "":
        variant = meta.get("experience.id")
    return None if variant is None else str(variant)


def labels_of(meta: Mapping[str, Any]) -> Labels:
    """Return the ids and names of activity, experience and offer in the meta of a rule."""
    return {name: value for name in _LABELS if isinstance(value := meta.get(name), bool | int | float | str)}


Render = Callable[["Facts | None"], Any]
"""Renders content for one location of one request; constant content without its facts."""


ReportKey = tuple[str | None, str]
"""Location name and event token, which a request reports once."""


class OptionTemplate(msgspec.Struct, frozen=True, eq=False):
    """An option; its content is `shared`, if immutable, or the result of `render`.

    `is_constant`: the content is equal for all visitors and locations. `original` is content that
    `render` copies, and must not be changed; else None.
    """

    type: str | None
    shared: Any
    render: Render | None
    event_token: str | None
    is_constant: bool
    original: Any = None

    @property
    def is_blank(self) -> bool:
        """Whether it has neither type nor content, as default content."""
        return self.type is None and self.shared is None and self.render is None


class Template:
    """The content of one rule.

    `execute` are the options for execute requests, without event tokens and without blank options;
    `prefetch` are those for prefetch requests, with the event tokens for notifications.
    `only_option` is that of `execute` if there is exactly one, `shared` its content if that is
    immutable, else `UNDEFINED`. `has_impressions`: there are `event_tokens`, to report when shown.
    `is_constant`: name, options and metrics are equal for all visitors and locations.
    `needs_facts`: an option is not equal for all.
    `experience` has the ids of activity and experience, `variant` the name of the experience.
    """

    __slots__ = (
        "analytics",
        "click_metrics",
        "event_tokens",
        "execute",
        "experience",
        "has_impressions",
        "is_constant",
        "labels",
        "meta",
        "metrics",
        "name",
        "needs_facts",
        "only_option",
        "prefetch",
        "report_keys",
        "shared",
        "tokens",
        "variant",
    )

    def __init__(
        self, consequence: ConsequenceDocument, meta: dict[str, Any], response_tokens: frozenset[str]
    ) -> None:
        metrics = consequence.metrics or []
        options = [_option(option, meta) for option in consequence.options or []]
        self.name = consequence.name
        self.needs_facts = not all(option.is_constant for option in options)
        self.is_constant = bool(consequence.name) and not self.needs_facts
        self.meta = meta
        self.labels = labels_of(meta)
        self.variant = variant_of(meta)
        self.experience = self.labels.get("activity.id"), self.labels.get("experience.id")
        self.execute = tuple(replace(option, event_token=None) for option in options if not option.is_blank)
        self.only_option = self.execute[0] if len(self.execute) == 1 else None
        only = self.only_option
        self.shared = UNDEFINED if only is None or only.render is not None else only.shared
        self.prefetch = tuple(_with_display_token(options, metrics))
        tokens = (option.event_token for option in options if option.event_token)
        self.event_tokens = tuple(dict.fromkeys(tokens))
        self.has_impressions = bool(self.event_tokens)
        self.report_keys: tuple[ReportKey, ...] = tuple((self.name, token) for token in self.event_tokens)
        self.metrics = tuple(metrics)
        self.click_metrics = tuple(metric for metric in metrics if metric.type == MetricType.CLICK)
        payload = consequence.analytics.payload if consequence.analytics is not None else None
        self.analytics = payload
        self.tokens = {_METHOD_TOKEN: DecisioningMethod.ON_DEVICE.value}
        self.tokens |= {name: meta[name] for name in _META_TOKENS if name in response_tokens and name in meta}

    def options(
        self, templates: Iterable[OptionTemplate], facts: Facts | None, tokens: dict[str, Any]
    ) -> list[Option]:
        """Return the options of `execute` or `prefetch` for one location of one request.

        `facts` can be None unless `needs_facts`. `tokens` are response tokens of all options, which
        replace those of the rule.
        """
        options = []
        for template in templates:
            render = template.render
            content = template.shared if render is None else render(facts)
            own = self.tokens | tokens if tokens else self.tokens.copy()
            options.append(Option(template.type, content, template.event_token, own))
        return options

    def execute_metrics(self) -> list[Metric]:
        """Return the metrics for execute requests."""
        return _metrics(self.click_metrics) if self.click_metrics else []

    def all_metrics(self) -> list[Metric]:
        """Return all metrics, as views have them."""
        return _metrics(self.metrics)

    def analytics_response(self) -> AnalyticsResponse | None:
        """Return the analytics payload of a response, None if the rule has none."""
        payload = self.analytics
        if payload is None:
            return None
        return AnalyticsResponse(AnalyticsPayload(payload.get("pe"), payload.get("tnta")))


def _metrics(documents: Iterable[MetricDocument]) -> list[Metric]:
    return [Metric(document.type, document.selector, document.event_token) for document in documents]


def _option(document: OptionDocument, meta: dict[str, Any]) -> OptionTemplate:
    content, render, is_constant, original = document.content, None, True, None
    if isinstance(content, str):
        if document.type == OptionType.HTML:
            content = _text(content, meta)
            if not isinstance(content, str):
                content, render, is_constant = None, content, False
    elif isinstance(content, list) and document.type == OptionType.ACTIONS:
        content, render, is_constant = None, *_actions_renderer(content, meta)
    elif isinstance(content, dict | list):
        content, render, original = None, _copier(content), content
    return OptionTemplate(document.type, content, render, document.event_token, is_constant, original)


def _with_display_token(options: list[OptionTemplate], metrics: list[MetricDocument]) -> list[OptionTemplate]:
    """Return options; one without token gets that of the display metric at its position."""
    completed = []
    for position, option in enumerate(options):
        if (
            not option.event_token
            and position < len(metrics)
            and metrics[position].type == MetricType.DISPLAY
        ):
            option = replace(option, event_token=metrics[position].event_token)
        completed.append(option)
    return completed


# ── content ───


def _copier(content: Any) -> Render:
    if isinstance(content, dict) and not any(isinstance(value, dict | list) for value in content.values()):
        return lambda _: content.copy()
    return lambda _: copied(content)


def copied(value: Any) -> Any:
    """Return a copy of a JSON object or array, with those in it."""
    if isinstance(value, dict):
        return {key: copied(item) if isinstance(item, dict | list) else item for key, item in value.items()}
    return [copied(item) if isinstance(item, dict | list) else item for item in value]


def _actions_renderer(given: list[Any], meta: dict[str, Any]) -> tuple[Render, bool]:
    """Return the renderer of actions, and whether it gives the same to all.

    It fills in the macros in their text content, and copies the rest.
    """
    actions, plan = [], []
    for action in given:
        content = action.get("content") if isinstance(action, dict) else None
        fill: Render | None = None
        if isinstance(content, str):
            text = _text(content, meta)
            if not isinstance(text, str):
                fill = text
            elif text != content:
                action = {**action, "content": text}
        flat = isinstance(action, dict) and not any(
            isinstance(value, dict | list) for value in action.values()
        )
        actions.append(action)
        plan.append((action, flat, fill))

    is_constant = all(fill is None for _, _, fill in plan)
    if is_constant and all(flat for _, flat, _ in plan):
        return lambda _: [action.copy() for action in actions], True

    def render(facts: Facts | None) -> list[Any]:
        rendered = []
        for action, flat, fill in plan:
            copy = action.copy() if flat else copied(action) if isinstance(action, dict | list) else action
            if fill is not None:
                copy["content"] = fill(facts)
            rendered.append(copy)
        return rendered

    return render, is_constant


# ── macros ───


def _text(text: str, meta: dict[str, Any]) -> str | Render:
    """Return a text with the macros of the meta filled in, or its renderer if it has others."""
    pieces: list[str | tuple[str, str]] = []
    end = 0
    for match in MACRO.finditer(text):
        key = macro_key(match.group(1))
        value = _known_value(key, meta)
        pieces += [text[end : match.start()], (key, match.group()) if value is UNDEFINED else to_text(value)]
        end = match.end()
    pieces.append(text[end:])
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(map(str, pieces))

    def fill(facts: Facts | None) -> str:
        assert facts is not None
        return "".join(
            piece if isinstance(piece, str) else _value_here(piece[0], piece[1], facts) for piece in pieces
        )

    return fill


def macro_values(text: str, meta: dict[str, Any]) -> Iterator[Any]:
    """Yield what the meta has for each macro of a text; UNDEFINED for a macro of the request."""
    for match in MACRO.finditer(text):
        yield _known_value(macro_key(match.group(1)), meta)


def macro_key(name: str) -> str:
    """Return the lookup name of a macro: current terms, the last two parts, without `mbox`."""
    for old, new in _OLD_WORDS:
        name = old.sub(new, name)
    return ".".join(part for part in name.split(".")[-2:] if part != "mbox")


def _known_value(key: str, meta: dict[str, Any]) -> Any:
    if key == "view.name":
        key = "location.name"
    return meta.get(key, UNDEFINED)


def _value_here(key: str, macro: str, facts: Facts) -> str:
    """Return the value of the location or its parameters; the macro itself if there is none."""
    field = (
        facts.name if key == "name" else getattr(facts.details, key, None) if key in MACRO_FIELDS else None
    )
    if field is not None:
        return to_text(field)
    value = (facts.details.parameters or {}).get(key, UNDEFINED)
    return macro if value is UNDEFINED else to_text(value)
