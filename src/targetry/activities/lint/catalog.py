"""Catalog of the lint rules: ids, levels and descriptions."""

from __future__ import annotations

from typing import Final, NamedTuple

from targetry.activities.model.finding import Level


class LintRule(NamedTuple):
    """A lint rule.

    `is_suppressible`: a comment in the file can silence it; errors without which nothing can be
    compiled cannot be silenced.
    """

    code: str
    level: Level
    description: str
    is_suppressible: bool = False


def _rules() -> list[LintRule]:
    def error(code: str, description: str) -> LintRule:
        return LintRule(code, "error", description)

    def check(code: str, description: str, level: Level = "warning") -> LintRule:
        return LintRule(code, level, description, is_suppressible=True)

    return [
        error(
            "TA001",
            "The file is not YAML of the accepted kind: a syntax error, a key given twice, a tag, a merge key, or too many values.",
        ),
        error("TA002", "A key is unknown or missing, or a value has a wrong type."),
        error("TA003", "Two keys or two ids are equal."),
        error(
            "TA004",
            "A name is not defined (audience, property, group, activity), belongs to the language of audiences, or an audience refers to itself.",
        ),
        error(
            "TA005",
            "The file of an offer is missing, outside of the folder, too large, not UTF-8, or not JSON.",
        ),
        error("TA006", "The engine cannot use a compiled rule."),
        error("TA007", "`targetry.lock` is out of date or cannot be read."),
        error(
            "TA008",
            "Reports to Adobe were asked for, and the event tokens are derived, so Adobe does not know them.",
        ),
        error("TA101", "An expression has a syntax error, or syntax that audiences do not have."),
        error("TA102", "An expression has an operator that audiences do not have."),
        error("TA103", "A group of facts has no such member."),
        error("TA104", "A name in an expression is unknown."),
        error("TA105", "A function is unknown, or has wrong arguments."),
        check("TA110", "An audience is always false.", "error"),
        check("TA111", "An audience is always true."),
        check(
            "TA112",
            "A text fact is compared with a number, a number with a text that is none, or a lower-case fact with capitals; an error if the result is always the same.",
        ),
        check(
            "TA113",
            "A place is compared with a text that is not in capitals; or a city with spaces stands without its twin without spaces, which Adobe's Java SDK needs.",
        ),
        error(
            "TA114",
            "A time has no offset or is no time, a schedule ends before it starts, or the length of a start or an end differs between SDKs.",
        ),
        check("TA115", "An audience uses `allocation`, which only shares and windows set.", "error"),
        check("TA116", "An activity has ended, or starts in more than a year."),
        error("TA117", "An activity is a member of several groups."),
        error("TA118", "The workspace has several primary metrics."),
        check(
            "TA201",
            "Two activities have equal priority in one mbox, and their audiences can both hold; the smaller id wins.",
        ),
        check("TA202", "An offer cannot be reached: an earlier one takes every visitor it would."),
        error(
            "TA203",
            "Shares add up to more than 100, have more than two decimals, are missing in `ab`, or are given elsewhere.",
        ),
        check("TA204", "Shares add up to less than 100, so some visitors get nothing."),
        check("TA205", "An experience has more than eight windows."),
        check(
            "TA206",
            "A place is both local and remote, or members of a group with different properties meet at it.",
        ),
        check("TA207", "A split has one experience, several controls, or a control that is not the first."),
        check("TA208", "JSON offers of one place differ in shape between experiences."),
        check("TA209", "A macro is filled by nothing that is known, or is in content that is never filled."),
        check("TA210", "A key seems to be renamed without `renamed_from`, so visitors are split again."),
        check("TA211", "An audience, a property, a group or an offer file is not used."),
        check("TA212", "An experience has no offer at a place that other experiences have."),
        check("TA213", "A click metric of a page or a view has no selector, or a selector is not CSS."),
        check(
            "TA214",
            "Actions are in the global mbox instead of `page_load`, or plain HTML is at `page_load`.",
        ),
        check("TA215", "An audience has a form that Adobe's on-device rules do not document."),
        check("TA216", "A response token is never filled on device."),
        check("TA217", "An HTML offer is empty, or a redirect is not an absolute http or https URL."),
        check("TA218", "An artifact is larger than 1 MB, or an offer than 100 kB."),
        LintRule(
            "TA900", "warning", "A comment silences a rule that finds nothing, or that cannot be silenced."
        ),
    ]


RULES: Final = {rule.code: rule for rule in _rules()}
"""All rules by id."""
