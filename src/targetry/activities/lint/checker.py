"""Check of a folder of activities: all rules, in the order of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec import structs

from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.loading import LoadedFolder, load_folder
from targetry.activities.lint.activity_rules import (
    check_renamed_keys,
    check_schedules,
    check_shares,
    check_unused,
)
from targetry.activities.lint.audience_rules import (
    check_comparisons,
    check_constants,
    check_forms,
    check_names,
)
from targetry.activities.lint.context import LintContext
from targetry.activities.lint.offer_rules import (
    check_artifacts,
    check_contents,
    check_metrics,
    check_response_tokens,
    check_shapes,
)
from targetry.activities.lint.place_rules import (
    check_local_places,
    check_missing_offers,
    check_priorities,
    check_reachability,
)
from targetry.activities.lint.suppression import suppress
from targetry.activities.lint.token_rules import derived_tokens
from targetry.activities.model.files import LOCK_FILE, ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import render_lock

_Check = Callable[[LintContext], Iterator[Finding]]

_ALWAYS: Final[tuple[_Check, ...]] = (
    check_names,
    check_comparisons,
    check_forms,
    check_schedules,
    check_shares,
    check_renamed_keys,
    check_local_places,
    check_missing_offers,
    check_contents,
    check_shapes,
    check_metrics,
    check_response_tokens,
)
# Their claims would be wrong while an audience or an activity is left out because of an error.
_WITHOUT_ERRORS: Final[tuple[_Check, ...]] = (
    check_constants,
    check_priorities,
    check_reachability,
    check_unused,
    check_artifacts,
)


def check_folder(folder: ActivityFolder, now_ms: int, *, is_for_adobe: bool = False) -> list[Finding]:
    """Check the files of a folder.

    Args:
        folder: The folder.
        now_ms: Time of the check, epoch milliseconds.
        is_for_adobe: Whether Adobe must be able to count the events.

    Returns:
        The findings in the order of files and lines.
    """
    loaded = load_folder(folder)
    return check_loaded(loaded, now_ms, folder.offer_names(), is_for_adobe=is_for_adobe)


def check_loaded(
    loaded: LoadedFolder, now_ms: int, offer_files: Iterable[str] = (), *, is_for_adobe: bool = False
) -> list[Finding]:
    """Check files that are loaded.

    Args:
        loaded: The files.
        now_ms: Time of the check, epoch milliseconds.
        offer_files: Files that offers can refer to; unused ones are findings.
        is_for_adobe: Whether Adobe must be able to count the events.

    Returns:
        The findings in the order of files and lines.
    """
    found = [*loaded.findings, *_findings(loaded, now_ms, offer_files)]
    if is_for_adobe and loaded.activities is not None:
        found += derived_tokens(loaded.activities)
    findings = dict.fromkeys(_within(one, loaded.texts) for one in found)
    return sorted(suppress(findings, loaded.texts), key=_order)


def _within(finding: Finding, texts: Mapping[str, str]) -> Finding:
    """Return a finding at a position that its file has; a parser counts other line ends too."""
    text = texts.get(finding.file)
    if text is None:
        return finding
    lines = text.split("\n")
    line = min(finding.line, len(lines))
    column = finding.column if line == finding.line else len(lines[line - 1]) + 1
    return structs.replace(finding, line=line, column=min(column, len(lines[line - 1]) + 1))


def _order(finding: Finding) -> tuple[str, int, int, str]:
    return finding.file, finding.line, finding.column, finding.code


def _findings(loaded: LoadedFolder, now_ms: int, offer_files: Iterable[str]) -> Iterator[Finding]:
    activities = loaded.activities
    if activities is None:
        return
    compilation = compile_activities(activities, loaded.lock)
    yield from compilation.findings
    unused = [name for name in offer_files if name not in activities.texts]
    context = LintContext(activities, compilation, loaded.lock, now_ms, unused)
    for check in _ALWAYS:
        yield from check(context)
    if loaded.findings or compilation.findings:
        return
    for check in _WITHOUT_ERRORS:
        yield from check(context)
    if loaded.lock is not None and render_lock(compilation.lock) != render_lock(loaded.lock):
        yield Finding(
            code="TA007",
            level="error",
            message="the lock is out of date",
            hint="run targetry activities lock",
            file=LOCK_FILE,
        )
