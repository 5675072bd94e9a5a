"""`targetry activities test`: run the table tests of a folder."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from xml.etree import ElementTree

import typer
from rich.text import Text

from targetry.activities.model.files import ActivityFolder
from targetry.activities.review.table_tests import (
    ActivityFilesError,
    LocatedTest,
    TestFailure,
    TestSubject,
    load_subject,
    parse_tests,
)
from targetry.cli.activities.folder import DEFAULT_FOLDER, EnvironmentOption, FolderArgument, write_file
from targetry.cli.inputs.activity_folder import fail_with
from targetry.cli.rendering.output import console
from targetry.device.explain.budget import ExplainBudget
from targetry.errors import TargetError
from targetry.humanize.explanation import describe_decision
from targetry.humanize.text import escape_control_characters

_NOT_IN_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def run_table_tests(
    folder: FolderArgument = DEFAULT_FOLDER,
    environment: EnvironmentOption = None,
    chosen: Annotated[
        str, typer.Option("-k", metavar="TEXT", help="Run only tests whose names have the text.")
    ] = "",
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.", show_default=False),
    ] = None,
) -> None:
    """Run the tests in files *.test.yaml: visitors, and the experiences that they must see.

    \b
    [bold]Examples[/]
      targetry activities test
      targetry activities test -k hero --junit results.xml
    """
    activities = ActivityFolder(folder)
    tests: list[LocatedTest] = []
    for name in activities.test_names():
        found, findings = parse_tests(name, activities.read_text(name))
        fail_with(folder, findings)
        tests += [one for one in found if chosen in one.test.name]
    if not tests:
        raise TargetError(
            f"no test of {folder} has {chosen!r} in its name; give another text to -k"
            if chosen
            else f"{folder} has no tests to run; write some to files *.test.yaml"
        )
    try:
        subject = load_subject(activities, environment)
    except ActivityFilesError as error:
        fail_with(folder, error.findings)
        raise
    out = console()
    results = [(one, subject.run(one.test)) for one in tests]
    for one, failures in results:
        if failures:
            out.print(
                Text(f"{(folder / one.file).as_posix()}:{one.line}: {one.test.name}", "bold red"),
                soft_wrap=True,
            )
            for line in _lines(subject, failures):
                out.print(Text(f"  {escape_control_characters(line)}"), soft_wrap=True)
    if junit is not None:
        write_file(junit, _junit(results, subject))
    failed = sum(bool(failures) for _, failures in results)
    out.print(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


def _lines(subject: TestSubject, failures: list[TestFailure]) -> list[str]:
    return subject.lines(failures, partial(describe_decision, budget=ExplainBudget(time.thread_time)))


def _junit(results: list[tuple[LocatedTest, list[TestFailure]]], subject: TestSubject) -> bytes:
    failed = sum(bool(failures) for _, failures in results)
    suite = ElementTree.Element("testsuite", name="activities", tests=str(len(results)), failures=str(failed))
    for one, failures in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_xml_text(one.file),
            name=_xml_text(one.test.name),
            line=str(one.line),
        )
        if failures:
            failure = ElementTree.SubElement(case, "failure", message=_xml_text(failures[0].message))
            failure.text = _xml_text("\n".join(_lines(subject, failures)))
    text: bytes = ElementTree.tostring(suite, "utf-8", xml_declaration=True)
    return text


def _xml_text(text: str) -> str:
    """Return a text without the characters that XML cannot have."""
    return _NOT_IN_XML.sub("\ufffd", text)
