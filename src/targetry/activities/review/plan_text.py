"""Plans in words, as text and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from targetry.activities.review.plan import Change, Movement

_LONGEST_VALUE: Final = 60


def plan_text(changes: Sequence[Change]) -> str:
    """Return a plan as text, with a summary as its last line."""
    lines: list[str] = []
    for (name, id), found in groupby(changes, key=lambda one: (one.activity, one.id)):
        group = list(found)
        title = f"{name} ({id})" if name or id else "Artifact"
        lines += [f"{title:60s} {_state(group)}", *(f"  {line}" for line in _lines(group))]
    return "\n".join([*lines, summary(changes)]) + "\n"


def plan_markdown(changes: Sequence[Change]) -> str:
    """Return a plan as Markdown, for a comment on a pull request."""
    lines = [f"**{summary(changes)}**", ""]
    for (name, id), found in groupby(changes, key=lambda one: (one.activity, one.id)):
        group = list(found)
        title = f"{_escaped(name)} ({id})" if name or id else "Artifact"
        lines += [f"### {title}: {_state(group)}", ""]
        lines += ["```diff", *_lines(group), "```", ""] if any(True for _ in _lines(group)) else []
    return "\n".join(lines).rstrip() + "\n"


def summary(changes: Sequence[Change]) -> str:
    """Return the numbers of activities that change, and whose events lose their attribution."""
    if not changes:
        return "No changes."
    states: dict[str, set[tuple[str, str]]] = {"changed": set(), "new": set(), "gone": set()}
    for one in changes:
        if one.activity or one.id:
            state = one.change if one.change in ("new", "gone") else "changed"
            states[state].add((one.activity, one.id))
    lost = dict.fromkeys(one.activity for one in changes if one.change == "tokens")
    text = ", ".join(f"{len(found)} {state}" for state, found in states.items())
    kept = f"for all but {', '.join(lost)}" if lost else "everywhere"
    return f"{text}. Events of compiled offers keep their attribution {kept}."


def _state(changes: Sequence[Change]) -> str:
    kinds = {one.change for one in changes}
    if "gone" in kinds:
        return "gone"
    if "new" in kinds:
        places = next(one.after for one in changes if one.change == "new")
        return ", ".join(["new", *places])
    return "changed"


def _lines(changes: Sequence[Change]) -> Iterator[str]:
    for one in changes:
        if one.change == "share":
            yield from _share_lines(one)
        elif one.change == "audience":
            path = f" of {one.path}" if one.path else ""
            removed = [text for text in one.before if text not in one.after]
            added = [text for text in one.after if text not in one.before]
            yield from (f"~ audience{path}  - {text}" for text in removed)
            yield from (f"~ audience{path}  + {text}" for text in added)
            if not removed and not added:
                yield f"~ audience{path}  other order of conditions"
        elif one.change == "offer":
            yield from _offer_lines(one)
        elif one.change in ("new", "gone"):
            continue
        elif one.change == "visitors":
            yield from _visitor_lines(one.after)
        elif one.change == "seen":
            yield f"    {_seen(one.after)}"
        elif one.change == "tokens":
            yield f"~ event tokens at {one.path}"
        elif one.change == "order":
            yield f"~ order at {one.path}  {', '.join(one.before)} → {', '.join(one.after)}"
        else:
            path = one.path if one.change == "field" else f"{one.change} {one.path}".strip()
            yield f"~ {path}  {_value(one.before)} → {_value(one.after)}"


def _visitor_lines(reach: dict[str, int]) -> Iterator[str]:
    for name, words in (("lost", "see it no longer"), ("gained", "see it now")):
        if reach[name]:
            yield f"    {reach[name]:,} of {reach['total']:,} given visitors {words}"


def _seen(moved: dict[str, Any]) -> str:
    parts = [
        f"{count:,} switch from {names.replace(' → ', ' to ')}" for names, count in moved["switches"].items()
    ]
    parts += [f"{moved['left']:,} see it no longer"] if moved["left"] else []
    return f"of {moved['total']:,} visitors in the ledger, {', '.join(parts) or 'none moves'}"


def _share_lines(change: Change) -> Iterator[str]:
    names = dict.fromkeys([*change.before, *change.after])
    shares = [
        f"{name} {change.before.get(name, 0)} % → {change.after.get(name, 0)} %"
        for name in names
        if change.before.get(name) != change.after.get(name)
    ]
    yield f"~ share  {', '.join(shares) or 'other windows'}"
    if change.moved is not None:
        yield f"    {_movement(change.moved)}"


def _movement(moved: Movement) -> str:
    parts = [
        f"{_percent(count)} of its visitors switch from {names.replace(' → ', ' to ')}"
        for names, count in moved.switches.items()
    ]
    parts += [f"{_percent(moved.entered)} enter"] if moved.entered else []
    parts += [f"{_percent(moved.left)} leave"] if moved.left else []
    return "; ".join([*parts, "no other visitor moves"] if parts else ["no visitor moves"])


def _percent(buckets: int) -> str:
    return f"{buckets / 100:.2f} %"


def _offer_lines(change: Change) -> Iterator[str]:
    if change.before is None or change.after is None:
        yield f"{'+' if change.before is None else '-'} offer at {change.path}"
        return
    before, after = _content(change.before), _content(change.after)
    parts = [
        f"{path}: {_value(one)} → {_value(other)}" if one is not _MISSING and other is not _MISSING
        else f"+ {path}: {_value(other)}" if one is _MISSING
        else f"- {path}: {_value(one)}"
        for path, one, other in _differences(before, after, "")
    ]  # fmt: skip
    yield f"~ offer at {change.path}  {'; '.join(parts)}"


_MISSING: Final = object()


def _content(option: Any) -> Any:
    """Return the content of an option if it has a type that says how to compare it."""
    return {"content": option["content"]} if isinstance(option, dict) and "content" in option else option


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            one, other = before.get(key, _MISSING), after.get(key, _MISSING)
            if one is _MISSING or other is _MISSING or one != other:
                inner = f"{path}.{key}" if path and path != "content" else key
                yield from _differences(one, other, inner)
    else:
        yield path or "content", before, after


def _value(value: Any) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"{len(value)} characters"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _escaped(name: str) -> str:
    return "".join(f"\\{one}" if one in "\\`*_[]<>#|" else one for one in name)
