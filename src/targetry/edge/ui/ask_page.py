"""Page that asks for a visitor: a form, the offers with their content, and the rules behind them.

A question is a GET: it is decided as any request, and neither recorded nor listed. Recording it is
a POST of its own.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from targetry._runtime.ids import new_id as random_id
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.handler import AddressLocator, DeliveryResult, parse_request, respond
from targetry.edge.delivery.recorder import EventRecorder
from targetry.edge.delivery.request_parsing import check_field_count
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.request_form import read_form
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.ui.ask_form import LONGEST_QUERY, AskForm
from targetry.edge.ui.offer_view import html_of, offers_by_location
from targetry.edge.ui.request_copies import copies_of
from targetry.edge.ui.request_history import HistoryEntry, RequestHistory
from targetry.edge.ui.request_view import request_view
from targetry.edge.ui.templates import HEADERS, HTML, templates

_MOST_NAMES: Final = 30
_MOST_BODY: Final = 4096  # bytes of a form with a token
_FRAME_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_TOO_LONG: Final = "the request is too long for the address of a page; copy it from its explanation"
_BROWSERS: Final = {
    "Chrome on Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36",
    "Edge on Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Firefox on Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Safari on macOS": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Safari/605.1.15",
    "Safari on iPhone": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
}


class _Asked(NamedTuple):
    """Decided question, and the artifact that decided it."""

    result: DeliveryResult
    artifact: LoadedArtifact
    at_ms: int

    @property
    def response(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.json.decode(self.result.body) if self.result.body else {}
        return document


class AskPage:
    """Endpoints of the page that asks.

    Args:
        registry: Returns the served artifacts.
        history: The list of requests, to which recorded ones are added.
        recorder: Records events.
        access: Decides whether a question is recorded.
        locate: Finds the location of an IP address.
        cluster: Cluster of tnt ids and of `edgeHost`.
        now: Clock, in epoch seconds.
        new_id: Makes ids.
    """

    def __init__(
        self,
        registry: Callable[[], ArtifactRegistry],
        history: RequestHistory,
        recorder: EventRecorder,
        *,
        access: WriteAccess,
        locate: AddressLocator | None = None,
        cluster: str | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self._registry = registry
        self._history = history
        self._recorder = recorder
        self._access = access
        self._locate = locate
        self._cluster = cluster
        self._now = now
        self._new_id = new_id
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [
            Route("/ask", self.page, name="ask", methods=["GET"]),
            Route("/ask", self.record, name="ask", methods=["POST"]),
            Route("/ask/offer", self.offer, name="ask"),
        ]

    async def page(self, request: Request) -> Response:
        """Return the form, and the answer if it asks for anything.

        The address gets the fields of a listed request for its number, and an id for a new visitor.
        """
        check_field_count(request.url.query)
        number = request.query_params.get("number")
        form = self._listed(number) if number is not None else _form(request)
        if number is not None or (form.has_places and self._gets_id(form)):
            query = form.query
            if len(query) > LONGEST_QUERY:
                raise RequestRejected(413, _TOO_LONG)
            return RedirectResponse(f"ask?{query}", 303, templates().headers)
        status, html = await run_in_threadpool(self._page, form, str(request.base_url))
        return templates().response(html, status=status)

    async def record(self, request: Request) -> Response:
        """Decide a question as a visitor's request, record it, and lead to the list."""
        check_field_count(request.url.query)
        fields = await read_form(request, _MOST_BODY)
        self._access.check(request, fields.get("token", ""))
        form = _form(request)
        asked = await run_in_threadpool(self._decide, form, is_recorded=True)
        (is_recorded,) = await self._recorder.record([asked.result.events])
        if not is_recorded:
            raise RequestRejected(503, "the events could not be recorded; try again")
        self._history.add(asked.result, at_ms=asked.at_ms, size=len(form.query))
        return RedirectResponse("./#requests", 303, templates().headers)

    async def offer(self, request: Request) -> Response:
        """Return the HTML of one offer, for a frame that runs no script and loads nothing."""
        check_field_count(request.url.query)
        number = request.query_params.get("offer", "")
        place = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0
        html = await run_in_threadpool(self._html, _form(request), place)
        if html is None:
            raise RequestRejected(404, f"the answer has no HTML offer {place}")
        headers = {**HEADERS, "content-security-policy": _FRAME_POLICY, "referrer-policy": "no-referrer"}
        return Response(html.encode("utf-8", "replace"), headers=headers, media_type=HTML)

    def _listed(self, number: str) -> AskForm:
        entry = self._history.find(int(number)) if re.fullmatch(r"[0-9]{1,18}", number) else None
        if entry is None or entry.request is None:
            raise RequestRejected(404, "the edge no longer has the content of this request; send it again")
        artifact = entry.rules()
        return AskForm.of(entry.request, "" if artifact is None else artifact.client)

    def _gets_id(self, form: AskForm) -> bool:
        """Set the id of a new visitor if there is none; return whether it was set."""
        try:
            is_new = "id" not in form.document(self._artifact(form).rules.experiences)
        except RequestRejected:  # the page shows it
            return False
        if is_new:
            form.tnt_id = self._new_id()
        return is_new

    def _artifact(self, form: AskForm) -> LoadedArtifact:
        registry = self._registry()
        if form.client or not registry.artifacts:
            return registry.for_query(form.client or None, None)
        return registry.artifacts[0]

    def _decide(self, form: AskForm, *, is_recorded: bool = False) -> _Asked:
        """Decide a question. Raises `RequestRejected`."""
        artifact, given_ms = self._artifact(form), form.now_ms()
        body = json.dumps(form.document(artifact.rules.experiences)).encode()
        query = urlencode({"client": artifact.client, "sessionId": self._new_id()})
        parsed = parse_request(body, query, ArtifactRegistry([artifact]))
        if isinstance(parsed, DeliveryResult):
            raise RequestRejected(parsed.status, str(msgspec.json.decode(parsed.body)["message"]))
        at_ms = int(self._now() * 1000) if given_ms is None else given_ms
        with self._lock:  # one at a time, as visitors wait for the same processor
            result = respond(
                parsed,
                now_ms=at_ms,
                new_id=self._new_id,
                cluster=self._cluster,
                locate=self._locate,
                is_recorded=is_recorded and self._recorder.is_enabled,
                segments=self._recorder.segments,
            )
        if result.status >= 400:
            raise RequestRejected(result.status, str(msgspec.json.decode(result.body)["message"]))
        return _Asked(result, artifact, at_ms)

    def _html(self, form: AskForm, place: int) -> str | None:
        asked = self._decide(form)
        assert asked.result.request is not None
        return html_of(asked.result.request, asked.response, place)

    def _page(self, form: AskForm, url: str) -> tuple[int, str]:
        artifacts = self._registry().artifacts
        rejection, answer = None, {}
        artifact = artifacts[0] if artifacts else None
        try:
            artifact = self._artifact(form)
            if form.has_places:
                answer = self._answer(self._decide(form), url)
        except RequestRejected as rejected:
            rejection = rejected
        html = templates().render(
            "ask",
            form=form,
            query=form.query,
            clients=list(dict.fromkeys(one.client for one in artifacts)),
            mboxes=[] if artifact is None else list(artifact.rules.mboxes)[:_MOST_NAMES],
            views=[] if artifact is None else list(artifact.rules.views)[:_MOST_NAMES],
            activities=[] if artifact is None else list(artifact.activities.values()),
            browsers=_BROWSERS,
            rejection=None if rejection is None else rejection.message,
            answer=answer,
            can_record=self._recorder.is_enabled and self._access.is_possible,
            needs_token=self._access.needs_token,
        )
        return 200 if rejection is None else rejection.status, html

    def _answer(self, asked: _Asked, url: str) -> dict[str, Any]:
        request, response = asked.result.request, asked.response
        assert request is not None
        explained = request_view(HistoryEntry.of(asked.result, at_ms=asked.at_ms))
        offers = offers_by_location(request, response)
        return {
            "explained": explained,
            "at_ms": asked.at_ms,
            "offers": offers,
            "is_qa": request.qa_mode is not None,
            "json": json.dumps(response, ensure_ascii=False, indent=1),
            "copies": copies_of(request, asked.artifact, url, now_ms=asked.at_ms),
        }


def _form(request: Request) -> AskForm:
    return AskForm.read(request.query_params.multi_items())
