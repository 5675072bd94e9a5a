"""Tables of cheap cases that run as one test, which costs less than a test of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def each_case(
    names: str, cases: Iterable[Any], *, ids: Iterable[object] | Callable[[Any], object] | None = None
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Return a decorator like `pytest.mark.parametrize` that makes one test of all cases.

    The test runs every case. Its failure holds one exception for each case that failed, with the id
    of the case as a note.

    Args:
        names: Names of the parameters, separated by commas.
        cases: Values, or tuples of them if there are several names.
        ids: Ids of the cases, or a function that makes one of a case. By default they are the
            positions of the cases in the table.
    """
    parameters = [name.strip() for name in names.split(",")]
    listed = list(cases)
    named = list(map(ids, listed)) if callable(ids) else list(ids or range(len(listed)))

    def decorate(check: Callable[..., None]) -> Callable[[], None]:
        def test() -> None:
            failures: list[Exception] = []
            for name, case in zip(named, listed, strict=True):
                try:
                    check(**dict(zip(parameters, case if len(parameters) > 1 else (case,), strict=True)))
                except Exception as error:
                    error.add_note(f"case {name}"[:200])
                    failures.append(error)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(listed)} cases", failures)
            assert listed, "there are no cases"

        test.__name__, test.__qualname__ = check.__name__, check.__qualname__
        test.__module__, test.__doc__ = check.__module__, check.__doc__
        return test

    return decorate
