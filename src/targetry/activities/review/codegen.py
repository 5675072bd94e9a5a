"""Generator of a typed Python module: names, ids and the types of JSON offers."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from targetry.activities.compile.activity_set import ActivitySet, is_file_reference
from targetry.activities.compile.layout import Layout
from targetry.activities.model.definitions import FileReference, OfferDefinition

_HEAD: Final = '''\
"""Activities of {client} for type checkers.

Generated: run `targetry activities codegen` instead of editing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NotRequired, TypedDict

from targetry import AsyncTargetClient, PreparedVisitor, TargetClient

__all__ = {names}

{literals}
'''
_FUNCTIONS: Final = '''

def {name}(client: TargetClient, visitor: PreparedVisitor, *, default: {type}) -> {type}:
    """Return the content of the mbox `{mbox}` for a visitor, or the default."""
    return client.flag({key}, default, visitor=visitor)


async def {name}_async(
    client: AsyncTargetClient, visitor: PreparedVisitor, *, default: {type}
) -> {type}:
    """Return the content of the mbox `{mbox}` for a visitor, or the default."""
    return await client.flag({key}, default, visitor=visitor)
'''


class _Shape:
    """Union of the shapes of JSON values."""

    def __init__(self) -> None:
        self.scalars: set[str] = set()
        self.members: dict[str, _Shape] = {}
        self.counts: dict[str, int] = {}
        self.objects = 0
        self.item: _Shape | None = None

    def add(self, value: Any) -> None:
        if isinstance(value, dict):
            self.objects += 1
            for key, one in value.items():
                self.members.setdefault(key, _Shape()).add(one)
                self.counts[key] = self.counts.get(key, 0) + 1
        elif isinstance(value, list):
            self.item = self.item or _Shape()
            for one in value:
                self.item.add(one)
        else:
            self.scalars.add("None" if value is None else type(value).__name__)


class _Writer:
    def __init__(self) -> None:
        self.classes: list[str] = []
        self.taken: set[str] = {
            *(
                "Mapping",
                "Final",
                "Literal",
                "NotRequired",
                "TypedDict",
                "Mbox",
                "ActivityKey",
                "ExperienceKey",
            ),
            *("AsyncTargetClient", "PreparedVisitor", "TargetClient", "ACTIVITY_IDS", "EXPERIENCE_IDS"),
        }

    def type_of(self, shape: _Shape, name: str, *, is_optional: bool = False) -> str:
        """Return the type of a shape; classes of objects are added, the inner ones first."""
        parts = []
        if shape.objects:
            parts.append(self._class(shape, name, is_optional))
        if shape.item is not None:
            item = self.type_of(shape.item, f"{name}Item")
            parts.append(f"list[{item}]")
        scalars = shape.scalars - ({"int"} if "float" in shape.scalars else set())
        parts += sorted(scalars - {"None"}) + (["None"] if "None" in scalars else [])
        return " | ".join(parts) or "object"

    def _class(self, shape: _Shape, name: str, is_optional: bool) -> str:
        name = unique_name(name, self.taken)
        fields = {key: self.type_of(one, f"{name}{class_name(key)}") for key, one in shape.members.items()}
        fields = {
            key: type if is_optional or shape.counts[key] == shape.objects else f"NotRequired[{type}]"
            for key, type in fields.items()
        }
        total = ", total=False" if is_optional else ""
        if all(
            key.isidentifier() and not keyword.iskeyword(key) and not key.startswith("__") for key in fields
        ):
            lines = [f"    {key}: {type}" for key, type in fields.items()] or ["    pass"]
            doc = f'    """Content of `{name}`."""\n\n'
            self.classes.append(f"class {name}(TypedDict{total}):\n{doc}" + "\n".join(lines))
        else:
            members = ", ".join(f"{_literal(key)}: {_literal(type)}" for key, type in fields.items())
            self.classes.append(f"{name} = TypedDict({_literal(name)}, {{{members}}}{total})")
        return name


def generate_module(activities: ActivitySet, layout: Layout) -> str:
    """Return the source of a module with the types of the activities' offers.

    The module imports no YAML: it has the mboxes, keys and ids, a class for each shape of JSON, and
    a function for each mbox with text or JSON offers.

    Args:
        activities: The activities.
        layout: Their ids, as compiled.
    """
    writer = _Writer()
    functions = []
    names: set[str] = set(writer.taken)
    for mbox, shape, hints in _mboxes(activities):
        if shape.objects or shape.scalars or shape.item is not None:
            type = writer.type_of(
                shape, hints.get("class") or class_name(mbox), is_optional=bool(hints.get("optional"))
            )
            name = unique_name(_function_name(mbox), names)
            names.add(f"{name}_async")
            functions.append((name, mbox, type))
    literals = _literals(activities, layout)
    exported = sorted(
        [*(name for name in _LITERAL_NAMES if f"{name}" in literals), *(writer.taken - _Writer().taken)]
        + [one for name, _, _ in functions for one in (name, f"{name}_async")]
    )
    listed = "[\n" + "".join(f"    {_literal(name)},\n" for name in exported) + "]"
    head = _HEAD.format(client=_doc(activities.settings.client), names=listed, literals=literals.rstrip())
    classes = "".join(f"\n\n{one}\n" for one in writer.classes)
    return (
        head
        + classes
        + "".join(
            _FUNCTIONS.format(name=name, mbox=_doc(mbox), key=_literal(mbox), type=type)
            for name, mbox, type in functions
        )
    )


_LITERAL_NAMES: Final = ("Mbox", "ActivityKey", "ExperienceKey", "ACTIVITY_IDS", "EXPERIENCE_IDS")


def _literals(activities: ActivitySet, layout: Layout) -> str:
    live = {one.key: one for one in activities.activities if one.key in layout.activities}
    mboxes = sorted({mbox for mbox, _, _ in _mboxes(activities)})
    experiences = sorted({one.key for activity in live.values() for one in activity.experiences})
    lines = [
        f"{name} = Literal[{', '.join(map(_literal, keys))}]"
        for name, keys in (("Mbox", mboxes), ("ActivityKey", sorted(live)), ("ExperienceKey", experiences))
        if keys
    ]
    if live:
        lines += ["", "ACTIVITY_IDS: Final[Mapping[ActivityKey, int]] = {"]
        lines += [f"    {_literal(key)}: {layout.activities[key].id}," for key in sorted(live)]
        lines += ["}", "EXPERIENCE_IDS: Final[Mapping[ActivityKey, Mapping[str, int]]] = {"]
        for key in sorted(live):
            ids = layout.activities[key].experience_ids
            lines.append(
                f"    {_literal(key)}: {{" + ", ".join(f"{_literal(k)}: {v}" for k, v in ids.items()) + "},"
            )
        lines.append("}")
    return "\n".join(lines)


def _mboxes(activities: ActivitySet) -> Iterator[tuple[str, _Shape, dict[str, Any]]]:
    """Yield each mbox of live activities with the shape of its offers, and hints."""
    shapes: dict[str, _Shape] = {}
    hints: dict[str, dict[str, Any]] = {}
    for activity in activities.activities:
        if activity.state != "live":
            continue
        for experience in activity.experiences:
            for offer in experience.offers:
                if offer.mbox is not None:
                    shape = shapes.setdefault(offer.mbox, _Shape())
                    if activity.generate is not None:
                        hints.setdefault(offer.mbox, msgspec.to_builtins(activity.generate))
                    for value in _values(offer, activities):
                        shape.add(value)
    for mbox in sorted(shapes):
        yield mbox, shapes[mbox], hints.get(mbox, {})


def _values(offer: OfferDefinition, activities: ActivitySet) -> Iterator[Any]:
    content = offer.content
    if content is None:
        return
    type, value = content
    if type == "json":
        yield msgspec.json.decode(activities.texts[value["file"]]) if is_file_reference(value) else value
    elif type == "html":
        yield activities.texts.get(value.file, "") if isinstance(value, FileReference) else value


def class_name(name: str) -> str:
    """Return a name in the style of classes."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[0].upper() + word[1:] for word in words) or "Content"
    return joined if joined[0].isalpha() and not keyword.iskeyword(joined) else f"Content{joined}"


def _function_name(mbox: str) -> str:
    joined = "_".join(re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", mbox).lower()))
    return joined if joined and joined.isidentifier() and not keyword.iskeyword(joined) else f"mbox_{joined}"


def unique_name(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(found)
    return found


def _literal(text: str) -> str:
    return json.dumps(text)


def _doc(text: str) -> str:
    """Return a text that can stand in a docstring."""
    return re.sub(r'[\\"\x00-\x1f]', " ", text)
