"""Blocking interface of both clients, so that one scenario runs with each."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from targetry import (
    AsyncTargetClient,
    FlagDetails,
    PreparedVisitor,
    RefreshResult,
    TargetClient,
    TargetDeliveryResponse,
)
from targetry.attributes import AttributesProvider

T = TypeVar("T")


class AnyClient(Protocol):
    @property
    def client(self) -> TargetClient | AsyncTargetClient: ...
    def get_offers(self, **options: Any) -> TargetDeliveryResponse: ...
    def get_attributes(self, names: Iterable[str], **options: Any) -> AttributesProvider: ...
    def send_notifications(self, **options: Any) -> TargetDeliveryResponse: ...
    def visitor(self, **given: Any) -> PreparedVisitor: ...
    def flag(self, key: str, default: Any, **given: Any) -> Any: ...
    def flag_details(self, key: str, default: Any, **given: Any) -> FlagDetails[Any]: ...
    def all_flags(self, **given: Any) -> dict[str, FlagDetails[Any]]: ...
    def refresh_artifact(self, force: bool = False, timeout: float = 10) -> RefreshResult: ...
    def flush(self, timeout: float = 10) -> bool: ...
    def close(self, timeout: float = 2) -> None: ...
    def finish(self) -> None: ...


class Blocking:
    def __init__(self, **options: Any) -> None:
        self.client = TargetClient.create(options)

    def get_offers(self, **options: Any) -> TargetDeliveryResponse:
        result: TargetDeliveryResponse = self.client.get_offers(options)
        return result

    def get_attributes(self, names: Iterable[str], **options: Any) -> AttributesProvider:
        result: AttributesProvider = self.client.get_attributes(names, options)
        return result

    def send_notifications(self, **options: Any) -> TargetDeliveryResponse:
        result: TargetDeliveryResponse = self.client.send_notifications(options)
        return result

    def visitor(self, **given: Any) -> PreparedVisitor:
        return self.client.visitor(**given)

    def flag(self, key: str, default: Any, **given: Any) -> Any:
        return self.client.flag(key, default, **given)

    def flag_details(self, key: str, default: Any, **given: Any) -> FlagDetails[Any]:
        return self.client.flag_details(key, default, **given)

    def all_flags(self, **given: Any) -> dict[str, FlagDetails[Any]]:
        return self.client.all_flags(**given)

    def refresh_artifact(self, force: bool = False, timeout: float = 10) -> RefreshResult:
        return self.client.refresh_artifact(force, timeout)

    def flush(self, timeout: float = 10) -> bool:
        return self.client.flush(timeout)

    def close(self, timeout: float = 2) -> None:
        self.client.close(timeout)

    def finish(self) -> None:
        self.close()


class Looped:
    def __init__(self, **options: Any) -> None:
        self._runner = asyncio.Runner()
        try:
            self.client = self._runner.run(AsyncTargetClient.create(options))
        except BaseException:
            self._runner.close()
            raise

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call in the context of its caller, as a task of the caller has it.

        `asyncio.Runner.run` replaces the handler of Ctrl-C in each call, which formats a response.
        """
        loop = self._runner.get_loop()
        return loop.run_until_complete(loop.create_task(call, context=contextvars.copy_context()))

    def get_offers(self, **options: Any) -> TargetDeliveryResponse:
        return self._run(self.client.get_offers(options))

    def get_attributes(self, names: Iterable[str], **options: Any) -> AttributesProvider:
        return self._run(self.client.get_attributes(names, options))

    def send_notifications(self, **options: Any) -> TargetDeliveryResponse:
        return self._run(self.client.send_notifications(options))

    def visitor(self, **given: Any) -> PreparedVisitor:
        return self._run(self.client.visitor(**given))

    def flag(self, key: str, default: Any, **given: Any) -> Any:
        return self._run(self.client.flag(key, default, **given))

    def flag_details(self, key: str, default: Any, **given: Any) -> FlagDetails[Any]:
        return self._run(self.client.flag_details(key, default, **given))

    def all_flags(self, **given: Any) -> dict[str, FlagDetails[Any]]:
        return self._run(self.client.all_flags(**given))

    def refresh_artifact(self, force: bool = False, timeout: float = 10) -> RefreshResult:
        return self._run(self.client.refresh_artifact(force, timeout))

    def flush(self, timeout: float = 10) -> bool:
        return self._run(self.client.flush(timeout))

    def close(self, timeout: float = 2) -> None:
        self._run(self.client.aclose(timeout))

    def finish(self) -> None:
        self.close()
        self._runner.close()


Connect = Callable[..., AnyClient]


@contextmanager
def client_factory(kind: Connect, **defaults: Any) -> Iterator[Connect]:
    """Yield a factory of clients with these options, and close what it made."""
    made: list[AnyClient] = []

    def connect(**options: Any) -> AnyClient:
        made.append(kind(**{**defaults, **options}))
        return made[-1]

    yield connect
    for any_client in made:
        any_client.finish()
