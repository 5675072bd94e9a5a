"""QA mode of a client's decisions on device."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from targetry._runtime.validators import warn
from targetry.device.qa_mode import listed_activities, qa_rules, rules_for
from targetry.device.ruleset import RuleSet
from targetry.models import DeliveryRequest, QAMode

_UNREADABLE: Final = (
    "the token of qa_mode cannot be read on device: Adobe has encrypted its activities, so only the audience "
    "ids apply; give their ids, separated by commas, or use the decisioning method server-side"
)


class QaModes:
    """Rules in QA mode; the first token that only Adobe can read is a `TargetryWarning`."""

    def __init__(self) -> None:
        self._has_warned = False

    def for_request(self, rules: RuleSet, request: DeliveryRequest) -> RuleSet:
        """Return the rules that decide a request."""
        if request.qa_mode is not None:
            self._check(request.qa_mode)
        return rules_for(rules, request)

    def for_mboxes(self, rules: RuleSet, mode: QAMode, mboxes: Container[str | None]) -> RuleSet:
        """Return the rules that decide mboxes in a QA mode."""
        self._check(mode)
        return qa_rules(rules, mode, mboxes)

    def _check(self, mode: QAMode) -> None:
        if mode.token and not self._has_warned and not listed_activities(mode.token):
            self._has_warned = True
            warn(_UNREADABLE)
