"""Consent of a visitor: its three levels, and reading of an application's answer."""

from __future__ import annotations

from enum import Enum

from targetry.errors import OptionError
from targetry.models.scalars import shown


class Consent(Enum):
    """Level of a visitor's consent.

    Attributes:
        GRANTED: Ids are read and kept, decisions are reported, cookies are set.
        ANONYMOUS: Decisions for an id of this request only; nothing is read, reported or set.
        DENIED: No decision at all; the two cookies are deleted if they came.
    """

    GRANTED = "granted"
    ANONYMOUS = "anonymous"
    DENIED = "denied"


def read_consent(answer: object) -> Consent:
    """Return the level of an application's answer: a level, True or None (granted), or False.

    Raises:
        OptionError: The answer is none of these.
    """
    if answer is True or answer is None:
        return Consent.GRANTED
    if answer is False:
        return Consent.DENIED
    if isinstance(answer, Consent):
        return answer
    raise OptionError("consent", f"must return a Consent, a bool or None, not {shown(answer)}")
