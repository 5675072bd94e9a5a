"""Content that a test gives mboxes, laid over the rules of a client."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from targetry.device.ruleset import RuleSet, compile_artifact, decidable_locations
from targetry.testing.artifact_builder import DEFAULT, activity, artifact

NO_RULES: Final = compile_artifact(artifact())
"""Rules of a client that has none of its own: they decide nothing."""


class Override(msgspec.Struct, frozen=True, eq=False):
    """Content of one mbox.

    `number` is unique in a double. `content` is an exception if the mbox fails. `visitor` is an id,
    None for all visitors. `applies_to` returns whether a client, given as its `VisitorDecisions`,
    is overridden.
    """

    number: int
    mbox: str
    content: Any
    rules: RuleSet
    visitor: str | None
    applies_to: Callable[[object], bool]

    @property
    def event_token(self) -> str:
        """Event token of its impressions."""
        template = self.rules.template(self.rules.mbox(self.mbox).rules[0])
        return template.event_tokens[0]


class Overrides:
    """Overrides of a test; of several that apply to an mbox, the last one counts."""

    def __init__(self) -> None:
        self._all: list[Override] = []
        self._count = 0
        self._overlays: dict[tuple[int, ...], tuple[RuleSet, RuleSet]] = {}
        self._tokens: set[str] = set()

    def add(
        self, mbox: str, content: Any, variant: str, visitor: str | None, applies_to: Callable[[object], bool]
    ) -> Override:
        """Add an override. Raises `ValueError` for content that is not JSON."""
        if not isinstance(mbox, str) or not mbox:
            raise ValueError(f"override: {mbox!r} is not the name of an mbox")
        self._count += 1
        offer = DEFAULT if content is None or isinstance(content, BaseException) else content
        made = activity(f"override of {mbox}", id=self._count).xt(variant).on(mbox, offer)
        override = Override(self._count, mbox, content, compile_artifact(artifact(made)), visitor, applies_to)
        self._tokens.add(override.event_token)
        self._all.append(override)
        return override

    def remove(self, override: Override) -> None:
        """Remove an override; it can be removed twice."""
        self._all = [one for one in self._all if one is not override]

    def active(self, visitor_ids: Collection[str], client: object) -> dict[str, Override]:
        """Return the overrides for a visitor and a client, by mbox."""
        return {
            one.mbox: one
            for one in self._all
            if (one.visitor is None or one.visitor in visitor_ids) and one.applies_to(client)
        }

    def has_token(self, event_tokens: Iterable[str]) -> bool:
        """Return whether one of the event tokens is that of an override."""
        return not self._tokens.isdisjoint(event_tokens)

    def laid_over(self, rules: RuleSet, active: Mapping[str, Override]) -> RuleSet:
        """Return rules in which the mboxes of the overrides have their content instead."""
        if not active:
            return rules
        key = (id(rules), *(one.number for one in active.values()))
        known = self._overlays.get(key)
        if known is None:
            known = self._overlays[key] = rules, _overlay(rules, active)  # keeps the id unique
        return known[1]


def _overlay(rules: RuleSet, active: Mapping[str, Override]) -> RuleSet:
    made = copy.copy(rules)
    made.mboxes = rules.mboxes | {name: one.rules.mboxes[name] for name, one in active.items()}
    made.local_mboxes = rules.local_mboxes.union(active)
    made.remote_mboxes = {name: None for name in rules.remote_mboxes if name not in active}
    made.decidable_mboxes = decidable_locations(made.mboxes, made.local_mboxes, made.remote_mboxes)
    return made


def raise_failure(active: Mapping[str, Override], names: Iterable[str | None]) -> None:
    """Raise the exception that one of the mboxes has in place of content."""
    for name in names:
        override = active.get(name or "")
        if override is not None and isinstance(override.content, BaseException):
            raise override.content
