"""Loading of a folder of activities: all its files, and every mistake of shape in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from targetry.activities.compile.activity_set import ActivitySet, DefinitionSource, is_file_reference
from targetry.activities.model.definitions import (
    ActivityDefinition,
    FileReference,
    WorkspaceSettings,
)
from targetry.activities.model.files import LOCK_FILE, SETTINGS_FILE, ActivityFolder, FolderFileError
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import Lock, LockError, parse_lock
from targetry.activities.model.shapes import ShapeError, shape_errors
from targetry.activities.model.yaml_values import Mark, YamlDocument, YamlError, join_path, parse_yaml

T = TypeVar("T", bound=msgspec.Struct)

_METRICS_HINT: Final = "`primary_metric` names the metric that decides, and targetry.yaml has its cap"


class LoadedFolder:
    """Result of `load_folder`.

    Attributes:
        activities: The activities that could be read, None without usable settings.
        findings: Mistakes in the files.
        texts: The text of each YAML file, by name.
        lock: The lock; None if the folder has none, or one that cannot be used.
    """

    def __init__(
        self,
        activities: ActivitySet | None,
        findings: list[Finding],
        texts: dict[str, str],
        lock: Lock | None,
    ) -> None:
        self.activities = activities
        self.findings = findings
        self.texts = texts
        self.lock = lock


def load_folder(folder: ActivityFolder) -> LoadedFolder:
    """Read the files of a folder; mistakes become findings (TA001, TA002, TA004, TA005, TA007)."""
    loader = _Loader(folder)
    lock = loader.load_lock()
    activities = loader.load()
    return LoadedFolder(activities, loader.findings, loader.texts, lock)


class _Loader:
    def __init__(self, folder: ActivityFolder) -> None:
        self.findings: list[Finding] = []
        self.texts: dict[str, str] = {}
        self._folder = folder
        self._contents: dict[str, str | None] = {}
        self._faults: dict[str, str] = {}

    def load_lock(self) -> Lock | None:
        if not self._folder.lock_path.exists():
            return None
        try:
            return parse_lock(self._folder.read_text(LOCK_FILE))
        except FolderFileError as error:
            self._report("TA007", LOCK_FILE, f"the lock cannot be used: {error}")
        except LockError as error:
            self._report("TA007", LOCK_FILE, f"the lock cannot be used: {error}", Mark(error.line, 1))
        return None

    def load(self) -> ActivitySet | None:
        try:
            names = self._folder.names()
        except FolderFileError as error:
            self._report("TA005", ".", str(error))
            return None
        documents = {name: document for name in names if (document := self._parse(name)) is not None}
        settings_document = documents.pop(SETTINGS_FILE, None)
        if SETTINGS_FILE not in names:
            self._report(
                "TA004", SETTINGS_FILE, "the folder has no such file; `targetry activities init` writes one"
            )
        sources: list[DefinitionSource] = []
        activities: list[ActivityDefinition] = []
        for name, document in documents.items():
            for source, value in self._definitions(name, document):
                if (activity := self._convert(value, ActivityDefinition, source)) is not None:
                    activities.append(activity)
                    sources.append(source)
                    self._read_contents(activity, source)
        if settings_document is None:
            return None
        source = DefinitionSource(SETTINGS_FILE, settings_document)
        settings = self._convert(settings_document.value, WorkspaceSettings, source)
        if settings is None:
            return None
        contents = {name: text for name, text in self._contents.items() if text is not None}
        return ActivitySet(settings, activities, texts=contents, sources=sources, settings_source=source)

    def _parse(self, name: str) -> YamlDocument | None:
        try:
            text = self._folder.read_text(name)
            self.texts[name] = text
            return parse_yaml(text)
        except FolderFileError as error:
            self._report("TA001", name, str(error))
        except YamlError as error:
            self._report("TA001", name, f"not usable as YAML: {error}", Mark(error.line, error.column))
        return None

    def _definitions(self, name: str, document: YamlDocument) -> Iterator[tuple[DefinitionSource, Any]]:
        """Yield the activities of a file: it is one, or has a list of them."""
        value = document.value
        if not isinstance(value, dict) or "activities" not in value:
            yield DefinitionSource(name, document), value
            return
        file = DefinitionSource(name, document)
        for key in value.keys() - {"activities"}:
            self._report_shape(file, ShapeError(join_path("", key), f"unknown key {key!r}", None, True))
        if not isinstance(value["activities"], list):
            self._report_shape(file, ShapeError("activities", "expected a list"))
            return
        for index, one in enumerate(value["activities"]):
            yield DefinitionSource(name, document, f"activities[{index}]"), one

    def _convert(self, value: Any, struct: type[T], source: DefinitionSource) -> T | None:
        errors = list(shape_errors(value, struct))
        for error in errors:
            if struct is ActivityDefinition and error.path == "metrics":
                error = error._replace(hint=_METRICS_HINT)
            self._report_shape(source, error)
        if errors:
            return None
        try:
            return msgspec.convert(value, struct)
        except (msgspec.ValidationError, OverflowError) as error:
            self._report_shape(source, ShapeError("", str(error)))
            return None

    def _read_contents(self, activity: ActivityDefinition, source: DefinitionSource) -> None:
        for number, experience in enumerate(activity.experiences):
            for place, offer in enumerate(experience.offers):
                path = f"experiences[{number}].offers[{place}]"
                if isinstance(offer.html, FileReference):
                    self._read_content(offer.html.file, source, f"{path}.html.file")
                if is_file_reference(offer.json):
                    self._read_content(offer.json["file"], source, f"{path}.json.file", is_json=True)

    def _read_content(self, name: str, source: DefinitionSource, path: str, *, is_json: bool = False) -> None:
        if name not in self._contents:
            try:
                self._contents[name] = self._folder.read_text(name)
            except FolderFileError as error:
                self._contents[name], self._faults[name] = None, str(error)
        text = self._contents[name]
        fault = self._faults.get(name) if text is None else _json_fault(text) if is_json else None
        if fault is not None:
            self._contents[name] = None
            self._faults[name] = fault
            mark = source.mark(path)
            self._report("TA005", source.file, f"the file {name!r} cannot be used: {fault}", mark, path)

    def _report_shape(self, source: DefinitionSource, error: ShapeError) -> None:
        path = source.local_path(error.path)
        document = source.document
        mark = (document.keys.get(path) if document is not None and error.is_key else None) or source.mark(
            error.path
        )
        message = f"{path} {error.message}" if error.message.startswith("must ") else error.message
        self._report("TA002", source.file, message, mark, path, error.hint)

    def _report(
        self,
        code: str,
        file: str,
        message: str,
        mark: Mark | None = None,
        path: str = "",
        hint: str | None = None,
    ) -> None:
        line, column = (1, 1) if mark is None else (mark.line, mark.column)
        self.findings.append(
            Finding(
                code=code,
                level="error",
                message=message,
                hint=hint,
                file=file,
                line=line,
                column=column,
                path=path,
            )
        )


def _json_fault(text: str) -> str | None:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"it is not JSON: {error}"
    return None
