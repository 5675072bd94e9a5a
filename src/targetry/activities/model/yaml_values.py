"""YAML documents as values with positions.

Plain scalars are those of the core schema of YAML 1.2, so that `no`, `on` and `12:30` are text.
Duplicate keys, tags, merge keys and several documents are errors. Nothing is constructed by the
YAML library: its events are read, which needs no recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from targetry._runtime.lazy_import import importing_extra

MAX_DEPTH: Final = 100
MAX_ALIASED_VALUES: Final = 10_000
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_LONGEST_NUMBER: Final = 300  # characters; every such number is within the range of a double


class Mark(NamedTuple):
    """Position of a value, from 1, and where its text starts.

    `offset` is the column at which the text starts in the line, None if a column of the text cannot
    be converted to one of the file. `block_line` is the line of the first line of a block's text.
    """

    line: int
    column: int
    offset: int | None = None
    block_line: int | None = None

    def at(self, line: int, column: int) -> tuple[int, int]:
        """Return the position in the file of a position in the text, both from 1."""
        if self.offset is None:
            return self.line, self.column
        if self.block_line is not None:
            return self.block_line + line - 1, self.offset + column - 1
        return (self.line, self.offset + column - 1) if line == 1 else (self.line, self.column)


class YamlError(Exception):
    """A text is not a document of the accepted kind; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class YamlDocument:
    """Value of a document, with the positions of its parts by their paths.

    A path is like `activities[2].experiences[0].share`; `keys` has the positions of keys.
    """

    def __init__(self, value: Any, marks: dict[str, Mark], keys: dict[str, Mark]) -> None:
        self.value = value
        self.marks = marks
        self.keys = keys

    def mark(self, path: str) -> Mark:
        """Return the position of a path, or of the closest part that contains it."""
        while path:
            if (found := self.marks.get(path)) is not None:
                return found
            path = parent_path(path)
        return self.marks.get("", Mark(1, 1))


def parent_path(path: str) -> str:
    """Return the path of the value that contains another."""
    return _LAST_STEP.sub("", path)


_LAST_STEP: Final = re.compile(r"(\.?[^.\[\]]+|\[[^\[\]]*\])$")


def join_path(path: str, key: str | int) -> str:
    """Return the path of a part of a value."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    key = key if _PLAIN_KEY.fullmatch(key) else "".join("_" if one in ".[]" else one for one in key) or "_"
    return f"{path}.{key}" if path else key


_PLAIN_KEY: Final = re.compile(r"[^.\[\]]+")


def parse_yaml(text: str) -> YamlDocument:
    """Parse a document.

    Raises:
        YamlError: It is not YAML of the accepted kind.
        ModuleNotFoundError: The extra `activities` is missing.
    """
    with importing_extra("activities"):
        import yaml
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _Reader(text)
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.read(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise YamlError(error.problem or "it cannot be parsed", line, column) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise YamlError(*_invalid_character(text, error)) from None
    return YamlDocument(reader.value, reader.marks, reader.keys)


def _invalid_character(text: str, error: Exception) -> tuple[str, int, int]:
    position = getattr(error, "position", None)
    before = text[:position] if isinstance(position, int) else ""
    line = before.count("\n") + 1
    return "it has a character that YAML does not allow", line, len(before) - before.rfind("\n")


class _Container:
    """Open list or map; `key` is the text of the current key of a map."""

    __slots__ = ("anchor", "key", "path", "value")

    def __init__(self, value: Any, path: str, anchor: str | None) -> None:
        self.value = value
        self.path = path
        self.anchor = anchor
        self.key: str | None = None


class _Reader:
    """Builder of a value from events."""

    def __init__(self, text: str) -> None:
        self.value: Any = None
        self.marks: dict[str, Mark] = {}
        self.keys: dict[str, Mark] = {}
        self._lines = text.split("\n")
        self._stack: list[_Container] = []
        self._anchors: dict[str, Any] = {}
        self._open_anchors: set[str] = set()
        self._documents = 0
        self._aliased = 0

    def read(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._scalar(event)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._start(event, {} if kind[0] == "M" else [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end()
        elif kind == "AliasEvent":
            self._alias(event)
        elif kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise _error("it has several documents", event)

    def _scalar(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        is_plain = not event.style
        if event.tag is not None:
            raise _error(f"it has the tag {event.tag}", event)
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event, is_plain)
            return
        value = _resolve(event) if is_plain else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        self._add(value, self._mark(event) if isinstance(value, str) else _mark(event))

    def _key(self, top: _Container, event: Any, is_plain: bool) -> None:
        key = event.value
        if is_plain and key == "<<":
            raise _error("it has a merge key", event)
        if key in top.value:
            raise _error(f"the key {key!r} is given twice", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = key
        top.key = key
        self.keys[join_path(top.path, key)] = _mark(event)

    def _start(self, event: Any, value: Any) -> None:
        if event.tag is not None:
            raise _error(f"it has the tag {event.tag}", event)
        if len(self._stack) >= MAX_DEPTH:
            raise _error(f"it is nested deeper than {MAX_DEPTH} levels", event)
        path = self._add(value, _mark(event))
        self._stack.append(_Container(value, path, event.anchor))
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)

    def _end(self) -> None:
        container = self._stack.pop()
        if container.anchor is not None:
            self._open_anchors.discard(container.anchor)
            self._anchors[container.anchor] = container.value

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name in self._open_anchors or name not in self._anchors:
            raise _error(f"the alias *{name} is within its own value, or has none", event)
        value = self._anchors[name]
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _error("a key is an alias", event)
        self._aliased += sum(1 for _ in _parts(value, MAX_ALIASED_VALUES - self._aliased + 1))
        if self._aliased > MAX_ALIASED_VALUES:
            raise _error(f"its aliases stand for more than {MAX_ALIASED_VALUES:,} values", event)
        self._add(value, _mark(event))

    def _add(self, value: Any, mark: Mark) -> str:
        """Add a value to the open container and return its path."""
        if not self._stack:
            self.value = value
            path = ""
        else:
            top = self._stack[-1]
            if isinstance(top.value, list):
                path = join_path(top.path, len(top.value))
                top.value.append(value)
            else:
                if top.key is None:
                    raise YamlError("a key is a list or a map", mark.line, mark.column)
                path = join_path(top.path, top.key)
                top.value[top.key] = value
                top.key = None
        self.marks[path] = mark
        return path

    def _mark(self, event: Any) -> Mark:
        """Return the position of a text, with where its characters are."""
        start, end = event.start_mark, event.end_mark
        line, column = start.line + 1, start.column + 1
        if event.style in ("|", ">"):
            if event.style == ">":
                return Mark(line, column)
            first = next(
                (at for at in range(start.line + 1, len(self._lines)) if self._lines[at].strip()),
                start.line + 1,
            )
            content = self._lines[first] if first < len(self._lines) else ""
            return Mark(line, column, len(content) - len(content.lstrip(" ")) + 1, start.line + 2)
        if start.line != end.line:
            return Mark(line, column)
        if not event.style:
            return Mark(line, column, column)
        has_escapes = end.column - start.column - 2 != len(event.value)
        return Mark(line, column, None if has_escapes else column + 1)


def _parts(value: Any, limit: int) -> Iterator[None]:
    """Yield once for each value within a value, at most `limit` times."""
    stack = [value]
    while stack and limit > 0:
        one = stack.pop()
        limit -= 1
        yield
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _error(message: str, event: Any) -> YamlError:
    return YamlError(message, event.start_mark.line + 1, event.start_mark.column + 1)


def _resolve(event: Any) -> Any:
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text) and text.isascii():
        if len(text) > _LONGEST_NUMBER:
            raise _error("a number is too long", event)
        return int(text)
    if _FLOAT.fullmatch(text) and text.isascii():
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise _error("a number is too large", event)
        return value
    return text
