"""Collection of `*.test.yaml` by pytest: each test of a folder of activities is an item."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from targetry.activities.model.files import SETTINGS_FILE, ActivityFolder
from targetry.activities.review.table_tests import (
    ActivityFilesError,
    LocatedTest,
    TestFailure,
    TestSubject,
    load_subject,
    parse_tests,
)
from targetry.device.explain.budget import ExplainBudget
from targetry.humanize.explanation import describe_decision

_SUBJECTS = pytest.StashKey[dict[Path, TestSubject]]()


def folder_of(file: Path) -> Path | None:
    """Return the folder of activities that a file of tests belongs to."""
    return next((folder for folder in file.parents if (folder / SETTINGS_FILE).is_file()), None)


class ActivityTestFile(pytest.File):
    """File of table tests."""

    def collect(self) -> Iterator[ActivityTestItem]:
        tests, findings = parse_tests(self.path.name, self.path.read_text("utf-8"))
        if findings:
            raise self.CollectError("\n".join(map(str, findings)))
        try:
            self._subject()
        except ActivityFilesError as error:
            raise self.CollectError(str(error)) from None
        for one in tests:
            yield ActivityTestItem.from_parent(self, name=one.test.name, located=one, subject=self._subject())

    def _subject(self) -> TestSubject:
        """Return the compiled folder, once for each folder of the session."""
        folder = folder_of(self.path)
        assert folder is not None  # otherwise the file is not collected
        subjects = self.session.stash.setdefault(_SUBJECTS, {})
        if folder not in subjects:
            subjects[folder] = load_subject(ActivityFolder(folder))
        return subjects[folder]


class ActivityTestError(Exception):
    """Expectations of a test are not met."""

    def __init__(self, failures: list[TestFailure]) -> None:
        super().__init__("; ".join(one.message for one in failures))
        self.failures = failures


class ActivityTestItem(pytest.Item):
    """Table test as an item of pytest."""

    def __init__(self, *, located: LocatedTest, subject: TestSubject, **more: Any) -> None:
        super().__init__(**more)
        self._located = located
        self._subject = subject

    def runtest(self) -> None:
        if failures := self._subject.run(self._located.test):
            raise ActivityTestError(failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *more: Any, **named: Any) -> Any:
        if isinstance(excinfo.value, ActivityTestError):
            describe = partial(describe_decision, budget=ExplainBudget(time.thread_time))
            return "\n".join(self._subject.lines(excinfo.value.failures, describe))
        return super().repr_failure(excinfo, *more, **named)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._located.line - 1, self.name
