"""Page of an edge: its artifacts, its last requests with explanations, and its report.

The page is rendered from the templates in `pages/` and complete without its script, which keeps it
current. Text of artifacts and requests is escaped and truncated, and the content security policy
allows only the page's own script and style. Expensive parts run in a thread, on request.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from markupsafe import Markup
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.edge.http.errors import RequestRejected
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.edge.ui.artifact_view import COLORS, ArtifactView, artifact_view
from targetry.edge.ui.request_copies import Copy, copies_of, curl_command
from targetry.edge.ui.request_history import HistoryEntry, RequestHistory
from targetry.edge.ui.request_summary import RequestFilter, RequestSummary
from targetry.edge.ui.request_view import (
    could_be_admitted,
    experience_names,
    request_view,
    summarize_request,
    unexplained_summary,
)
from targetry.edge.ui.templates import HEADERS, templates
from targetry.errors import TargetError

if TYPE_CHECKING:
    from targetry.edge.ui.report_cache import CachedReport, ReportCache

_T = TypeVar("_T")

_SVG: Final = "image/svg+xml"
_NO_LEDGER: Final = "there is no report: events are not recorded; start the edge with --data DIR"
_LATER: Final = "not explained yet: the time for explanations is used up; reload the page"
_GONE: Final = "the edge no longer has this request: it keeps the last {:,}; send the request again"
_LONGEST_S: Final = 1.0  # visitors wait for the same processor
_AHEAD_S: Final = 0.05
_ROWS: Final = 100
_DETAILS: Final = 100
_FOLDERS: Final = re.compile(r"""(?<![\w/.])(?:[A-Za-z]:)?[/\\](?:[^/\\\n:'"]+[/\\])+""")


class _Found(NamedTuple):
    """Requests of a filter, the latest first.

    `older` is the number below which more are searched, None if there are none; `unsearched` counts
    those that took too long to search.
    """

    entries: list[tuple[HistoryEntry, RequestSummary]]
    older: int | None
    unsearched: int


class _Section(NamedTuple):
    """Rendered section of the page, and the tag of its content."""

    html: str
    tag: str


class Dashboard:
    """Endpoints of the page.

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
        self._names: weakref.WeakKeyDictionary[LoadedArtifact, str] = weakref.WeakKeyDictionary()
        self._detailed: list[HistoryEntry] = []
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """Return the routes of the page and its parts."""
        return [
            Route("/", self.page, name="dashboard"),
            Route("/recent", self.recent_requests, name="recent"),
            Route("/request", self.request, name="request"),
            Route("/activities", self.activities, name="activities"),
            Route("/report", self.report_section, name="report"),
            Route("/report.json", self.report, name="report"),
            Route("/plot.svg", self.plot, name="plot"),
        ]

    async def page(self, request: Request) -> Response:
        check_field_count(request.url.query)
        wanted, before = RequestFilter.read(request.query_params), _number(request, "before")
        url = str(request.base_url)
        by = _by(request)
        response = templates().response(await run_in_threadpool(self._page, url, wanted, before or None, by))
        response.background = BackgroundTask(self._summarize_ahead)
        return response

    async def recent_requests(self, request: Request) -> Response:
        """Return rows of the list as HTML: those of a filter, above `after` or below `before`.

        The status is 204 if there is no request. `x-latest` is the number of the last
        request, whether it is shown or not. Each call prepares some requests for a search.
        """
        check_field_count(request.url.query)
        after, before = _number(request, "after"), _number(request, "before")
        await run_in_threadpool(self._summarize_ahead)
        entries = self._history.between(after, before or None)
        if not entries:
            return Response(status_code=204, headers=templates().headers)
        wanted = RequestFilter.read(request.query_params)
        html = await run_in_threadpool(self._rows, entries, wanted)
        return templates().response(html, {"x-latest": str(entries[0].number)})

    async def request(self, request: Request) -> Response:
        """Return a page with the explanation of one request."""
        entry = self._history.find(_number(request, "number"))
        if entry is None:
            raise RequestRejected(404, _GONE.format(self._history.capacity))
        return templates().response(await run_in_threadpool(self._detail, entry, str(request.base_url)))

    async def activities(self, request: Request) -> Response:
        """Return the section of the activities, with status 204 if its tag is that of `have`."""
        return _section(request, await run_in_threadpool(self._activities))

    async def report_section(self, request: Request) -> Response:
        """Return the section of the report, with status 204 if its tag is that of `have`."""
        return _section(request, await run_in_threadpool(self._report, _by(request)))

    async def report(self, request: Request) -> Response:
        """Return the JSON that `targetry report -o json` prints."""
        shown = await run_in_threadpool(_or_503(self._report_cache_or_404().report))
        return Response(
            shown.encoded,
            headers=templates().headers,
            media_type="application/json",
        )

    async def plot(self, request: Request) -> Response:
        picture = await run_in_threadpool(_or_503(self._report_cache_or_404().plot))
        if picture is None:
            raise RequestRejected(404, "there is nothing to plot: no activity has visitors yet")
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        return Response(picture, headers={**HEADERS, "content-security-policy": policy}, media_type=_SVG)

    def _report_cache_or_404(self) -> ReportCache:
        if self._report_cache is None:
            raise RequestRejected(404, _NO_LEDGER)
        return self._report_cache

    def _page(self, url: str, wanted: RequestFilter, before: int | None, by: str) -> str:
        entries = self._history.between(before=before)
        artifacts = self._registry().artifacts
        return templates().render(
            "page",
            rows=Markup(self._rows(entries, wanted)),
            latest=entries[0].number if entries and before is None else 0,
            capacity=self._history.capacity,
            wanted=wanted,
            places=[one.name for artifact in artifacts for one in self._artifact(artifact).locations],
            named=[one for artifact in artifacts for one in self._artifact(artifact).activities],
            example=_example(url, artifacts[0]) if artifacts and not entries else "",
            activities=self._activities(),
            report=self._report(by),
        )

    def _activities(self) -> _Section:
        return _rendered(
            "activities",
            artifacts=[self._artifact(one) for one in self._registry().artifacts],
            refused=[state for state in self._states() if state.refused is not None],
            has_report=self._report_cache is not None,
        )

    def _report(self, by: str) -> _Section:
        shown, problem = self._shown_report(by)
        return _rendered(
            "report",
            shown=shown,
            problem=problem,
            by=by,
            segments=self._report_cache.segments if self._report_cache is not None else (),
            colors=COLORS,
        )

    def _artifact(self, artifact: LoadedArtifact) -> ArtifactView:
        with self._lock:
            shown = self._artifacts.get(artifact)
            if shown is None:
                shown = self._artifacts[artifact] = artifact_view(artifact)
            return shown

    def _rows(self, entries: list[HistoryEntry], wanted: RequestFilter) -> str:
        with self._lock:
            found = self._find(entries, wanted)
        return templates().render("rows", found=found, wanted=wanted)

    def _summarize_ahead(self) -> None:
        """Summarize listed requests for a short time, so that a search has less to do."""
        missing = [one for one in self._history.between() if one.summary is None]
        with self._lock:
            until = time.monotonic() + min(_AHEAD_S, self._longest_s)
            for entry in missing:
                if time.monotonic() > until:
                    break
                entry.summary = entry.summary or summarize_request(entry)

    def _find(self, entries: list[HistoryEntry], wanted: RequestFilter) -> _Found:
        """Return the first requests that the filter admits.

        Each request is summarized once, and only if its ids, places and texts do not rule it out.
        """
        found: list[tuple[HistoryEntry, RequestSummary]] = []
        until, unsearched = time.monotonic() + self._longest_s, 0
        is_named = cache(lambda artifact: wanted.admits_text((self._experience_names(artifact),)))
        for entry in entries:
            if not wanted.admits_status(entry.status):
                continue
            if entry.summary is None and not could_be_admitted(entry, wanted, is_named):
                continue
            if entry.summary is None and time.monotonic() <= until:
                entry.summary = summarize_request(entry)
            summary = entry.summary
            if summary is None:
                if wanted.needs_summary:
                    unsearched += 1
                    continue
                summary = unexplained_summary(entry, _LATER)
            elif not wanted.admits(summary):
                continue
            if len(found) == _ROWS:
                return _Found(found, found[-1][0].number, unsearched)
            found.append((entry, summary))
        return _Found(found, None, unsearched)

    def _experience_names(self, artifact: LoadedArtifact) -> str:
        names = self._names.get(artifact)
        if names is None:
            names = self._names[artifact] = experience_names(artifact)
        return names

    def _detail(self, entry: HistoryEntry, url: str) -> str:
        """Return the page of a request; the last explanations stay stored."""
        with self._lock:
            if entry.detail is None:
                entry.detail = templates().render("explained", one=request_view(entry), at_ms=entry.at_ms)
                self._detailed.append(entry)
                if len(self._detailed) > _DETAILS:
                    self._detailed.pop(0).detail = None
            return templates().render(
                "request", entry=entry, detail=entry.detail, list=self._copies(entry, url)
            )

    def _copies(self, entry: HistoryEntry, url: str) -> list[Copy]:
        """Return the copies of a request, for the artifact that is served now."""
        artifact, request = entry.rules(), entry.request
        if request is None:
            return []
        if artifact is None:
            artifacts = self._registry().artifacts
            if not artifacts:
                return []
            artifact = artifacts[0]
        return copies_of(request, artifact, url, now_ms=entry.at_ms)

    def _shown_report(self, by: str) -> tuple[CachedReport | None, str]:
        """Return the report, or the reason why there is none."""
        if self._report_cache is None:
            return None, ""
        try:
            return self._report_cache.report(by), ""
        except TargetError as error:
            return None, _without_folders(str(error))


def _rendered(name: str, **values: Any) -> _Section:
    html = templates().render(name, **values)
    return _Section(html, hashlib.blake2b(html.encode("utf-8", "replace"), digest_size=8).hexdigest())


def _section(request: Request, section: _Section) -> Response:
    if request.query_params.get("have") == section.tag:
        return Response(status_code=204, headers=templates().headers)
    return templates().response(section.html, {"x-tag": section.tag})


def _example(url: str, artifact: LoadedArtifact) -> str:
    """Return an example request as a shell command."""
    mbox = {"name": next(iter(artifact.rules.mboxes), "hero")}
    return curl_command(url, artifact.client, {"context": {"channel": "web"}, "execute": {"mboxes": [mbox]}})


def _by(request: Request) -> str:
    """Return the name by which the report has segments, empty without one."""
    return request.query_params.get("by", "")


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _or_503(ask: Callable[[], _T]) -> Callable[[], _T]:
    """Return the function, with its errors as a response of status 503."""

    def asked() -> _T:
        try:
            return ask()
        except TargetError as error:
            raise RequestRejected(503, _without_folders(str(error))) from error

    return asked


def _without_folders(text: str) -> str:
    """Return a message with each absolute path cut to its last part."""
    return _FOLDERS.sub("", text)
