"""Checked options of OFREP."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from targetry.errors import OptionError
from targetry.flags.context import IdField, TargetingKey, checked_targeting_key
from targetry.models.scalars import shown

TargetingKeyName = Literal["third-party-id", "tnt-id", "ecid"]
CountedImpressions = Literal["single", "none"]
Reasons = Literal["full", "strict"]

_ID_FIELDS: Final[dict[str, IdField]] = {
    "third-party-id": "third_party_id",
    "tnt-id": "tnt_id",
    "ecid": "marketing_cloud_visitor_id",
}
_STREAM: Final = b"targetry event stream"


class Tokens:
    """Tokens of which a request must have one; no tokens admit every request. Never shown."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        """Check the tokens. Raises `OptionError`."""
        for token in tokens:
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise OptionError("ofrep_tokens", "must be printable ASCII characters without spaces")
        self._tokens = tuple(token.encode() for token in tokens)
        self._stream_keys = tuple(
            hashlib.blake2b(_STREAM, key=hashlib.sha256(token).digest(), digest_size=16).hexdigest().encode()
            for token in self._tokens
        )

    @property
    def admit_all(self) -> bool:
        """Whether no token is needed."""
        return not self._tokens

    @property
    def stream_key(self) -> str | None:
        """Key of event streams in their query: a web page cannot set headers of a stream."""
        return self._stream_keys[0].decode() if self._stream_keys else None

    def admit(self, given: Sequence[bytes]) -> bool:
        """Return whether one of these values is a token, in a time that does not depend on them."""
        return self.admit_all or _is_any(given, self._tokens)

    def admit_stream(self, key: bytes) -> bool:
        """Return whether this is a key of event streams."""
        return self.admit_all or _is_any([key], self._stream_keys)

    def __repr__(self) -> str:
        return f"Tokens({len(self._tokens)})"


def _is_any(given: Sequence[bytes], known: Sequence[bytes]) -> bool:
    return sum(hmac.compare_digest(one, other) for one in given for other in known) > 0


class OfrepSettings(msgspec.Struct, frozen=True):
    """Settings of OFREP.

    `counts_impressions`: whether the evaluation of one flag is recorded as an impression.
    `is_strict`: whether only the reasons of the protocol's schema are sent.
    """

    tokens: Tokens = Tokens()
    targeting: TargetingKey = TargetingKey()
    counts_impressions: bool = True
    is_strict: bool = False


def ofrep_settings(
    *,
    tokens: Sequence[str] = (),
    targeting_key: TargetingKeyName = "third-party-id",
    targeting_key_parameter: str | None = None,
    impressions: CountedImpressions = "single",
    reasons: Reasons = "full",
) -> OfrepSettings:
    """Check the options of OFREP. Raises `OptionError` with the option's name."""
    return OfrepSettings(
        Tokens(tokens),
        _targeting(_known("ofrep_targeting_key", targeting_key, TargetingKeyName), targeting_key_parameter),
        _known("ofrep_impressions", impressions, CountedImpressions) == "single",
        _known("ofrep_reasons", reasons, Reasons) == "strict",
    )


def _targeting(key: str, parameter: str | None) -> TargetingKey:
    try:
        return checked_targeting_key(_ID_FIELDS[key], parameter)
    except OptionError as error:
        raise OptionError(f"ofrep_{error.path}", error.reason) from None


def _known(option: str, value: str, kind: object) -> str:
    if value in get_args(kind):
        return value
    raise OptionError(option, f"must be one of {', '.join(get_args(kind))}, not {shown(value)}")
