"""Evaluations that hooks see: what each location of a call got, by which activity, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from targetry.delivery.offers import Activity, Experience
from targetry.device.artifact import DEFAULT_GLOBAL_MBOX
from targetry.device.decide import Match
from targetry.device.decide_mbox import MboxOutcome
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.personalize import variant_of
from targetry.device.ruleset import RuleSet
from targetry.errors import ApiException, ClosedError, ErrorCode, NotReadyError, OptionError
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import REASONS, FlagEvaluation
from targetry.hooks import Evaluation
from targetry.models import DeliveryRequest, DeliveryResponse, Option

# Messages of exceptions can quote what the caller gave, so none is repeated here.
_DESCRIPTIONS: Final[dict[ErrorCode, str]] = {
    "PROVIDER_NOT_READY": "there are no rules yet, or the client is closed",
    "FLAG_NOT_FOUND": "there is no flag of this key",
    "PARSE_ERROR": "the flag cannot be read",
    "TYPE_MISMATCH": "the flag has a value of another type",
    "TARGETING_KEY_MISSING": "an activity splits its visitors, and no visitor is named",
    "INVALID_CONTEXT": "the request or context is wrong",
    "GENERAL": "the call failed",
}


def error_code(error: BaseException) -> ErrorCode:
    """Return OpenFeature's code for the exception of a call."""
    if isinstance(error, FlagError):
        return error.code
    if isinstance(error, ClosedError | NotReadyError):
        return "PROVIDER_NOT_READY"
    if isinstance(error, OptionError) or (isinstance(error, ApiException) and error.status == 400):
        return "INVALID_CONTEXT"
    return "GENERAL"


def describe_error(code: ErrorCode, error: BaseException | None = None) -> str:
    """Return a description that holds nothing of a visitor."""
    text = _DESCRIPTIONS.get(code, "the evaluation failed")  # providers of others have more codes
    if isinstance(error, ApiException):
        return f"{text}: status {error.status}" if error.status else f"{text}: {type(error).__name__}"
    return text


def evaluate_matches(
    matches: Iterable[Match], rules: RuleSet, property_token: str | None, flag_set: str, *, is_stale: bool
) -> list[Evaluation]:
    """Return the evaluations of a decision on device."""
    found = []
    for match in matches:
        key = match.name or match.location or ""
        evaluation = Evaluation(key, "DEFAULT", flag_set=flag_set, version=rules.revision)
        rule = match.rule
        if rule is not None:
            name = match.location
            location = rules.view(name) if match.location_type == "view" else rules.mbox(name or "")
            _describe(evaluation, (rule.template or rules.template(rule)).meta)
            evaluation.reason = REASONS[location.reason(rule, property_token)]
            evaluation._options = match.options
        if is_stale:
            evaluation.reason = "STALE"
        found.append(evaluation)
    return found


def evaluate_outcome(
    name: str,
    outcome: MboxOutcome,
    rules: RuleSet,
    property_token: str | None,
    flag_set: str,
    *,
    is_stale: bool,
) -> list[Evaluation]:
    """Return the evaluation of a decision of one mbox."""
    match = Match("mbox", name, name, outcome.rule, outcome.options)
    return evaluate_matches([match], rules, property_token, flag_set, is_stale=is_stale)


def evaluate_delivery(response: DeliveryResponse, flag_set: str) -> list[Evaluation]:
    """Return the evaluations of a response of the Delivery API."""
    return [
        one for key, options in _delivered(response) for one in _by_activity(key, options or (), flag_set)
    ]


def _delivered(response: DeliveryResponse) -> Iterator[tuple[str | None, list[Option] | None]]:
    execute, prefetch = response.execute, response.prefetch
    for part in (execute, prefetch):
        if part is None:
            continue
        if part.page_load is not None:
            yield DEFAULT_GLOBAL_MBOX, part.page_load.options
        for mbox in part.mboxes or ():
            yield mbox.name, mbox.options
    for view in () if prefetch is None else prefetch.views or ():
        yield view.name, view.options


def _by_activity(key: str | None, options: Iterable[Option], flag_set: str) -> Iterator[Evaluation]:
    """Yield one evaluation for the options of each activity, as far as response tokens name it."""
    by_activity: dict[tuple[Any, Any], list[Option]] = {}
    for option in options:
        tokens = option.response_tokens or {}
        activity = (tokens.get("activity.id"), tokens.get("experience.id"))
        by_activity.setdefault(activity, []).append(option)
    for together in by_activity.values():
        evaluation = Evaluation(key or "", "UNKNOWN", flag_set=flag_set, _options=together)
        _describe(evaluation, together[0].response_tokens or {})
        yield evaluation
    if not by_activity:
        yield Evaluation(key or "", "DEFAULT", flag_set=flag_set)


def evaluate_failure(
    request: DeliveryRequest | None, name: str | None, error: BaseException, flag_set: str
) -> list[Evaluation]:
    """Return an evaluation for each location of a failed call: of its request, or of its name."""
    if request is None and name is None:
        return []
    code = error_code(error)
    text = describe_error(code, error)
    names = [name] if request is None else _requested(request)
    return [
        Evaluation(one or "", "ERROR", error_code=code, error_message=text, flag_set=flag_set)
        for one in names
    ]


def _requested(request: DeliveryRequest) -> Iterator[str | None]:
    for part in (request.execute, request.prefetch):
        if part is None:
            continue
        if part.page_load is not None:
            yield DEFAULT_GLOBAL_MBOX
        for mbox in part.mboxes or ():
            yield mbox.name
    for view in () if request.prefetch is None else request.prefetch.views or ():
        yield view.name


def evaluate_flags(flags: Iterable[FlagEvaluation], flag_set: str) -> list[Evaluation]:
    """Return the evaluations of flags; `flag_set` is that of failed ones."""
    return [_evaluate_flag(one, flag_set) for one in flags]


def _evaluate_flag(flag: FlagEvaluation, flag_set: str) -> Evaluation:
    metadata = flag.metadata
    version = metadata.get("version")
    evaluation = Evaluation(
        flag.key,
        flag.reason,
        error_code=flag.error_code,
        error_message=None if flag.error_code is None else describe_error(flag.error_code),
        flag_set=str(metadata.get("flagSetId", flag_set)),
        version=None if version is None else str(version),
        _value=None if flag.value is UNDEFINED else flag.value,
    )
    _describe(evaluation, metadata)
    return evaluation


def _describe(evaluation: Evaluation, meta: Mapping[str, Any]) -> None:
    evaluation.variant = variant_of(meta)
    activity = Activity(meta.get("activity.id"), meta.get("activity.name"), meta.get("activity.type"))
    experience = Experience(meta.get("experience.id"), meta.get("experience.name"))
    evaluation.activity = None if activity == Activity() else activity
    evaluation.experience = None if experience == Experience() else experience
