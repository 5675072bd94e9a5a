"""`targetry explain`: prints the rules of a decision with the values of their conditions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import groupby
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from targetry.cli.arguments import RequestArguments, with_request_arguments
from targetry.cli.decide import OfferDecision, decide_offers
from targetry.cli.rendering.heading import heading
from targetry.cli.rendering.output import TextOrJson, console, print_json, print_notes
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.explanation import (
    Explanation,
    LocationExplanation,
    RuleExplanation,
    Verdict,
)
from targetry.device.explain.explanation import explain as explain_request
from targetry.humanize.explanation import (
    ConditionPart,
    condition_parts,
    describe_experience,
    describe_facts,
    describe_place,
    describe_position,
    describe_reason,
)
from targetry.humanize.text import truncate_text

_MARKS = {True: ("✓ ", "green"), False: ("✗ ", "red"), None: ("· ", "dim")}


@with_request_arguments
def explain(
    arguments: RequestArguments,
    output: Annotated[TextOrJson, typer.Option("--output", "-o", help="Output format.")] = TextOrJson.TEXT,
) -> None:
    """Explain a decision: the rules of each location, the values of their conditions, the match.

    \b
    [bold]Examples[/]
      targetry explain --mbox delivery-note --geo country=DE
      targetry explain --mbox hero --tnt-id 3f9c
      targetry explain --mbox promo --time 2026-12-04T20:15
      targetry explain --page-load --url https://acme.example/ -o json
    """
    decision = decide_offers(arguments)
    if output is TextOrJson.JSON:
        print_explanation_json(decision)
    else:
        print_explanation(decision)


def print_explanation(decision: OfferDecision) -> None:
    """Print a tree for each location."""
    explanation = _explanation(decision)
    out = console()
    out.print(heading(decision.client, decision.request, decision.now_ms, *describe_facts(explanation)))
    for location in explanation.locations:
        out.print()
        out.print(_location_tree(location))
    print_notes(decision.notes)


def print_explanation_json(decision: OfferDecision) -> None:
    """Print the explanation as JSON."""
    print_json(_explanation(decision))


def _explanation(decision: OfferDecision) -> Explanation:
    return explain_request(
        decision.rules,
        decision.request,
        client_code=decision.client,
        now_ms=decision.now_ms,
        budget=ExplainBudget(time.thread_time),
    )


def _location_tree(location: LocationExplanation) -> Tree:
    tree = Tree(_title(location), guide_style="dim")
    runs = groupby(location.rules, lambda rule: (rule.location, rule.verdict is Verdict.NOT_REACHED))
    for (_, is_unreached), run in runs:
        rules = list(run)
        if is_unreached:
            tree.add(Text(_unreached(rules), "dim"))
            continue
        for rule in rules:
            _add_rule(tree, rule, location)
    if location.more:
        tree.add(Text(f"{location.more:,} more that did not match, left out", "dim"))
    return tree


def _title(location: LocationExplanation) -> Text:
    title = Text.assemble((truncate_text(describe_place(location)), "bold"), f" ({location.mode}): ")
    if location.matched:
        experiences = dict.fromkeys(_experience(rule) for rule in location.matched)
        return title.append("; ".join(experiences), "green")
    has_rules = location.rules or location.more
    return title.append("nothing matched" if has_rules else "no rules", "yellow")


def _experience(rule: RuleExplanation) -> str:
    return truncate_text(describe_experience(rule.meta)) or "without a name"


def _unreached(rules: list[RuleExplanation]) -> str:
    first, last = rules[0].position, rules[-1].position
    return f"rule {first}: not reached" if first == last else f"rules {first} to {last}: not reached"


def _add_rule(tree: Tree, rule: RuleExplanation, location: LocationExplanation) -> None:
    matched = rule.verdict is Verdict.MATCHED
    place = truncate_text(f"{describe_position(rule, location)}: ")
    branch = tree.add(Text.assemble(_MARKS[matched], place, (_experience(rule), "bold")))
    reason = f"matched: {describe_reason(rule)}" if matched else describe_reason(rule)
    branch.add(Text(truncate_text(reason), "green" if matched else "yellow"))
    _add_parts(branch, condition_parts(rule.condition))


def _add_parts(tree: Tree, parts: Iterable[ConditionPart]) -> None:
    branches = [tree]
    for part in parts:
        del branches[part.depth + 1 :]
        branches.append(branches[-1].add(_line(part)))


def _line(part: ConditionPart) -> Text:
    value = (f" {truncate_text(part.value)}" if part.value else "", "cyan")
    error = (f" {truncate_text(part.error)}" if part.error else "", "red")
    return Text.assemble(_MARKS[part.holds], truncate_text(part.text), value, error)
