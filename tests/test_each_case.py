"""Tables of cases that run as one test."""

from __future__ import annotations

import pytest

from support.cases import each_case


def test_every_case_runs_and_each_failure_names_its_case() -> None:
    seen = []

    @each_case("number, is_even", [(1, True), (2, True), (3, True)], ids=str)
    def check(number: int, is_even: bool) -> None:
        seen.append(number)
        assert (number % 2 == 0) is is_even

    with pytest.raises(ExceptionGroup, match="2 of 3 cases") as caught:
        check()
    assert seen == [1, 2, 3]
    assert [error.__notes__ for error in caught.value.exceptions] == [["case (1, True)"], ["case (3, True)"]]


def test_case_without_an_id_is_named_as_python_prints_it() -> None:
    @each_case("text, size", [("four", 3)])
    def check(text: str, size: int) -> None:
        assert len(text) == size

    with pytest.raises(ExceptionGroup) as caught:
        check()
    assert caught.value.exceptions[0].__notes__ == ["case ('four', 3)"]


def test_case_can_have_an_id_of_its_own() -> None:
    @each_case("text, size", [pytest.param("four", 3, id="too short"), ("two", 3)])
    def check(text: str, size: int) -> None:
        assert len(text) == size

    with pytest.raises(ExceptionGroup, match="1 of 2 cases") as caught:
        check()
    assert caught.value.exceptions[0].__notes__ == ["case too short"]


def test_mark_of_a_case_is_refused() -> None:
    with pytest.raises(AssertionError, match="marks have no effect"):
        each_case("name", [pytest.param("a", marks=pytest.mark.slow)])


def test_case_of_one_parameter_may_be_a_tuple() -> None:
    seen = []

    @each_case("pair", [(1, 2), (3, 4)])
    def check(pair: tuple[int, int]) -> None:
        seen.append(pair)

    check()
    assert seen == [(1, 2), (3, 4)]


def test_two_tables_run_each_case_with_each() -> None:
    seen = []

    @each_case("letter", "ab")
    @each_case("number", [1, 2])
    def check(letter: str, number: int) -> None:
        seen.append(f"{letter}{number}")
        assert letter != "b"

    with pytest.raises(ExceptionGroup, match="1 of 2 cases") as caught:
        check()
    assert seen == ["a1", "a2", "b1", "b2"]
    (failed,) = caught.value.exceptions
    assert failed.__notes__ == ["case 'b'"]


def test_table_without_cases_fails() -> None:
    with pytest.raises(AssertionError, match="no cases"):
        each_case("name", [])(lambda name: None)()
