"""Tables of cheap cases that run as one test, which costs less than a test of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

_WITH_ID: Final = type(pytest.param())


def each_case(
    names: str, cases: Iterable[Any], *, ids: Iterable[object] | Callable[[Any], object] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator like `pytest.mark.parametrize` that makes one test of all cases.

    The test runs every case. Its failure holds one exception for each case that failed, with the id
    of the case as a note. Two decorators run each case of the one with each case of the other.

    Args:
        names: Names of the parameters, separated by commas.
        cases: Values, or tuples of them if there are several names. Each can be a `pytest.param`
            with an id and without marks.
        ids: Ids of the cases, or a function that makes one of a case. By default they are the
            cases as Python prints them.
    """
    parameters = [name.strip() for name in names.split(",")]
    given = list(cases)
    listed = [_values(case, len(parameters)) for case in given]
    named = None if ids is None or callable(ids) else list(ids)

    def described(position: int) -> str:
        case = given[position]
        if isinstance(case, _WITH_ID) and case.id is not None:
            return str(case.id)
        if named is not None:
            return str(named[position])
        return str(ids(case)) if callable(ids) else repr(case)

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def test(**outer: Any) -> None:
            failures: list[Exception] = []
            for position, values in enumerate(listed):
                try:
                    check(**outer, **dict(zip(parameters, values, strict=True)))
                except Exception as error:
                    error.add_note(f"case {described(position)}"[:200])
                    failures.append(error)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(listed)} cases", failures)
            assert listed, "there are no cases"
            assert named is None or len(named) == len(listed), "there is no id for each case"

        test.__name__, test.__qualname__ = check.__name__, check.__qualname__
        test.__module__, test.__doc__ = check.__module__, check.__doc__
        return test

    return decorate


def _values(case: Any, count: int) -> tuple[Any, ...]:
    """Return the values of `count` parameters."""
    if isinstance(case, _WITH_ID):
        assert not case.marks, "marks have no effect on a case of a table"
        return tuple(case.values)
    return tuple(case) if count > 1 else (case,)
