"""Comparison of the answers of two engines, without intended differences.

`DIVERGENCES` has all intended differences. Each row has an id of docs/migrating.md or a name,
describes the difference from the Node SDK, and removes it from the comparison by another question
for Node or by a change of its answer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from differential.artifacts import GLOBAL_MBOX
from targetry.device.logic.javascript import well_formed

Question = dict[str, Any]
Answer = dict[str, Any]


class Divergence(NamedTuple):
    """A difference: `ask` edits (a copy of) the question for Node; `read` edits Node's answer."""

    ids: str
    reason: str
    ask: Callable[[Question], None] | None = None
    read: Callable[[Question, Answer, Answer], None] | None = None


# ── D-14 ───


def _capital_geo(question: Question) -> None:
    geo = question["request"].get("context", {}).get("geo") or {}
    for key in ("city", "countryCode", "stateCode"):
        if geo.get(key) is not None:
            geo[key] = geo[key].upper()


def _raw_geo_tokens(question: Question, answer: Answer, ours: Answer) -> None:
    geo = question["request"].get("context", {}).get("geo") or {}
    raw = {
        "geo.city": geo.get("city"),
        "geo.country": geo.get("countryCode"),
        "geo.state": geo.get("stateCode"),
    }
    for tokens in _all_of(answer, "responseTokens"):
        tokens.update({name: raw[name] for name in raw if name in tokens})


# ── D-48 ───


def _no_clashing_parameters(question: Question) -> None:
    for parameters in _all_of(question["request"], "parameters"):
        nested = {name for name in parameters if _is_dotted(name)}
        for name in list(parameters):
            if any(other.startswith(f"{name}.") for other in nested):
                del parameters[name]


def _is_dotted(name: str) -> bool:
    return "." in name and ".." not in name and not name.startswith(".") and not name.endswith(".")


# ── D-49 ───

_ORDERINGS = ("<", "<=", ">", ">=")


def guarded(condition: Any) -> Any:
    """Return the rule for json-logic-js with the results of Targetry.

    Null is in no order with anything, an empty text in none with numbers, and only a text is in a
    text.
    """
    if isinstance(condition, list):
        return [guarded(part) for part in condition]
    if not isinstance(condition, dict) or len(condition) != 1:
        return condition
    ((operator, operands),) = condition.items()
    operands = guarded(operands)
    rule = {operator: operands}
    if operator in _ORDERINGS and isinstance(operands, list):
        pairs = pairwise(operands)
        return {
            "and": [
                *({"!==": [operand, None]} for operand in operands),
                *map(_not_blank_and_number, pairs),
                rule,
            ]
        }
    if operator == "in" and isinstance(operands, list) and len(operands) == 2:
        return {"and": [{"or": [{"!": [_is_text(operands[1])]}, _is_text(operands[0])]}, rule]}
    return rule


def _not_blank_and_number(pair: tuple[Any, Any]) -> Any:
    left, right = pair
    return {"and": [_unless_blank(left, right), _unless_blank(right, left)]}


def _unless_blank(blank: Any, other: Any) -> Any:
    """Return True unless `blank` is an empty text and `other` a number or a truth value."""
    return {
        "or": [
            {"!==": [blank, ""]},
            {"!": [{"or": [_is_number(other), {"===": [other, True]}, {"===": [other, False]}]}]},
        ]
    }


def _is_number(value: Any) -> Any:
    return {"===": [{"+": [value]}, value]}


def _is_text(value: Any) -> Any:
    return {"===": [{"cat": [value]}, value]}


def _guard_orderings(question: Question) -> None:
    for rule in _rules_of(question):
        rule["condition"] = _for_node(rule["condition"])


def _for_node(condition: Any) -> Any:
    """Return the rule with the matches of Node, for which an empty list is a match."""
    return {"!!": [guarded(condition)]}


def _unguard_traces(question: Question, answer: Answer, ours: Answer) -> None:
    conditions = [_well_formed(rule["condition"]) for rule in _rules_of(question)]
    known = {_text(_for_node(condition)): condition for condition in conditions}
    for trace in _all_of(answer, "trace"):
        for target in trace["evaluatedCampaignTargets"]:
            for side in ("matchedRuleConditions", "unmatchedRuleConditions"):
                target[side] = [known.get(_text(condition), condition) for condition in target[side]]


# ── half of a surrogate pair ───


def _whole_characters(question: Question) -> None:
    question["artifact"] = _well_formed(question["artifact"])


def _well_formed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {_well_formed(key): _well_formed(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_well_formed(item) for item in tree]
    return well_formed(tree) if isinstance(tree, str) else tree


# ── the table ───


def _macros_as_node_knows_them(question: Question) -> None:
    for rule in _rules_of(question):
        for option in rule["consequence"]["options"]:
            content = option.get("content")
            if option.get("type") == "html" and isinstance(content, str):
                option["content"] = _in_lower_case(content)
            for action in content if option.get("type") == "actions" and isinstance(content, list) else ():
                if isinstance(action.get("content"), str):
                    action["content"] = _in_lower_case(action["content"])


def _in_lower_case(text: str) -> str:
    return text.replace("${view.name}", "${location.name}").replace("${Campaign.name}", "${campaign.name}")


def _global_mbox_of_the_artifact(question: Question, answer: Answer, ours: Answer) -> None:
    if question["artifact"].get("globalMbox", GLOBAL_MBOX) == GLOBAL_MBOX:
        return
    if list(_all_of([question["request"].get(mode) for mode in ("execute", "prefetch")], "pageLoad")):
        answer["meta"]["remoteMboxes"] = ours["meta"]["remoteMboxes"]
        answer["response"]["status"] = ours["response"]["status"]


def _drop_live_traces(question: Question, answer: Answer, ours: Answer) -> None:
    for one in (answer, ours):
        for mbox in _mboxes_of(one):
            if "options" not in mbox and "trace" in mbox:
                mbox["trace"] = {**mbox["trace"], "campaigns": None, "evaluatedCampaignTargets": None}
        for page_load in _all_of(one, "pageLoad"):
            if "trace" in page_load:
                page_load["trace"] = {**page_load["trace"], "evaluatedCampaignTargets": None}


def _mboxes_of(answer: Answer) -> Iterator[dict[str, Any]]:
    for mode in ("execute", "prefetch"):
        yield from answer["response"].get(mode, {}).get("mboxes", ())


def _drop_referring(question: Question, answer: Answer, ours: Answer) -> None:
    asked = [question["request"].get(mode) for mode in ("execute", "prefetch")]
    if not list(_all_of(asked, "address")):
        return
    for one in (answer, ours):
        for context in _all_of(one, "context"):
            context.pop("referring", None)


def _drop_artifact_clock(question: Question, answer: Answer, ours: Answer) -> None:
    for trace in _all_of(answer, "trace"):
        trace["artifact"].pop("artifactLastRetrieved", None)


DIVERGENCES: tuple[Divergence, ...] = (
    Divergence(
        "D-14",
        "places are compared in capitals; response tokens have them as given",
        _capital_geo,
        _raw_geo_tokens,
    ),
    Divergence(
        "D-48",
        "a nested parameter wins over a plain one of its name, which Node cannot take",
        _no_clashing_parameters,
    ),
    Divergence(
        "D-49",
        "null is in no order with anything, an empty text in none with numbers; only a text is in a text; an empty list is no match",
        _guard_orderings,
        _unguard_traces,
    ),
    Divergence(
        "D-17",
        "Node takes the page of a location's own address for the referring one too; cases whose rules ask for it have both the same",
        None,
        _drop_referring,
    ),
    Divergence(
        "D-11",
        "a pageLoad is an activity of the artifact's global mbox, not of `target-global-mbox`",
        None,
        _global_mbox_of_the_artifact,
    ),
    Divergence("surrogates", "half of a surrogate pair in an artifact is read as U+FFFD", _whole_characters),
    Divergence("D-23", "`view.name` is known, and macros of any case", _macros_as_node_knows_them),
    Divergence(
        "live traces",
        "Node's traces of a pageLoad and of an mbox without match grow with later locations",
        None,
        _drop_live_traces,
    ),
    Divergence(
        "D-26",
        "when the artifact came depends on the process, not on the decision",
        None,
        _drop_artifact_clock,
    ),
)


def for_node(question: Question) -> Question:
    """Return the question for Node."""
    asked = copy.deepcopy(question)
    for divergence in DIVERGENCES:
        if divergence.ask is not None:
            divergence.ask(asked)
    return asked


def for_targetry(question: Question, node: Answer) -> Question:
    """Return the question for Targetry, with the id that Node created for a visitor without id."""
    known = question["request"].get("id") or {}
    if "error" in node or any(known.get(key) for key in ("tntId", "marketingCloudVisitorId", "thirdPartyId")):
        return question
    visitor = {**known, "tntId": node["response"]["id"]["tntId"]}
    return {**question, "request": {**question["request"], "id": visitor}}


def differences(question: Question, node: Answer, ours: Answer) -> list[str]:
    """Return how `ours` differs from Node's answer to `for_node(question)`; empty if equal."""
    if "error" in node or "error" in ours:
        pair = node.get("error"), ours.get("error")
        return [] if None not in pair else [f"error: node {pair[0]!r}, ours {pair[1]!r}"]
    node, ours = copy.deepcopy(node), copy.deepcopy(ours)
    for divergence in DIVERGENCES:
        if divergence.read is not None:
            divergence.read(question, node, ours)
    return list(_unequal(_comparable(node), _comparable(ours), ""))


def _comparable(answer: Answer) -> dict[str, Any]:
    sent = [one["body"] for one in answer["sent"]]
    return {
        "response": answer["response"],
        "remoteMboxes": sorted(answer["meta"]["remoteMboxes"]),
        "remoteViews": sorted(answer["meta"]["remoteViews"]),
        "notified": [_without_ids(body.get("notifications")) for body in sent],
        "notified for": [body.get("id") for body in sent],
    }


def _without_ids(tree: Any) -> Any:
    """Return notifications with a placeholder for their random ids."""
    return [{**one, "id": "…", "impressionId": "…"} if _has_ids(one) else one for one in tree]


def _has_ids(notification: Mapping[str, Any]) -> bool:
    return all(isinstance(notification.get(key), str) and notification[key] for key in ("id", "impressionId"))


def _unequal(node: Any, ours: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict) and isinstance(ours, dict):
        for key in sorted({*node, *ours}):
            if key in node and key in ours:
                yield from _unequal(node[key], ours[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: node {_shown(node, key)}, ours {_shown(ours, key)}"
    elif isinstance(node, list) and isinstance(ours, list) and len(node) == len(ours):
        for i, (left, right) in enumerate(zip(node, ours, strict=True)):
            yield from _unequal(left, right, f"{path}[{i}]")
    elif _plain(path, node) != _plain(path, ours):
        yield f"{path}: node {_text(node)}, ours {_text(ours)}"


def _plain(path: str, value: Any) -> Any:
    """Return values that differ where JSON differs, without random ids of notifications."""
    if path.endswith((".id", ".impressionId")) and ".notifications[" in path:
        return bool(value)
    return (isinstance(value, bool), value)


def _shown(tree: Mapping[str, Any], key: str) -> str:
    return _text(tree[key]) if key in tree else "absent"


def _text(value: Any) -> str:
    return json.dumps(_as_javascript(value), ensure_ascii=False, sort_keys=True)


def _as_javascript(value: Any) -> Any:
    """Return a number as JavaScript writes it: 35.0 as 35."""
    if isinstance(value, dict):
        return {key: _as_javascript(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rules_of(question: Question) -> Iterator[dict[str, Any]]:
    for place in question["artifact"]["rules"].values():
        for rules in place.values():
            yield from rules


def _all_of(tree: Any, key: str) -> Iterator[Any]:
    """Yield every value with the key `key`, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key and isinstance(value, dict):
                yield value
            yield from _all_of(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _all_of(value, key)
