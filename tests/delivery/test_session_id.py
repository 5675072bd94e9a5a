"""The rule for session ids, which cookies and the edge share."""

from __future__ import annotations

from support.cases import each_case
from targetry.delivery.session_id import session_id_fault


@each_case("valid", ["s", "3f9c-1", "x" * 128, "é#&=%"])
def test_valid_session_id_has_no_fault(valid: str) -> None:
    assert session_id_fault(valid) is None


@each_case(
    "invalid, fault",
    [
        ("", "is required"),
        ("x" * 129, "must have at most 128 characters, has 129"),
        *(
            (text, "must be printable, without space, '?' and '/'")
            for text in ("a b", "a?", "a/b", "a\n", "\x00")
        ),
    ],
)
def test_invalid_session_id_has_a_fault(invalid: str, fault: str) -> None:
    assert session_id_fault(invalid) == fault
