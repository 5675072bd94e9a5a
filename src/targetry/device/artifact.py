"""Artifact: decoding and checking of the document that Target's CDN serves.

Rules are checked one by one and stay encoded as far as possible: a rule of an unexpected shape is
rejected with its cause, and the others remain. The compiler decodes conditions, the first match
decodes a consequence.

JSON can contain half of a surrogate pair, from a text that was cut within an emoji. Each half is
read as U+FFFD, which it becomes in UTF-8; the rest of the text and of the artifact remains usable.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from targetry.device.artifact_limits import (
    MAX_ENTRIES,
    MAX_SURROGATES,
    MAX_VALUES,
    LimitExceededError,
    check_count,
    check_locations,
    check_values,
    may_exceed_limits,
)
from targetry.device.logic.javascript import well_formed
from targetry.device.obfuscation import MAJOR_VERSION, deobfuscate, is_obfuscated
from targetry.errors import ArtifactError, ArtifactVersionError

DEFAULT_GLOBAL_MBOX = "target-global-mbox"

T = TypeVar("T")

_LONGEST_INTEGER = 308  # digits, or 307 and a sign, that are certainly within the range of a double

# An escaped surrogate after an even number of backslashes, with its other half if there is one.
_SURROGATE = re.compile(
    rb"""\\ (?<!\\\\) ((?:\\\\)*+) u[dD] (?: [89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2} | ([89a-fA-F][0-9a-fA-F]{2}) )""",
    re.VERBOSE,
)


_EMPTY = msgspec.Raw(b"{}")


class ArtifactRules(msgspec.Struct):
    """Rules by location name in priority order, each as JSON text."""

    mboxes: dict[str, list[msgspec.Raw]] = {}
    views: dict[str, list[msgspec.Raw]] = {}


class Artifact(msgspec.Struct, rename="camel"):
    """An artifact; `raw_meta` is JSON text, which traces show unchanged."""

    version: str | None = None
    global_mbox: str = DEFAULT_GLOBAL_MBOX
    geo_targeting_enabled: bool = False
    response_tokens: list[str] = []
    remote_mboxes: list[str] = []
    local_mboxes: list[str] = []
    remote_views: list[str] = []
    local_views: list[str] = []
    raw_meta: msgspec.Raw = msgspec.field(name="meta", default=_EMPTY)
    rules: ArtifactRules = msgspec.field(default_factory=ArtifactRules)

    @property
    def meta(self) -> dict[str, Any]:
        """The meta, decoded at each access. Raises `ArtifactError`."""
        return _object(read_json(self.raw_meta), "the artifact")


class RuleDocument(msgspec.Struct, rename="camel"):
    """One rule; `condition` and `consequence` are valid JSON text."""

    condition: msgspec.Raw
    consequence: msgspec.Raw
    meta: dict[str, Any]
    rule_key: str | int | None = None
    activity_id: int | str | None = None
    property_tokens: list[str] | None = None


class _RuleOutline(msgspec.Struct, rename="camel"):
    """A rule with JSON text as meta, for numbers that msgspec does not decode."""

    condition: msgspec.Raw
    consequence: msgspec.Raw
    meta: msgspec.Raw
    rule_key: str | int | None = None
    activity_id: int | str | None = None
    property_tokens: list[str] | None = None


class _Outline(msgspec.Struct, rename="camel"):
    """An artifact whose values are not counted yet."""

    response_tokens: msgspec.Raw = _EMPTY
    remote_mboxes: msgspec.Raw = _EMPTY
    local_mboxes: msgspec.Raw = _EMPTY
    remote_views: msgspec.Raw = _EMPTY
    local_views: msgspec.Raw = _EMPTY
    rules: msgspec.Raw = _EMPTY


class _RulesOutline(msgspec.Struct):
    mboxes: msgspec.Raw = _EMPTY
    views: msgspec.Raw = _EMPTY


class OptionDocument(msgspec.Struct, rename="camel"):
    """One entry of `consequence.options`; default content has neither `type` nor `content`."""

    type: str | None = None
    content: Any = None
    event_token: str | None = None
    response_tokens: dict[str, Any] | None = None


class MetricDocument(msgspec.Struct, rename="camel"):
    """One entry of `consequence.metrics`."""

    type: str | None = None
    selector: str | None = None
    event_token: str | None = None


class AnalyticsDocument(msgspec.Struct):
    """`consequence.analytics`."""

    payload: dict[str, Any] | None = None


class ConsequenceDocument(msgspec.Struct):
    """The content of a rule."""

    name: str | None = None
    options: list[OptionDocument] | None = None
    metrics: list[MetricDocument] | None = None
    analytics: AnalyticsDocument | None = None


_ARTIFACT = msgspec.json.Decoder(Artifact)
_OUTLINE = msgspec.json.Decoder(_Outline)
_RULES_OUTLINE = msgspec.json.Decoder(_RulesOutline)
_RULE = msgspec.json.Decoder(RuleDocument)
_RULE_OUTLINE = msgspec.json.Decoder(_RuleOutline)
_CONSEQUENCE = msgspec.json.Decoder(ConsequenceDocument)
_ANY = msgspec.json.Decoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)


def artifact_text(source: bytes | str | Mapping[str, Any], *, organization_id: str | None = None) -> bytes:
    """Return the JSON text of an artifact.

    Args:
        source: JSON text, the obfuscated format `rules.bin`, or the parsed document, which is only
        read.
        organization_id: The key of an obfuscated artifact.

    Raises:
        ArtifactError: The document is not JSON, or the obfuscated text cannot be read.
    """
    if isinstance(source, Mapping):
        return _text_of(source)
    data = well_formed(source).encode() if isinstance(source, str) else bytes(source)
    data = data.removeprefix(codecs.BOM_UTF8)
    if not is_obfuscated(data):
        return data
    text = deobfuscate(data, organization_id or "")
    try:
        _decode_repaired(_RAW, text)
    except (msgspec.DecodeError, RecursionError, LimitExceededError) as error:
        raise ArtifactError("Unable to read artifact JSON") from error
    return text


def read_artifact(text: bytes) -> Artifact:
    """Decode and check an artifact's JSON text, without its rules.

    Raises:
        ArtifactError: The text is not an artifact, or exceeds a limit.
        ArtifactVersionError: The major version is not 1.
    """
    try:
        if may_exceed_limits(text):
            _check_outline(text)
        artifact = _decode(_ARTIFACT, text, "the artifact")
        _check_version(artifact.version)
        check_values("the artifact's meta", artifact.raw_meta, MAX_ENTRIES)
        _check_counts(artifact)
    except LimitExceededError as error:
        raise ArtifactError(str(error)) from None
    return artifact


def _check_outline(text: bytes) -> None:
    check_values("the artifact", text, MAX_VALUES)
    outline = _decode(_OUTLINE, text, "the artifact")
    for field, name in _LISTS.items():
        check_values(f"the artifact's list {name}", getattr(outline, field), MAX_ENTRIES)
    rules = _decode(_RULES_OUTLINE, outline.rules, "the artifact")
    for name in ("mboxes", "views"):
        check_locations("the artifact holds", getattr(rules, name))


def _check_counts(artifact: Artifact) -> None:
    for field, name in _LISTS.items():
        check_count(f"the artifact's list {name} holds", len(getattr(artifact, field)), "values")
    locations = [artifact.rules.mboxes, artifact.rules.views]
    check_count("the artifact holds", sum(map(len, locations)), "locations")
    check_count("the artifact holds", sum(len(rules) for one in locations for rules in one.values()), "rules")


_LISTS = {
    "response_tokens": "responseTokens",
    "remote_mboxes": "remoteMboxes",
    "local_mboxes": "localMboxes",
    "remote_views": "remoteViews",
    "local_views": "localViews",
}


def read_rule(raw: msgspec.Raw, *, is_exact: bool = True) -> RuleDocument:
    """Decode one rule. Raises `ArtifactError`.

    Args:
        raw: JSON text of the rule.
        is_exact: Whether integers of more than 308 digits in the meta become infinity, as in
            JavaScript. Without it the check for them is skipped.
    """
    if is_exact and _has_long_number(raw):
        return _read_unusual_rule(raw)
    try:
        return _decode(_RULE, raw, "the rule")
    except ArtifactError as error:
        if not _is_number_error(error):
            raise
    return _read_unusual_rule(raw)


def _read_unusual_rule(raw: msgspec.Raw) -> RuleDocument:
    outline = _decode(_RULE_OUTLINE, raw, "the rule")
    return RuleDocument(
        outline.condition,
        outline.consequence,
        _object(read_json(outline.meta), "the rule"),
        outline.rule_key,
        outline.activity_id,
        outline.property_tokens,
    )


def read_consequence(raw: msgspec.Raw, *, is_exact: bool = True) -> ConsequenceDocument:
    """Decode a consequence. Raises `ArtifactError`; `is_exact` as for `read_rule`."""
    if is_exact and _has_long_number(raw):
        return _read_unusual_consequence(raw)
    try:
        return _decode(_CONSEQUENCE, raw, "the consequence")
    except ArtifactError as error:
        if not _is_number_error(error):
            raise
    return _read_unusual_consequence(raw)


def _read_unusual_consequence(raw: msgspec.Raw) -> ConsequenceDocument:
    try:
        return msgspec.convert(_read_unusual_json(raw, "the consequence"), ConsequenceDocument)
    except msgspec.ValidationError as error:
        raise ArtifactError(f"the consequence is not of the expected shape: {error}") from error


def read_json(text: bytes | msgspec.Raw, *, is_exact: bool = True) -> Any:
    """Decode any JSON. Raises `ArtifactError`.

    Numbers too large for a double are infinite, as in JavaScript; `is_exact` as for `read_rule`.
    """
    if is_exact and _has_long_number(text):
        return _read_unusual_json(text, "the JSON")
    try:
        return _decode(_ANY, text, "the JSON")
    except ArtifactError as error:
        if not _is_number_error(error):
            raise
    return _read_unusual_json(text, "the JSON")


_LONG_NUMBER = re.compile(rb"[0-9]{309}")
_EVERY_30TH_OF_IT = re.compile(rb"[0-9]{10}")


def _has_long_number(text: bytes | msgspec.Raw) -> bool:
    """Return whether `text` has 309 digits in a row. Most texts are rejected by their samples."""
    samples = memoryview(text)[::30].tobytes()
    return bool(_EVERY_30TH_OF_IT.search(samples)) and bool(_LONG_NUMBER.search(memoryview(text)))


def _is_number_error(error: ArtifactError) -> bool:
    """Return whether msgspec rejected a number only for its size."""
    return isinstance(error.__cause__, msgspec.ValidationError) and " out of range" in str(error.__cause__)


def _read_unusual_json(text: bytes | msgspec.Raw, what: str) -> Any:
    try:
        repaired = _repaired(bytes(text)).decode()
        return json.loads(repaired, parse_int=_integer, parse_constant=_reject_constant, strict=False)
    except RecursionError as error:
        raise ArtifactError(f"{what} is nested too deeply") from error
    except (ValueError, LimitExceededError) as error:
        raise ArtifactError(f"{what} is not JSON: {error}") from error


def _integer(digits: str) -> int | float:
    return float(digits) if len(digits) > _LONGEST_INTEGER else int(digits)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = "null" if value is None else type(value).__name__
        raise ArtifactError(
            f"{what} is not of the expected shape: Expected `object`, got `{kind}` - at `$.meta`"
        )
    return value


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, what: str) -> T:
    try:
        return _decode_repaired(decoder, data)
    except RecursionError as error:
        raise ArtifactError(f"{what} is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise ArtifactError(f"{what} is not of the expected shape: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, LimitExceededError) as error:
        raise ArtifactError(f"{what} is not JSON: {error}") from error


def _decode_repaired(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """Decode with U+FFFD for lone surrogates, which msgspec does not decode."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        return decoder.decode(_repaired(bytes(data)))


def _repaired(data: bytes) -> bytes:
    if rb"\u" not in data:
        return data
    check_count("the text holds", data.count(rb"\ud") + data.count(rb"\uD"), "surrogates", MAX_SURROGATES)
    repaired = bytearray(data)
    for escape in _SURROGATE.finditer(data):
        if escape.group(2) is not None:  # half of a pair
            repaired[escape.start(2) - 1 : escape.end(2)] = b"fffd"
    return bytes(repaired)


def _text_of(document: Mapping[str, Any]) -> bytes:
    """Return the document as JSON text, independent of later changes to the dict."""
    try:
        return msgspec.json.encode(document, enc_hook=_as_dict)
    except RecursionError as error:
        raise ArtifactError("the artifact is nested too deeply") from error
    except Exception:  # a mapping of the caller can raise anything
        return _text_of_unusual_values(document)


def _text_of_unusual_values(document: Mapping[str, Any]) -> bytes:
    """Return JSON text as `_text_of` does, for lone surrogates, which msgspec does not encode."""
    try:
        return json.dumps(document, default=_as_dict).encode()
    except RecursionError as error:
        raise ArtifactError("the artifact is nested too deeply") from error
    except Exception as error:
        raise ArtifactError(f"the artifact holds what is not JSON: {error}") from error


def _as_dict(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _check_version(version: str | None) -> None:
    major = (version or "").split(".")[0]
    if major.lstrip("0") != str(MAJOR_VERSION):
        raise ArtifactVersionError(
            f"The decisioning artifact version ({version}) is not supported. "
            f"This library is compatible with this major version: {MAJOR_VERSION}"
        )
