"""Flags that a rule set decides: facts of an evaluation context, and all flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from targetry.device.decide_mbox import VisitorFacts, decide_mbox, visitor_facts
from targetry.device.logic.facts import RuleFailure, bucketing_id
from targetry.device.ruleset import RuleSet
from targetry.flags.context import FlagSubject
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import FlagEvaluation, evaluate_on_device, failed, not_decided
from targetry.flags.key import FlagKey


def subject_facts(subject: FlagSubject, client_code: str, property_token: str | None = None) -> VisitorFacts:
    """Return the facts of a context, with this property token unless the context has its own."""
    token = subject.property_token or property_token
    return visitor_facts(bucketing_id(subject.id), subject.context, client_code, subject.parameters, token)


def flag_mboxes(rules: RuleSet) -> list[str]:
    """Return the mboxes that `evaluate_all` evaluates, in order of name."""
    return sorted(rules.decidable_mboxes.keys() - {rules.global_mbox})


def evaluate_all(
    rules: RuleSet,
    facts: VisitorFacts,
    parameters: dict[str, Any] | None,
    now_ms: int,
    *,
    separator: str,
    is_stale: bool,
    note_failures: Callable[[Iterable[RuleFailure]], object],
) -> Iterator[list[FlagEvaluation]]:
    """Yield the flags of each mbox: its offer, and the members of the offer if it is an object.

    Args:
        rules: The compiled artifact.
        facts: The facts of the visitor.
        parameters: The mbox parameters, if they are not the visitor's own.
        now_ms: The time, in epoch milliseconds.
        separator: The character between an mbox and a member in a flag key.
        is_stale: Whether the rules can be outdated.
        note_failures: Receives the rules that could not be evaluated.
    """
    for name in flag_mboxes(rules):
        if not facts.visitor:
            facts.allocations.clear()  # each flag needs an id by itself or not
        outcome = decide_mbox(rules, name, facts, parameters, now_ms)
        if outcome is None:
            yield [failed(name, not_decided(name))]
            continue
        if outcome.failures:
            note_failures(outcome.failures)
        try:
            whole = evaluate_on_device(name, FlagKey(name), None, outcome, is_stale)
        except FlagError as error:
            yield [failed(name, error)]
            continue
        flags = [whole]
        if isinstance(whole.value, dict):
            flags += [
                replace(whole, key=f"{name}{separator}{member}", value=value)
                for member, value in whole.value.items()
                if member and "." not in member
            ]
        yield flags
