"""Endpoint of OFREP: evaluates one flag or all, records impressions, and builds the responses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException

from targetry._client.decisions.hook_runner import FlagOutcome, HookRunner
from targetry._runtime.ids import new_id as random_id
from targetry.device.logic.javascript import UNDEFINED
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import is_heavy_body
from targetry.edge.delivery.endpoint import FORWARDED
from targetry.edge.delivery.events import delivery_events
from targetry.edge.delivery.geo import ClientAddress
from targetry.edge.delivery.handler import AddressLocator, DeliveryResult, add_location
from targetry.edge.delivery.recorder import EventRecorder
from targetry.edge.delivery.request_batch import PreparedDecision, RequestBatch
from targetry.edge.delivery.rule_problems import RuleProblems
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import LimitMonitor
from targetry.edge.http.request_head import Fields
from targetry.edge.http.response import EdgeResponse
from targetry.edge.observability.flag_summary import FlagSummary
from targetry.edge.observability.metrics import Metrics
from targetry.edge.ofrep.evaluation import (
    DecidedFlag,
    FlagRequest,
    decide_all,
    decide_flag,
    read_request,
)
from targetry.edge.ofrep.paths import OfrepTarget
from targetry.edge.ofrep.responses import (
    all_flags_body,
    all_flags_response,
    failure_response,
    flag_response,
)
from targetry.edge.ofrep.settings import OfrepSettings
from targetry.flags.device_flags import subject_facts
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import FlagEvaluation, failed, flag_set_id
from targetry.flags.window import ImpressionWindow
from targetry.hooks import CallKind
from targetry.ledger.event import LedgerEvent
from targetry.models import DecisioningMethod

_UNAUTHORIZED: Final = "the request has no valid token; send one as Authorization: Bearer, or as X-API-Key"
_CHALLENGE: Final = {"www-authenticate": "Bearer"}


class FlagHistory(Protocol):
    """Where decided requests are kept for the dashboard."""

    def add(
        self,
        result: DeliveryResult,
        /,
        *,
        at_ms: int,
        size: int,
        rejected: RequestRejected | None = None,
        flag: FlagSummary | None = None,
    ) -> None:
        """Add a request that was decided at `at_ms`, with a body of `size` bytes."""


class ReceivedRequest(msgspec.Struct, frozen=True, gc=False):
    """Target and body of a request, its `if-none-match`, and the address of its client.

    `context` is that of the request's task, for hooks.
    """

    target: OfrepTarget
    body: bytes
    known_tags: str
    address: ClientAddress
    context: Context | None = None


class Outcome(msgspec.Struct, gc=False):
    """Response to a request, with what is to be recorded, counted and shown.

    `outcomes` has the number of flags by reason or error code; `evaluations` and `visitor` are what
    hooks see.
    """

    response: EdgeResponse
    at_ms: int
    outcomes: dict[str, int]
    asked: FlagRequest | None = None
    flag: FlagSummary | None = None
    error: FlagError | None = None
    evaluations: Sequence[FlagEvaluation] = ()
    visitor: str = ""
    events: Sequence[LedgerEvent] = ()
    is_repeated: bool = False


class OfrepEndpoint:
    """OFREP of one edge; belongs to its event loop.

    Args:
        settings: Checked options.
        artifacts: Returns the artifacts in use.
        is_stale: Returns whether a newer version of an artifact could not be loaded.
        recorder: Records impressions.
        history: Keeps the latest requests.
        metrics: Counts evaluations.
        monitor: Counts the requests that exceed a limit.
        problems: Notes rules that could not be evaluated.
        locate: Finds the location of an IP address.
        hooks: Observe evaluations.
        now: Clock, in epoch seconds.
        new_id: Makes ids.
        clock: Clock of the impression window, in monotonic seconds.
    """

    def __init__(
        self,
        settings: OfrepSettings,
        artifacts: Callable[[], ArtifactRegistry],
        *,
        is_stale: Callable[[LoadedArtifact], bool],
        recorder: EventRecorder,
        history: FlagHistory,
        metrics: Metrics,
        monitor: LimitMonitor,
        problems: RuleProblems,
        locate: AddressLocator | None = None,
        hooks: HookRunner | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = random_id,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self._is_stale = is_stale
        self._recorder = recorder
        self._history = history
        self._metrics = metrics
        self._batch: RequestBatch[ReceivedRequest, Outcome, EdgeResponse] = RequestBatch(
            self.prepare, self._finish, recorder=recorder, monitor=monitor
        )
        self._problems = problems
        self._locate = locate
        self._hooks = hooks
        self._now = now
        self._new_id = new_id
        self._clock = clock
        self._window = ImpressionWindow()

    def check_token(self, fields: Fields) -> None:
        """Check the token of a request. Raises `HTTPException`, 401."""
        if self._settings.tokens.admit_all:
            return
        scheme, _, token = fields.get(b"authorization", b"").partition(b" ")
        given = [fields.get(b"x-api-key", b""), token.strip() if scheme.lower() == b"bearer" else b""]
        if not self._settings.tokens.admit(given):
            raise HTTPException(401, _UNAUTHORIZED, _CHALLENGE)

    def check_stream_key(self, fields: Fields, key: str) -> None:
        """Check the key of an event stream, or the token. Raises `HTTPException`, 401."""
        if not self._settings.tokens.admit_stream(key.encode()):
            self.check_token(fields)

    async def respond(
        self, target: OfrepTarget, body: bytes, *, known_tags: str, address: ClientAddress
    ) -> EdgeResponse:
        """Return the response to a request for one flag or for all.

        Args:
            target: Of the path.
            body: Of the request.
            known_tags: Value of `if-none-match`.
            address: Of the client.

        Raises:
            RequestRejected: 413, a limit is exceeded; 503, there is no artifact, or too many large
                requests are waiting.
        """
        context = None if self._hooks is None else copy_context()
        return await self._batch.decide(ReceivedRequest(target, body, known_tags, address, context))

    def prepare(self, received: ReceivedRequest) -> PreparedDecision[Outcome]:
        """Read a request, unless that takes long, and return the call that evaluates it.

        Raises:
            RequestRejected: 413, a limit is exceeded; 503, there is no artifact.
        """
        if is_heavy_body(received.body):
            return PreparedDecision(lambda: self._decide(received, self._read(received)), is_heavy=True)
        asked = self._read(received)
        is_heavy = isinstance(asked, FlagRequest) and asked.is_heavy
        return PreparedDecision(partial(self._decide, received, asked), is_heavy)

    def _read(self, received: ReceivedRequest) -> FlagRequest | Outcome:
        """Return the parsed request, or the outcome of one that is wrong."""
        target = received.target
        try:
            return read_request(target, received.body, self._artifacts(), self._settings.targeting)
        except FlagError as error:
            at_ms = int(self._now() * 1000)
            return self._observe(received, partial(self._failure, target, at_ms, error))

    def _decide(self, received: ReceivedRequest, asked: FlagRequest | Outcome) -> Outcome:
        if isinstance(asked, Outcome):
            return asked
        if self._hooks is None:
            return self._decide_flags(received, asked)
        return self._observe(received, partial(self._decide_flags, received, asked))

    def _observe(self, received: ReceivedRequest, decide: Callable[[], Outcome]) -> Outcome:
        """Return the outcome of `decide`, which hooks observe in the context of the request."""
        if self._hooks is None or received.context is None:
            return decide()
        return received.context.run(self._run_observed, self._hooks, received.target, decide)

    def _run_observed(self, hooks: HookRunner, target: OfrepTarget, decide: Callable[[], Outcome]) -> Outcome:
        kind: CallKind = "all_flags" if target.key is None else "flag"
        with hooks.begin(kind, DecisioningMethod.ON_DEVICE, target.key) as observed:
            outcome = decide()
            asked = outcome.asked
            flag_set = (target.client or "") if asked is None else asked.artifact.client
            observed.outcome = FlagOutcome(outcome.visitor)
            observed.outcome.add_flags(outcome.evaluations, flag_set)
            if not outcome.evaluations:
                observed.error = outcome.error
        return outcome

    def _decide_flags(self, received: ReceivedRequest, asked: FlagRequest) -> Outcome:
        target = received.target
        at_ms = int(self._now() * 1000)
        if self._locate is not None:
            add_location(
                asked.request, asked.artifact, self._locate, received.address.text, self._recorder.segments
            )
        if target.key is None:
            return self._all_flags(target, asked, at_ms, received.known_tags)
        try:
            return self._one_flag(asked, target.key, at_ms)
        except FlagError as error:
            return self._failure(target, at_ms, error, asked)

    def _one_flag(self, asked: FlagRequest, key: str, at_ms: int) -> Outcome:
        decided = decide_flag(
            asked,
            key,
            at_ms,
            is_stale=self._is_stale(asked.artifact),
            note_failures=self._problems.note,
        )
        evaluation = decided.evaluation
        outcome = Outcome(
            flag_response(evaluation, is_strict=self._settings.is_strict),
            at_ms,
            {evaluation.reason: 1},
            asked,
            _summary(evaluation),
            evaluations=[evaluation],
            visitor=decided.visitor,
        )
        if self._recorder.is_enabled:
            self._add_events(outcome, asked, decided)
        return outcome

    def _add_events(self, outcome: Outcome, asked: FlagRequest, decided: DecidedFlag) -> None:
        """Add the impression, unless it is repeated in its window, and the order of the context.

        A visitor without an id is a new one each time.
        """
        impressions = decided.outcome.impressions if self._settings.counts_impressions else ()
        visitor, request = decided.visitor, asked.request
        if impressions and visitor:
            entry = visitor, decided.outcome.name, decided.experience
            if not self._window.admit(entry, self._clock()):
                outcome.is_repeated, impressions = True, ()
        if not impressions and asked.subject.order is None:
            return
        request.request_id = self._new_id()
        if not visitor:
            asked.subject.id.tnt_id = self._new_id()
        outcome.events = delivery_events(
            request,
            impressions,
            asked.artifact,
            session_id=asked.subject.session_id or self._new_id(),
            now_ms=outcome.at_ms,
            segments=self._recorder.segments,
        )

    def _all_flags(self, target: OfrepTarget, asked: FlagRequest, at_ms: int, known_tags: str) -> Outcome:
        counted: Counter[str] = Counter()
        observed: list[FlagEvaluation] = []

        def evaluations() -> Iterator[FlagEvaluation]:
            for one in decide_all(
                asked,
                facts,
                at_ms,
                is_stale=self._is_stale(asked.artifact),
                note_failures=self._problems.note,
            ):
                counted[one.error_code or one.reason] += 1
                if self._hooks is not None:
                    observed.append(one)
                yield one

        facts = subject_facts(asked.subject, asked.artifact.client)
        metadata = {"flagSetId": flag_set_id(facts), "version": asked.artifact.rules.revision}
        body = all_flags_body(
            evaluations(),
            is_strict=self._settings.is_strict,
            metadata=metadata,
            events_uri=self._events_uri(target, asked.artifact),
        )
        response = all_flags_response(body, known_tags)
        return Outcome(
            response,
            at_ms,
            counted,
            asked,
            FlagSummary(None, counted.total()),
            evaluations=observed,
            visitor=facts.visitor,
        )

    def _events_uri(self, target: OfrepTarget, artifact: LoadedArtifact) -> str:
        """Return the URI of the event stream, which begins with the changes since this artifact."""
        query = {"since": artifact.digest}
        if (key := self._settings.tokens.stream_key) is not None:
            query["key"] = key
        return f"{target.events_path}?{urlencode(query)}"

    def _failure(
        self, target: OfrepTarget, at_ms: int, error: FlagError, asked: FlagRequest | None = None
    ) -> Outcome:
        evaluations = [] if target.key is None else [failed(target.key, error)]
        if evaluations:
            response = flag_response(evaluations[0], is_strict=False)
        else:
            response = failure_response(400, str(error), error.code)
        visitor = ""
        if self._hooks is not None and asked is not None:
            visitor = subject_facts(asked.subject, asked.artifact.client).visitor
        return Outcome(
            response,
            at_ms,
            {error.code: 1},
            asked,
            FlagSummary(target.key, None),
            error,
            evaluations,
            visitor,
        )

    def _finish(self, received: ReceivedRequest, outcome: Outcome, _: bool) -> EdgeResponse:
        """Count a request, add it to the history, and return its response."""
        self._metrics.count_flags("all" if received.target.key is None else "one", outcome.outcomes)
        if outcome.is_repeated:
            self._metrics.events.labels("impression", "repeated").inc()
        if received.address.is_invalid:
            self._metrics.unread.labels(FORWARDED).inc()
        status, asked = outcome.response.status, outcome.asked
        rejected = None if outcome.error is None else RequestRejected(status, str(outcome.error))
        result = DeliveryResult(
            status,
            request=None if asked is None else asked.request,
            artifact=None if asked is None else asked.artifact,
        )
        self._history.add(
            result, at_ms=outcome.at_ms, size=len(received.body), rejected=rejected, flag=outcome.flag
        )
        return outcome.response


def _summary(evaluation: FlagEvaluation) -> FlagSummary:
    value = evaluation.value
    if isinstance(value, dict | list):  # they can be large
        value = "{…}" if isinstance(value, dict) else "[…]"
    return FlagSummary(evaluation.key, None if value is UNDEFINED else value, evaluation.reason)
