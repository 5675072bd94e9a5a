from __future__ import annotations

import pytest

from support.cases import each_case
from targetry.activities.model.lock_file import (
    Lock,
    LockedActivity,
    LockedExperience,
    LockedGroup,
    LockError,
    parse_lock,
    render_lock,
)

LOCK = Lock(
    activities={
        "b": LockedActivity(2, 1000, {"x": LockedExperience(0, [(0, 100)]), "a": LockedExperience(1)}),
        "a": LockedActivity(1),
    },
    groups={"g": LockedGroup(7, [(0, 500)], {"b": [(500, 600), (700, 800)]})},
)


def test_lock_is_text_with_a_line_for_each_experience() -> None:
    text = render_lock(LOCK)
    assert parse_lock(text) == LOCK
    assert '        "a": {"id": 1, "windows": []},\n        "x": {"id": 0, "windows": [[0, 100]]}\n' in text
    assert render_lock(Lock()) == '{\n  "version": 1,\n  "activities": {}\n}\n'


@each_case(
    "text, line, message",
    [
        ("", 1, "not JSON"),
        ('{\n  "version": 1,\n', 3, "not JSON"),
        ("[" * 100_000, 1, "not JSON"),
        ("[]", 1, "version None"),
        ('{"version": 2}', 1, "version 2"),
        ('{"version": 1, "activities": {"a": {"id": "x"}}}', 1, "is not a lock"),
        ('{"version": 1, "other": 1}', 1, "is not a lock"),
        ('{"version": 1, "groups": {"g": {"id": 1, "holdout": [[5, 1]]}}}', 1, "window"),
    ],
    ids=lambda case: case[0][:40],
)
def test_other_text_is_no_lock(text: str, line: int, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse_lock(text)
    assert caught.value.line == line
