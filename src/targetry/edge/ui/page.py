"""Dashboard of an edge: its artifacts, its last requests with explanations, and its report.

The page is rendered from the templates in `pages/` and complete without its script, which only adds
new requests. Text of artifacts and requests is escaped and truncated, and the content security
policy allows only the page's own script and style. Expensive parts run in a thread, on request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache, cached_property
from importlib import resources
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.edge.http.errors import RequestRejected
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.ui.artifact_view import COLORS, ArtifactView, artifact_view
from targetry.edge.ui.rate_bars import rate_bars
from targetry.edge.ui.report_cache import CachedReport, ReportCache
from targetry.edge.ui.request_history import HistoryEntry, RequestHistory
from targetry.edge.ui.request_view import request_view, unexplained
from targetry.errors import MissingExtraError
from targetry.humanize.figures import (
    describe_removal,
    describe_unusable_totals,
    format_clock,
    format_iso_time,
    format_p_value,
    format_time,
    pluralize,
)
from targetry.humanize.text import truncate_text
from targetry.ledger.errors import LedgerError
from targetry.report.plot import MAX_ACTIVITIES, PlotError, plotted_activities

_T = TypeVar("_T")

_HTML: Final = "text/html; charset=utf-8"
_SVG: Final = "image/svg+xml"
_NO_LEDGER: Final = "there is no report: events are not recorded; start the edge with --data DIR"
_LATER: Final = "not explained yet: the time for explanations is used up; reload the page"
_LONGEST_S: Final = 1.0  # visitors wait for the same processor
_CANNOT: Final = (LedgerError, MissingExtraError, PlotError)
_FOLDERS: Final = re.compile(r"""(?<![\w/.])(?:[A-Za-z]:)?[/\\](?:[^/\\\n:'"]+[/\\])+""")


class Dashboard:
    """Endpoints of the dashboard.

    `registry` and `states` return the served artifacts and the states of their files.
    `report_cache` has the reports of the ledger, None without one.
    """

    def __init__(
        self,
        registry: Callable[[], ArtifactRegistry],
        states: Callable[[], list[ArtifactState]],
        history: RequestHistory,
        report_cache: ReportCache | None = None,
        *,
        longest_s: float = _LONGEST_S,
    ) -> None:
        """Bound the time in seconds in which one response explains requests by `longest_s`."""
        self._registry = registry
        self._states = states
        self._history = history
        self._report_cache = report_cache
        self._longest_s = longest_s
        self._artifacts: weakref.WeakKeyDictionary[LoadedArtifact, ArtifactView] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    async def page(self, request: Request) -> Response:
        return self._html(await run_in_threadpool(self._page, str(request.base_url), self._history.after()))

    async def recent_requests(self, request: Request) -> Response:
        """Return the requests with a number above `after` as HTML; 204 if there are none."""
        check_field_count(request.url.query)
        entries = self._history.after(_number(request.query_params.get("after", "0")))
        if not entries:
            return Response(status_code=204, headers=self._headers)
        return self._html(await run_in_threadpool(self._rows, entries))

    async def report(self, request: Request) -> Response:
        """Return the JSON that `targetry report -o json` prints."""
        shown = await run_in_threadpool(_or_503(self._report_cache_or_404().report))
        return Response(
            msgspec.json.encode(shown.report), headers=self._headers, media_type="application/json"
        )

    async def plot(self, request: Request) -> Response:
        picture = await run_in_threadpool(_or_503(self._report_cache_or_404().plot))
        if picture is None:
            raise RequestRejected(404, "there is nothing to plot: no activity has visitors yet")
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return Response(
            picture, headers={**self._headers, "content-security-policy": policy}, media_type=_SVG
        )

    def _report_cache_or_404(self) -> ReportCache:
        if self._report_cache is None:
            raise RequestRejected(404, _NO_LEDGER)
        return self._report_cache

    def _html(self, text: str) -> Response:
        return Response(text.encode("utf-8", "replace"), headers=self._headers, media_type=_HTML)

    @property
    def _templates(self) -> _Templates:
        return _templates()

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {
            "content-security-policy": self._templates.policy,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

    def _page(self, url: str, entries: list[HistoryEntry]) -> str:
        artifacts = self._registry().artifacts
        shown, problem = self._shown_report()
        return self._templates.page(
            artifacts=[self._artifact(one) for one in artifacts],
            refused=[state for state in self._states() if state.refused is not None],
            rows=Markup(self._rows(entries)),
            latest=entries[0].number if entries else 0,
            capacity=self._history.capacity,
            shown=shown,
            is_plotted=shown is not None and bool(plotted_activities(shown.report)),
            problem=problem,
            example=_example(url, artifacts[0]) if artifacts and not entries else "",
            most_reported=MAX_ACTIVITIES,
            colors=COLORS,
        )

    def _artifact(self, artifact: LoadedArtifact) -> ArtifactView:
        with self._lock:
            shown = self._artifacts.get(artifact)
            if shown is None:
                shown = self._artifacts[artifact] = artifact_view(artifact)
            return shown

    def _rows(self, entries: list[HistoryEntry]) -> str:
        """Return the rows of requests; each request is explained once and its row stored."""
        with self._lock:
            until = time.monotonic() + self._longest_s
            return "".join(self._row(one, until) for one in entries)

    def _row(self, entry: HistoryEntry, until: float) -> str:
        if entry.row is None:
            if time.monotonic() > until:
                return self._templates.row(one=unexplained(entry, _LATER))
            entry.row = self._templates.row(one=request_view(entry))
            entry.request = None
        return entry.row

    def _shown_report(self) -> tuple[CachedReport | None, str]:
        """Return the report, or the reason why there is none."""
        if self._report_cache is None:
            return None, ""
        try:
            return self._report_cache.report(), ""
        except _CANNOT as error:
            return None, _without_folders(str(error))


class _Templates:
    """Templates with their style and script, and the content security policy that allows these."""

    def __init__(self) -> None:
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
            unusable_totals=describe_unusable_totals,
            removal=lambda one: describe_removal(one.removed, one.from_ms, one.to_ms),
        )
        self._page = made.get_template("page.html")
        self._row = made.get_template("request.html")
        self._style, self._script = _text("page.css"), _text("page.js")
        self.policy = (
            f"default-src 'none'; style-src {_hash(self._style)}; script-src {_hash(self._script)}; "
            "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def page(self, **values: Any) -> str:
        return self._page.render(**values, style=Markup(self._style), script=Markup(self._script))

    def row(self, **values: Any) -> str:
        return self._row.render(**values)


@cache
def _templates() -> _Templates:
    """Load the templates at the first use, so that an edge starts faster."""
    return _Templates()


def _finalize(value: Any) -> Any:
    """Truncate a text, and escape characters that change their surroundings, like bidi marks."""
    return truncate_text(value) if type(value) is str else value


def _text(name: str) -> str:
    return resources.files("targetry.edge.ui").joinpath("pages", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _percent(value: float, sign: str = "", places: int = 1) -> str:
    return f"{100 * value:{sign}.{places}f}"


def _example(url: str, artifact: LoadedArtifact) -> str:
    """Return an example request as a shell command."""
    mbox = {"name": next(iter(artifact.rules.mboxes), "hero")}
    body = json.dumps({"context": {"channel": "web"}, "execute": {"mboxes": [mbox]}})
    address = f"{url}rest/v1/delivery?{urlencode({'client': artifact.client, 'sessionId': 's1'})}"
    return shlex.join(["curl", address, "-H", "content-type: application/json", "-d", body])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _or_503(ask: Callable[[], _T]) -> Callable[[], _T]:
    """Return the function, with its errors as a response of status 503."""

    def asked() -> _T:
        try:
            return ask()
        except _CANNOT as error:
            raise RequestRejected(503, _without_folders(str(error))) from error

    return asked


def _without_folders(text: str) -> str:
    """Return a message with each absolute path cut to its last part."""
    return _FOLDERS.sub("", text)
