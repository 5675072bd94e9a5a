"""Language of the repository: banned words, names of tests, one class for each name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from support.prose import ROOT, Prose, files, passages

# Pronouns for programs, metaphors and idioms, each with a plain word in its place, in lower case:
# a search that ignores the case takes three times as long.
BANNED = re.compile(
    r"\b(?:he|him|his|himself|who(?:m|se)?(?:ever|soever)|nobody|somebody|who asks|tells?|told|telling|anew|heed(?:s|ed)?|"
    r"in vain|for ever|(?:be|was|were|is|are) had|of one's own|by way of|beside|"
    r"courier|scribe|crew|road|shelf|bell)\b"
)
# A sentence that starts with a relative pronoun has no subject; a question may.
OPENER = r"(?:What(?:ever)?|Who(?:m|se|ever)?|Such)\b"
OPENING = re.compile(rf"(?:^|(?<=[.!?:;]\s)){OPENER}[^.!?]*(?:[.!]|$)(?!\?)")
# Literals next to each other can divide a phrase.
DIVIDED = re.compile(BANNED.pattern.replace(" ", r"\W+"))
TEST_NAME = re.compile(
    r"^test_(?:\w*_)?(?:whoever|nobody|somebody|told|tells?|anew|heed(?:s|ed)?|in_vain|for_ever|had|ones_own)(?:_|$)"
)
LONGEST_TEST_NAME = 80
# Patterns of lines in place of syntax trees, whose parsing is most of the time of these tests.
TEST_FUNCTION = re.compile(r"^[ \t]*(?:async )?def (test_\w+)", re.MULTILINE)
PUBLIC_CLASS = re.compile(r"^class ([^\W_]\w*)", re.MULTILINE)


def findings(passage: Prose) -> Iterator[str]:
    """Return where a passage uses a banned word or starts a sentence with a relative pronoun."""
    for hit in BANNED.finditer(passage.text.lower()):
        yield f"{passage.place(hit.start())}: {hit.group()}"
    headless = (
        re.sub(r"^#+ .*$", "", passage.text, flags=re.MULTILINE) if passage.kind == "page" else passage.text
    )
    if passage.kind != "message":
        for hit in OPENING.finditer(headless):
            yield f"{passage.place(hit.start())}: starts with {hit.group()[:40]!r}"


def can_be_wrong(_file: str, text: str) -> bool:
    """Return whether a file has the words of a finding, in its prose or in its code."""
    return bool(DIVIDED.search(text.lower()) or re.search(OPENER, text))


def wrong_test_names(file: str) -> Iterator[str]:
    """Return the test functions of a file whose names are too long or use a banned word."""
    for name in TEST_FUNCTION.findall((ROOT / file).read_text("utf-8")):
        if len(name) > LONGEST_TEST_NAME:
            yield f"{file}: {name} has {len(name)} characters"
        elif TEST_NAME.match(name):
            yield f"{file}: {name}"


def test_prose_uses_no_banned_word() -> None:
    assert [place for passage in passages(can_be_wrong) for place in findings(passage)] == []


def test_names_of_tests_are_short_and_use_no_banned_word() -> None:
    tests = [file for file in files() if file.startswith("tests/") and file.endswith(".py")]
    assert [place for file in tests for place in wrong_test_names(file)] == []


def test_each_public_class_name_is_defined_in_one_module() -> None:
    places = defaultdict[str, list[str]](list)
    for file in files():
        if file.startswith("src/targetry/") and file.endswith(".py"):
            for name in set(PUBLIC_CLASS.findall((ROOT / file).read_text("utf-8"))):
                places[name].append(file)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_rules_find_samples_of_banned_prose() -> None:
    """Check the rules themselves: a sample of each kind is found, and plain prose is not."""
    wrong = (
        "Told by the server.",
        "It is polled anew.",
        "Nobody asks.",
        "What is wrong is raised.",
        "Fine. Such rules end.",
    )
    right = (
        "Return the host.",
        "What is an mbox? A place.",
        "Raise what the server answered.",
        "The hero is shown.",
    )
    assert [text for text in wrong if not list(findings(Prose("a.py", 1, text, "docstring")))] == []
    assert [text for text in wrong if not can_be_wrong("a.py", text)] == []
    assert [text for text in right if list(findings(Prose("a.py", 1, text, "docstring")))] == []
