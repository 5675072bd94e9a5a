"""State of a double of Target: content, rules and time that it sets, and what clients did."""

from __future__ import annotations

from datetime import datetime

import msgspec

from targetry.device.ruleset import RuleSet
from targetry.models import DeliveryRequest, Notification, VisitorId
from targetry.testing.overrides import Overrides


class Exposure(msgspec.Struct, frozen=True):
    """Content that a visitor was shown.

    Attributes:
        mbox: Name of the mbox.
        activity: Name of the activity; None where it is not known.
        experience: Name of the experience; None where it is not known.
        visitor: Ids of the visitor.
        session_id: Session of the visitor.
        overridden: Whether the content is that of an override.
    """

    mbox: str | None
    activity: str | None
    experience: str | None
    visitor: VisitorId
    session_id: str
    overridden: bool


class DoubleState(msgspec.Struct, eq=False):
    """State of one double. `refused` are URLs that calls of the test would have asked."""

    exposures: list[Exposure] = []
    notifications: list[Notification] = []
    requests: list[DeliveryRequest] = []
    network: bool = False
    refused: list[str] = []
    overrides: Overrides = msgspec.field(default_factory=Overrides)
    rules: RuleSet | None = None
    now: datetime | None = None
