"""Templates of the edge's pages, with their style, their script and the content security policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup
from starlette.responses import Response

from targetry._runtime.lazy_import import importing_extra
from targetry.edge.ui.report_charts import rate_bars, time_charts
from targetry.humanize.figures import (
    describe_removal,
    describe_uncounted,
    format_clock,
    format_iso_time,
    format_p_value,
    format_time,
    pluralize,
)
from targetry.humanize.text import truncate_text

HTML: Final = "text/html; charset=utf-8"
HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with "no-referrer", a form has the Origin "null"
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-dns-prefetch-control": "off",
}
"""Headers of all responses of the edge's pages."""


class PageTemplates:
    """Templates of the pages; texts are escaped and truncated."""

    def __init__(self) -> None:
        with importing_extra("edge"):  # an edge without visitors of its pages does not need the package
            from jinja2 import Environment, PackageLoader, StrictUndefined

        made = Environment(
            loader=PackageLoader("targetry.edge.ui", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters.update(
            clock=format_clock,
            count=pluralize,
            time=format_time,
            iso_time=format_iso_time,
            percent=_percent,
            p_value=format_p_value,
            rate_bars=rate_bars,
            removal=lambda one: describe_removal(one.removed, one.from_ms, one.to_ms),
            uncounted=describe_uncounted,
            whole=_Whole,
            quoted=lambda text: _Whole(quote(text, safe="", errors="replace")),
        )
        style, script = _text("page.css"), _text("page.js")
        made.globals.update(
            style=Markup(style),
            script=Markup(script),
            time_charts=time_charts,
            activity_notes=_activity_notes,
            format_mean=_format_mean,
            metric_label=_metric_label,
            segment_label=_segment_label,
            verdict_words=_verdict_words,
        )
        self._environment = made
        policy = (
            f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
            "img-src 'self' data:; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        self.headers = {**HEADERS, "content-security-policy": policy, "x-frame-options": "DENY"}

    def render(self, name: str, /, **values: Any) -> str:
        """Return the HTML of the template `<name>.html`."""
        return self._environment.get_template(f"{name}.html").render(**values)

    def response(self, text: str, headers: Mapping[str, str] = {}, *, status: int = 200) -> Response:
        """Return a response with a rendered page, or a part of one, and more headers."""
        return Response(
            text.encode("utf-8", "replace"), status, headers={**self.headers, **headers}, media_type=HTML
        )


@cache
def templates() -> PageTemplates:
    """Load the templates at the first use, so that an edge starts faster."""
    return PageTemplates()


class _Whole:
    """Text that is shown in full, with control characters as they are."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def _finalize(value: Any) -> Any:
    """Truncate a text, and escape characters that change their surroundings, like bidi marks."""
    return truncate_text(value) if type(value) is str else value


def _text(name: str) -> str:
    return resources.files("targetry.edge.ui").joinpath("pages", name).read_text(encoding="utf-8")


def _activity_notes(*given: Any) -> list[str]:
    from targetry.report.notes import activity_notes  # only an edge with a ledger needs it

    return list(activity_notes(*given))


def _format_mean(name: str, value: float) -> str:
    from targetry.report.inference.metrics import format_mean  # only an edge with a ledger needs it

    return format_mean(name, value)


def _metric_label(name: str) -> str:
    from targetry.report.inference.metrics import METRICS  # only an edge with a ledger needs it

    return METRICS[name].label


def _segment_label(by: str) -> str:
    from targetry.report.by_segment import segment_label  # only an edge with a ledger needs it

    return segment_label(by)


def _verdict_words(*given: Any) -> str:
    from targetry.report.verdicts import verdict_words  # only an edge with a ledger needs it

    return verdict_words(*given)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _percent(value: float, sign: str = "", places: int = 1) -> str:
    return f"{100 * value:{sign}z.{places}f}"
