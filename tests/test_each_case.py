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


def test_case_of_one_parameter_may_be_a_tuple() -> None:
    seen = []

    @each_case("pair", [(1, 2), (3, 4)])
    def check(pair: tuple[int, int]) -> None:
        seen.append(pair)

    check()
    assert seen == [(1, 2), (3, 4)]


def test_table_without_cases_fails() -> None:
    with pytest.raises(AssertionError, match="no cases"):
        each_case("name", [])(lambda name: None)()
