"""Outcome of a flag evaluation: value, variant, reason and metadata, on device or server-side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from targetry.delivery.offers import Reason
from targetry.device.decide_mbox import MboxOutcome, VisitorFacts
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.personalize import Labels, labels_of
from targetry.device.ruleset import RuleSet
from targetry.errors import ErrorCode
from targetry.flags.errors import FlagError
from targetry.flags.key import FlagKey
from targetry.flags.value import EXACT_TYPES, FlagType, as_type, value_at
from targetry.models import Option
from targetry.models.response import merged_content
from targetry.models.scalars import shown

Metadata = Labels

REASONS: Final[dict[str, Reason]] = {
    "static": "STATIC",
    "targeting_match": "TARGETING_MATCH",
    "split": "SPLIT",
    "default": "DEFAULT",
}


class FlagEvaluation(msgspec.Struct, eq=False):
    """Outcome of one evaluation.

    `value` is `UNDEFINED` if the default applies: nothing matched, the experience has default
    content, or an error occurred, which `error_code` and `message` describe.
    """

    key: str
    value: Any = UNDEFINED
    variant: str | None = None
    reason: Reason = "DEFAULT"
    error_code: ErrorCode | None = None
    message: str | None = None
    metadata: Metadata = {}


def failed(key: str, error: FlagError) -> FlagEvaluation:
    """Return the evaluation of a flag that has no value because of an error."""
    return FlagEvaluation(key, reason="ERROR", error_code=error.code, message=str(error))


def flag_set_id(facts: VisitorFacts) -> str:
    """Return the id of a visitor's flags: the property token, or the client code."""
    return facts.property_token or facts.request.client_code


def evaluate_on_device(
    key: str,
    parsed: FlagKey,
    wanted: FlagType | None,
    outcome: MboxOutcome | None,
    rules: RuleSet,
    facts: VisitorFacts,
    *,
    is_stale: bool,
) -> FlagEvaluation:
    """Evaluate a decision made on device.

    Args:
        key: The flag key as the caller gave it.
        parsed: The parsed key.
        wanted: The type that the caller requests; None for any.
        outcome: The result of `decide_mbox`; None if the rules cannot decide the mbox.
        rules: The rules of the decision.
        facts: The facts of the decision.
        is_stale: Whether the rules can be outdated.

    Raises:
        FlagError: `FLAG_NOT_FOUND`, `TARGETING_KEY_MISSING` or `TYPE_MISMATCH`.
    """
    if outcome is None:
        raise FlagError("FLAG_NOT_FOUND", f"mbox {shown(parsed.mbox)} is not decided on device")
    if facts.request.allocations and not facts.request.visitor:
        raise FlagError(
            "TARGETING_KEY_MISSING", "an activity splits its visitors, and the context names none"
        )
    metadata: Metadata = {
        "decisioningMethod": "on-device",
        "flagSetId": facts.property_token or facts.request.client_code,
        "version": rules.revision,
    }
    evaluation = FlagEvaluation(key, metadata=metadata)
    if (rule := outcome.rule) is not None:
        template = outcome.templates[0]
        metadata |= template.labels
        evaluation.variant = variant_of(template.meta)
        evaluation.reason = REASONS[outcome.location.reason(rule, facts.property_token)]
        if (content := outcome.content) is not UNDEFINED:  # else default content
            value = value_at(content, parsed) if parsed.path else content
            if wanted is not None and type(value) is not EXACT_TYPES[wanted]:
                value = as_type(value, wanted)
            evaluation.value = value
    if is_stale:
        metadata["reason"] = evaluation.reason
        evaluation.reason = "STALE"
    return evaluation


def evaluate_response(
    key: str,
    parsed: FlagKey,
    wanted: FlagType | None,
    options: Sequence[Option],
    *,
    flag_set: str,
    method: str,
) -> FlagEvaluation:
    """Evaluate the options that a call of `get_offers` returned; without one the default applies.

    Args:
        key: The flag key as the caller gave it.
        parsed: The parsed key.
        wanted: The type that the caller requests; None for any.
        options: The options of the mbox in the response.
        flag_set: The property token, or the client code.
        method: The decisioning method of the call.

    Raises:
        FlagError: `FLAG_NOT_FOUND` or `TYPE_MISMATCH`.
    """
    evaluation = FlagEvaluation(key, metadata={"decisioningMethod": method, "flagSetId": flag_set})
    if options:
        tokens = options[0].response_tokens or {}
        evaluation.metadata |= labels_of(tokens)
        evaluation.variant = variant_of(tokens)
        evaluation.reason = "UNKNOWN"
        _set_value(evaluation, parsed, wanted, merged_content(options, UNDEFINED))
    return evaluation


def _set_value(evaluation: FlagEvaluation, key: FlagKey, wanted: FlagType | None, content: Any) -> None:
    if content is UNDEFINED:
        return  # default content
    value = value_at(content, key)
    evaluation.value = value if wanted is None else as_type(value, wanted)


def variant_of(meta: Mapping[str, Any]) -> str | None:
    """Return the name of the experience, else its id, of a rule's meta or an offer's tokens."""
    variant = meta.get("experience.name")
    if variant is None or variant == "":
        variant = meta.get("experience.id")
    return None if variant is None else str(variant)
