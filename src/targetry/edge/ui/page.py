"""The page at `/`, for people: what the edge decides by, what it was asked last and why it answered so, what came of it.

Rendered here from templates in `pages/`, whole without script; the script that is there only brings in new requests. Whatever an
artifact or a request says is text: it is escaped, shortened, and the policy in the headers lets nothing else run. What takes long
is done in a thread, and only when somebody looks.
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
from targetry.edge.ui.artifact_view import COLOURS, ArtifactView, artifact_view
from targetry.edge.ui.rate_bars import rate_bars
from targetry.edge.ui.report_cache import ReportCache, Shown
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
_NO_LEDGER: Final = "nothing is recorded; start the edge with --data DIR"
_LATER: Final = "not explained yet, since others took long; reload the page"
_LONGEST_S: Final = 1.0  # visitors wait for the same processor
_CANNOT: Final = (LedgerError, MissingExtraError, PlotError)
_FOLDERS: Final = re.compile(r"""(?<![\w/.])(?:[A-Za-z]:)?[/\\](?:[^/\\\n:'"]+[/\\])+""")


class Dashboard:
    """The endpoints of the page. `registry` and `states` tell what is served, `view` is that of the ledger, None without one."""

    def __init__(
        self,
        registry: Callable[[], ArtifactRegistry],
        states: Callable[[], list[ArtifactState]],
        recent: RequestHistory,
        report_cache: ReportCache | None = None,
        *,
        longest_s: float = _LONGEST_S,
    ) -> None:
        """`longest_s`: how long one look explains what was not explained before."""
        self._registry = registry
        self._states = states
        self._history = recent
        self._report_cache = report_cache
        self._longest_s = longest_s
        self._artifacts: weakref.WeakKeyDictionary[LoadedArtifact, ArtifactView] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    async def page(self, request: Request) -> Response:
        return self._html(await run_in_threadpool(self._page, str(request.base_url), self._history.after()))

    async def recent_requests(self, request: Request) -> Response:
        """Those that came after the one that `after` names, as a piece of the page; 204 where there are none."""
        check_field_count(request.url.query)
        seen = self._history.after(_number(request.query_params.get("after", "0")))
        if not seen:
            return Response(status_code=204, headers=self._headers)
        return self._html(await run_in_threadpool(self._rows, seen))

    async def report(self, request: Request) -> Response:
        """What `targetry report -o json` prints."""
        shown = await run_in_threadpool(_told(self._report_cache_or_404().report))
        return Response(
            msgspec.json.encode(shown.report), headers=self._headers, media_type="application/json"
        )

    async def plot(self, request: Request) -> Response:
        picture = await run_in_threadpool(_told(self._report_cache_or_404().plot))
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

    def _page(self, url: str, seen: list[HistoryEntry]) -> str:
        served = self._registry().artifacts
        shown, problem = self._shown_report()
        return self._templates.page(
            artifacts=[self._artifact(one) for one in served],
            refused=[state for state in self._states() if state.refused is not None],
            rows=Markup(self._rows(seen)),
            latest=seen[0].number if seen else 0,
            capacity=self._history.capacity,
            shown=shown,
            is_plotted=shown is not None and bool(plotted_activities(shown.report)),
            problem=problem,
            example=_example(url, served[0]) if served and not seen else "",
            most_reported=MAX_ACTIVITIES,
            colours=COLOURS,
        )

    def _artifact(self, served: LoadedArtifact) -> ArtifactView:
        with self._lock:
            shown = self._artifacts.get(served)
            if shown is None:
                shown = self._artifacts[served] = artifact_view(served)
            return shown

    def _rows(self, seen: list[HistoryEntry]) -> str:
        """Each request is explained once; the text is kept, and what it was made of let go."""
        with self._lock:
            until = time.monotonic() + self._longest_s
            return "".join(self._row(one, until) for one in seen)

    def _row(self, seen: HistoryEntry, until: float) -> str:
        if seen.row is None:
            if time.monotonic() > until:
                return self._templates.row(one=unexplained(seen, _LATER))
            seen.row = self._templates.row(one=request_view(seen))
            seen.request = None
        return seen.row

    def _shown_report(self) -> tuple[Shown | None, str]:
        """The report, or why there is none."""
        if self._report_cache is None:
            return None, ""
        try:
            return self._report_cache.report(), ""
        except _CANNOT as error:
            return None, _without_folders(str(error))


class _Templates:
    """The templates, with style and script inside, and the policy that lets these two work and nothing else."""

    def __init__(self) -> None:
        made = Environment(
            loader=PackageLoader("targetry.edge.ui", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_finalized,
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
    """Read when somebody looks for the first time: an edge in a test is up sooner without."""
    return _Templates()


def _finalized(value: Any) -> Any:
    """No text is endless, and none holds what changes the text around it, such as marks of direction."""
    return truncate_text(value) if type(value) is str else value


def _text(name: str) -> str:
    return resources.files("targetry.edge.ui").joinpath("pages", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _percent(value: float, sign: str = "", places: int = 1) -> str:
    return f"{100 * value:{sign}.{places}f}"


def _example(url: str, served: LoadedArtifact) -> str:
    """A request for a shell."""
    mbox = {"name": next(iter(served.rules.mboxes), "hero")}
    body = json.dumps({"context": {"channel": "web"}, "execute": {"mboxes": [mbox]}})
    address = f"{url}rest/v1/delivery?{urlencode({'client': served.client, 'sessionId': 's1'})}"
    return shlex.join(["curl", address, "-H", "content-type: application/json", "-d", body])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _told(ask: Callable[[], _T]) -> Callable[[], _T]:
    """The same, with what cannot be done told to the one who asks."""

    def asked() -> _T:
        try:
            return ask()
        except _CANNOT as error:
            raise RequestRejected(503, _without_folders(str(error))) from error

    return asked


def _without_folders(text: str) -> str:
    """Return a message with each absolute path cut to its last part."""
    return _FOLDERS.sub("", text)
