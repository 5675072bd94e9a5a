"""`targetry explain`: which rule decided, and the value of every part of its condition."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text
from rich.tree import Tree

from targetry.device.condition_tree import Node
from targetry.device.explain import Explanation, LocationExplanation, RuleExplanation, Verdict, explain

from .answer import Answer
from .expression import expression, is_leaf, value_text
from .heading import heading
from .output import console, print_json, print_notes, shortened

_MARKS = {True: ("✓ ", "green"), False: ("✗ ", "red")}
_NO_MARK = ("· ", "dim")


def print_explanation(answer: Answer) -> None:
    """A tree for each location."""
    explanation = _explanation(answer)
    out = console()
    out.print(heading(answer.client, answer.request, answer.now_ms, *_seen_by_rules(explanation)))
    for location in explanation.locations:
        out.print()
        out.print(_location_tree(location))
    print_notes(answer.notes)


def print_explanation_json(answer: Answer) -> None:
    print_json(_explanation(answer))


def _explanation(answer: Answer) -> Explanation:
    return explain(answer.rules, answer.request, client_code=answer.client, now_ms=answer.now_ms)


def _seen_by_rules(explanation: Explanation) -> list[str]:
    """What of the visitor rules go by, as far as it was given."""
    user, page, geo = (explanation.context[name] for name in ("user", "page", "geo"))
    version = f" {user['browserVersion']}" if user["browserVersion"] >= 0 else ""
    facts = [f"browser {user['browserType']}{version}", f"platform {user['platform']}"]
    facts += [f"page {page['url']}"] if page["url"] else []
    facts += [f"{name} {value}" for name, value in geo.items()]
    facts += [f"property {explanation.property_token}"] if explanation.property_token else []
    return facts


def _location_tree(location: LocationExplanation) -> Tree:
    tree = Tree(_title(location), guide_style="dim")
    runs = groupby(location.rules, lambda rule: (rule.location, rule.verdict is Verdict.NOT_REACHED))
    for (_, is_unreached), run in runs:
        rules = list(run)
        if is_unreached:
            tree.add(Text(_unreached(rules), "dim"))
            continue
        for rule in rules:
            _add_rule(tree, rule, rule.location if location.name is None else "")
    return tree


def _title(location: LocationExplanation) -> Text:
    name = "every view" if location.name is None else f"{location.type} {location.name}"
    title = Text.assemble((shortened(name), "bold"), f" ({location.mode}): ")
    if location.matched:
        experiences = dict.fromkeys(_experience(rule) for rule in location.matched)
        return title.append("; ".join(experiences), "green")
    return title.append("nothing matched" if location.rules else "no rules", "yellow")


def _experience(rule: RuleExplanation) -> str:
    words = ("activity", "experience")
    names = [rule.meta.get(f"{word}.name", rule.meta.get(f"{word}.id")) for word in words]
    return shortened(" › ".join(str(name) for name in names if name is not None)) or "without a name"


def _unreached(rules: list[RuleExplanation]) -> str:
    first, last = rules[0].position, rules[-1].position
    return f"rule {first}: not reached" if first == last else f"rules {first} to {last}: not reached"


def _add_rule(tree: Tree, rule: RuleExplanation, where: str) -> None:
    matched = rule.verdict is Verdict.MATCHED
    place = shortened(f"{where} rule {rule.position}: ".lstrip())
    branch = tree.add(Text.assemble(_MARKS[matched], place, (_experience(rule), "bold")))
    branch.add(Text(shortened(_reason(rule)), "green" if matched else "yellow"))
    if rule.condition is not None and not (is_leaf(rule.condition) and rule.condition.operator is None):
        _add_node(branch, rule.condition)


def _reason(rule: RuleExplanation) -> str:
    if rule.verdict is not Verdict.MATCHED:
        return rule.reason
    if rule.window is not None:
        return f"matched: the allocation {rule.allocation:g} is in {rule.window[0]:g} to {rule.window[1]:g}"
    for_everybody = rule.condition is not None and is_leaf(rule.condition)
    return "matched: it is for everybody" if for_everybody else "matched"


def _add_node(tree: Tree, node: Node) -> None:
    """A part of a condition; where an operand is itself an operation, each gets a line of its own."""
    on_one_line = not node.more and all(is_leaf(operand) for operand in node.operands)
    text = expression(node) if on_one_line else (node.operator or "list")
    branch = tree.add(Text.assemble(_mark(node), shortened(text), _value(node)))
    if not on_one_line:
        for operand in node.operands:
            _add_node(branch, operand)
    if node.more:
        branch.add(Text(f"{node.more:,} more", "dim"))


def _mark(node: Node) -> tuple[str, str]:
    return _MARKS[node.value] if isinstance(node.value, bool) else _NO_MARK


def _value(node: Node) -> tuple[str, str]:
    """The value, where neither the mark nor the expression tells it."""
    if node.error is not None:
        return shortened(f" cannot be evaluated: {node.error}"), "red"
    told = isinstance(node.value, bool) or is_leaf(node)
    return ("" if told else shortened(value_text(node))), "cyan"
