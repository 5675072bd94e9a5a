"""Evaluation of OFREP requests: body and path to decided flags, without HTTP and without I/O."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final

import msgspec

from targetry.device.decide_mbox import MboxOutcome, VisitorFacts, decide_mbox
from targetry.device.logic.facts import RuleFailure
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import check_body, check_workload, is_light
from targetry.edge.delivery.amounts import check_order_total
from targetry.edge.http.errors import RequestRejected
from targetry.edge.ofrep.paths import OfrepTarget
from targetry.flags.context import FlagSubject, TargetingKey, read_evaluation_context
from targetry.flags.device_flags import evaluate_all, flag_mboxes, subject_facts
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import FlagEvaluation, evaluate_on_device, not_decided
from targetry.flags.key import DEFAULT_SEPARATOR, FlagKey, parse_key
from targetry.models import (
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    Order,
    PrefetchRequest,
)
from targetry.models.json_text import object_error

MOST_LIGHT_FLAGS: Final = 200
_EXPLAINED: Final = 50  # mboxes of a request for all flags that the history keeps


class _Body(msgspec.Struct):
    context: Any = msgspec.UNSET


_decode = msgspec.json.Decoder(_Body).decode


class FlagRequest(msgspec.Struct, gc=False):
    """Valid request for one flag, or for all if `key` is None, and the artifact that decides it.

    `request` is the same as a request of the Delivery API, for events and explanations.
    """

    key: FlagKey | None
    artifact: LoadedArtifact
    subject: FlagSubject
    request: DeliveryRequest
    is_heavy: bool


def read_request(
    target: OfrepTarget, body: bytes, registry: ArtifactRegistry, targeting: TargetingKey
) -> FlagRequest:
    """Read and check a request.

    Raises:
        FlagError: The body, the context, the key or the client code is wrong.
        RequestRejected: 413, a limit is exceeded; 503, there is no artifact.
    """
    artifact = _artifact(target, registry)
    subject = read_evaluation_context(_context(body), targeting)
    key = None if target.key is None else parse_key(target.key)
    request = _delivery_request(key, artifact, subject)
    if key is None:
        is_heavy = len(artifact.rules.decidable_mboxes) > MOST_LIGHT_FLAGS or not artifact.are_flags_light
    else:
        is_light_mbox = is_light(artifact.costs.mboxes.get(key.mbox))
        is_heavy = not is_light_mbox and check_workload(request, artifact.rules, artifact.costs).is_heavy
    if subject.order is not None:
        _check_order(subject.order)
    return FlagRequest(key, artifact, subject, request, is_heavy)


def _artifact(target: OfrepTarget, registry: ArtifactRegistry) -> LoadedArtifact:
    try:
        return registry.for_flags(target.client, target.environment)
    except RequestRejected as rejected:
        if rejected.status == 400:
            raise FlagError("GENERAL", rejected.message) from None
        raise


def _context(body: bytes) -> dict[str, Any]:
    check_body(body)
    try:
        context = _decode(body).context
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = object_error(body, "body")
        raise FlagError("PARSE_ERROR", str(error).removeprefix("body.")) from None
    if context is msgspec.UNSET:
        return {}
    if not isinstance(context, dict):
        raise FlagError("INVALID_CONTEXT", "context: must be a JSON object")
    return context


def _delivery_request(key: FlagKey | None, artifact: LoadedArtifact, subject: FlagSubject) -> DeliveryRequest:
    parameters, token = subject.parameters or None, subject.property_token
    request = DeliveryRequest(id=subject.id, context=subject.context)
    if token is not None:
        request._property = ModelProperty(token)
    if key is not None:
        mbox = MboxRequest(index=0, name=key.mbox, parameters=parameters)
        if subject.profile_parameters:
            mbox.profile_parameters = subject.profile_parameters
        mbox.order, mbox.product = subject.order, subject.product
        request.execute = ExecuteRequest(mboxes=[mbox])
    else:
        names = flag_mboxes(artifact.rules)[:_EXPLAINED]
        mboxes = [
            MboxRequest(index=index, name=name, parameters=parameters) for index, name in enumerate(names)
        ]
        request.prefetch = PrefetchRequest(mboxes=mboxes)
    return request


def _check_order(order: Order) -> None:
    try:
        check_order_total(order, "context")
    except RequestRejected as rejected:
        raise FlagError("INVALID_CONTEXT", rejected.message) from None


class DecidedFlag(msgspec.Struct, gc=False):
    """One flag, the outcome of its mbox, and the visitor's id (empty without one)."""

    evaluation: FlagEvaluation
    outcome: MboxOutcome
    visitor: str

    @property
    def experience(self) -> Hashable:
        """Ids of activity and experience; None without a match."""
        templates = self.outcome.templates
        return templates[0].experience if templates else None


def decide_flag(
    asked: FlagRequest,
    key: str,
    now_ms: int,
    *,
    is_stale: bool,
    note_failures: Callable[[Iterable[RuleFailure]], object],
) -> DecidedFlag:
    """Decide one flag; `key` is as the client gave it.

    Raises:
        FlagError: There is no such flag, or it needs a targeting key.
    """
    artifact, parsed = asked.artifact, asked.key
    assert parsed is not None
    facts = subject_facts(asked.subject, artifact.client)
    outcome = decide_mbox(artifact.rules, parsed.mbox, facts, None, now_ms)
    if outcome is None:
        raise not_decided(parsed.mbox)
    if outcome.failures:
        note_failures(outcome.failures)
    evaluation = evaluate_on_device(key, parsed, None, outcome, is_stale)
    return DecidedFlag(evaluation, outcome, facts.visitor)


def decide_all(
    asked: FlagRequest,
    facts: VisitorFacts,
    now_ms: int,
    *,
    is_stale: bool,
    note_failures: Callable[[Iterable[RuleFailure]], object],
) -> Iterator[FlagEvaluation]:
    """Yield all flags of the artifact."""
    for flags in evaluate_all(
        asked.artifact.rules,
        facts,
        None,
        now_ms,
        separator=DEFAULT_SEPARATOR,
        is_stale=is_stale,
        note_failures=note_failures,
    ):
        yield from flags
