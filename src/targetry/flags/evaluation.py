"""Outcome of a flag evaluation: value, variant, reason and metadata, on device or server-side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from targetry.delivery.offers import Reason
from targetry.device.decide_mbox import MboxOutcome, VisitorFacts
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.personalize import Labels, copied, labels_of, variant_of
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


class FlagEvaluation(msgspec.Struct, eq=False, gc=False):
    """Outcome of one evaluation.

    `value` is `UNDEFINED` if the default applies: nothing matched, the experience has default
    content, or an error occurred, which `error_code` and `message` describe. `source` is what
    decided, on device or server-side. `stale` is the reason of a decision whose rules can be
    outdated, else None.
    """

    key: str
    value: Any = UNDEFINED
    reason: Reason = "DEFAULT"
    source: MboxOutcome | Delivered | None = None
    stale: Reason | None = None
    error_code: ErrorCode | None = None
    message: str | None = None

    @property
    def variant(self) -> str | None:
        """Name of the experience, else its id."""
        return None if self.source is None else self.source.variant

    @property
    def metadata(self) -> Metadata:
        """Ids and names of activity, experience and offer, and of the rules; a new dict."""
        source = self.source
        if source is None:
            return {}
        if isinstance(source, Delivered):
            return source.metadata()
        metadata = source.templates[0].labels.copy() if source.templates else {}
        metadata["decisioningMethod"] = "on-device"
        metadata["flagSetId"] = flag_set_id(source.visitor)
        metadata["version"] = source.rules.revision
        if self.stale is not None:
            metadata["reason"] = self.stale
        return metadata


class Delivered(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Source of the metadata of an offer that a call of `get_offers` returned."""

    method: str
    flag_set: str
    meta: Mapping[str, Any] = {}

    @property
    def variant(self) -> str | None:
        """Name of the experience, else its id."""
        return variant_of(self.meta)

    def metadata(self) -> Metadata:
        """Return the metadata of the evaluation."""
        return {"decisioningMethod": self.method, "flagSetId": self.flag_set} | labels_of(self.meta)


def failed(key: str, error: FlagError) -> FlagEvaluation:
    """Return the evaluation of a flag that has no value because of an error."""
    return FlagEvaluation(key, reason="ERROR", error_code=error.code, message=str(error))


def not_decided(mbox: str) -> FlagError:
    """Return the error of a flag whose mbox the rules cannot decide."""
    return FlagError("FLAG_NOT_FOUND", f"mbox {shown(mbox)} is not decided on device")


def flag_set_id(facts: VisitorFacts) -> str:
    """Return the id of a visitor's flags: the property token, or the client code."""
    return facts.property_token or facts.client_code


def evaluate_on_device(
    key: str,
    parsed: FlagKey,
    wanted: FlagType | None,
    outcome: MboxOutcome,
    is_stale: bool,
) -> FlagEvaluation:
    """Evaluate a decision made on device.

    Args:
        key: The flag key as the caller gave it.
        parsed: The parsed key.
        wanted: The type that the caller requests; None for any.
        outcome: The result of `decide_mbox`.
        is_stale: Whether the rules can be outdated.

    Raises:
        FlagError: `FLAG_NOT_FOUND`, `TARGETING_KEY_MISSING` or `TYPE_MISMATCH`.
    """
    facts = outcome.visitor
    if not facts.visitor and facts.allocations:
        raise FlagError(
            "TARGETING_KEY_MISSING", "an activity splits its visitors, and the context names none"
        )
    reason: Reason
    if (rule := outcome.rule) is None:
        reason, value = "DEFAULT", UNDEFINED
    else:
        token, location = facts.property_token, outcome.location
        reason = REASONS[
            location.unrestricted_reasons[rule] if token is None else location.reason(rule, token)
        ]
        value = outcome.shared
        if value is UNDEFINED:
            value = outcome.read_content() if parsed.path else outcome.render_content()
        if value is not UNDEFINED:  # else default content
            if parsed.path:
                value = value_at(value, parsed)
                if isinstance(value, dict | list):
                    value = copied(value)
            if wanted is not None and type(value) is not EXACT_TYPES[wanted]:
                value = as_type(value, wanted)
    if is_stale:
        return FlagEvaluation(key, value, "STALE", outcome, reason)
    return FlagEvaluation(key, value, reason, outcome)


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
    if not options:
        return FlagEvaluation(key, source=Delivered(method, flag_set))
    source = Delivered(method, flag_set, options[0].response_tokens or {})
    evaluation = FlagEvaluation(key, reason="UNKNOWN", source=source)
    _set_value(evaluation, parsed, wanted, merged_content(options, UNDEFINED))
    return evaluation


def _set_value(evaluation: FlagEvaluation, key: FlagKey, wanted: FlagType | None, content: Any) -> None:
    if content is UNDEFINED:
        return  # default content
    value = value_at(content, key)
    evaluation.value = value if wanted is None else as_type(value, wanted)
