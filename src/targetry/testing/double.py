"""Double of Adobe Target for a test: content, impressions, notifications, time and network."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from targetry.device.ruleset import compile_artifact
from targetry.models import DeliveryRequest, Notification
from targetry.testing.double_state import DoubleState, Exposure
from targetry.testing.overrides import Override, Overrides
from targetry.testing.substitution import substituted

F = TypeVar("F", bound=Callable[..., Any])

_ACTIVE: Final[list[DoubleState]] = []


class TargetDouble:
    """Double of Adobe Target for all clients of the process; `double()` returns it."""

    def __init__(self, state: DoubleState) -> None:
        """Use `double`."""
        self._state = state

    @property
    def exposures(self) -> list[Exposure]:
        """Content shown, in order."""
        return self._state.exposures

    @property
    def notifications(self) -> list[Notification]:
        """Notifications that clients would have sent: displays, clicks, orders."""
        return self._state.notifications

    @property
    def requests(self) -> list[DeliveryRequest]:
        """Requests of `get_offers`, `get_attributes` and `send_notifications`, as prepared."""
        return self._state.requests

    @property
    def network(self) -> bool:
        """Whether the default transports may be used; False at first."""
        return self._state.network

    @network.setter
    def network(self, allowed: bool) -> None:
        self._state.network = allowed

    def set(
        self,
        mbox: str,
        content: Any,
        *,
        variant: str = "override",
        visitor: str | None = None,
        client: object = None,
    ) -> None:
        """Give an mbox content for the rest of the test; the arguments are those of `override`."""
        self._state.overrides.add(mbox, content, variant, visitor, _client_test(client))

    def override(
        self,
        mbox: str,
        content: Any,
        *,
        variant: str = "override",
        visitor: str | None = None,
        client: object = None,
    ) -> OverrideScope:
        """Give an mbox content in a `with` block, or in a decorated function.

        Of several overrides of an mbox the innermost counts. Other mboxes of a request are decided
        as usual.

        Args:
            mbox: Name of the mbox.
            content: Text for an HTML offer, another JSON value for a JSON offer, None for no offer,
                or an exception, which the call raises.
            variant: Name of the experience.
            visitor: A tnt id, third-party id or Experience Cloud ID, for that visitor only.
            client: A client or a client code, for that client only.

        Raises:
            ValueError: The content is not JSON.
        """
        return OverrideScope(self._state.overrides, mbox, content, variant, visitor, _client_test(client))

    def serve(self, artifact: Mapping[str, Any] | bytes | str) -> None:
        """Let all clients that decide on device decide by an artifact.

        Raises:
            ArtifactError: The artifact cannot be used.
        """
        self._state.rules = compile_artifact(artifact)

    @contextmanager
    def clock(self, at: datetime) -> Iterator[None]:
        """Decide as at this moment, in a `with` block. `at` has a time zone.

        Raises:
            ValueError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError("clock: the moment has no time zone; add one, such as UTC")
        before, self._state.now = self._state.now, at
        try:
            yield
        finally:
            self._state.now = before

    def assert_exposed(self, mbox: str, variant: str | None = None, times: int = 1) -> None:
        """Raise `AssertionError` unless an mbox was shown that often.

        Args:
            mbox: Name of the mbox.
            variant: Name of the experience; None for any.
            times: Number of exposures.
        """
        shown = [one for one in self.exposures if one.mbox == mbox]
        count = sum(variant is None or one.experience == variant for one in shown)
        if count != times:
            what = f"mbox {mbox!r}" + ("" if variant is None else f" with {variant!r}")
            seen = ", ".join(f"{one.mbox!r} with {one.experience!r}" for one in self.exposures) or "nothing"
            raise AssertionError(f"{what} was shown {count} times, not {times}; shown: {seen}")


class OverrideScope:
    """Override for a `with` block, or as a decorator for a function or a coroutine function."""

    def __init__(self, overrides: Overrides, *arguments: Any) -> None:
        """Use `TargetDouble.override`."""
        self._overrides = overrides
        self._arguments = arguments
        self._entered: list[Override] = []

    def __enter__(self) -> Self:
        self._entered.append(self._overrides.add(*self._arguments))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._overrides.remove(self._entered.pop())

    def __call__(self, function: F) -> F:
        """Return the function, run with the override."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **keywords: Any) -> Any:
                with self:
                    return await function(*args, **keywords)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **keywords: Any) -> Any:
            with self:
                return function(*args, **keywords)

        return run  # type: ignore[return-value]


@contextmanager
def double() -> Iterator[TargetDouble]:
    """Put a double in place of Adobe Target for all clients of the process, in a `with` block.

    No client sends anything, unless `network` is set. Clients that decide on device have the
    artifact of `serve`, else the one that they had before or were given; one that would download
    its artifact gets one without activities. The same holds for clients made in the block.

    Raises:
        RuntimeError: A double is in place already.
        AssertionError: At the end: a call would have used the network.
    """
    if _ACTIVE:
        raise RuntimeError("a double of Target is in place already; use that one")
    state = DoubleState()
    with ExitStack() as stack:
        _ACTIVE.append(state)
        stack.callback(_ACTIVE.clear)
        stack.enter_context(substituted(state))
        yield TargetDouble(state)
    if state.refused:
        raise AssertionError(
            f"the test asked {state.refused[0]}; allow it with target.network = True, or override the mbox"
        )


class TargetTestCase(unittest.TestCase):
    """Mixin for `unittest`: `self.target` is a double during each test."""

    target: TargetDouble

    def setUp(self) -> None:
        """Put the double in place."""
        super().setUp()
        self.target = self.enterContext(double())


def _client_test(client: object) -> Callable[[object], bool]:
    """Return a function that says whether a `VisitorDecisions` is that of a client."""
    if client is None:
        return lambda decisions: True
    if isinstance(client, str):
        return lambda decisions: getattr(decisions, "client_code", None) == client
    own = client._pipeline.visitor_decisions  # type: ignore[attr-defined]
    return lambda decisions: decisions is own
