"""Client of an integration: given by the application, or made from options at its first use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from targetry._client.async_client import AsyncTargetClient
from targetry._client.options import ClientOptions, client_settings
from targetry._client.sync_client import TargetClient
from targetry._runtime.forks import register_fork_handler
from targetry._runtime.sync_primitives import Mutex
from targetry.errors import OptionError
from targetry.models import DecisioningMethod
from targetry.models.scalars import type_name
from targetry.web.options import WebSettings
from targetry.web.visit import Visits

ClientInput = TargetClient | AsyncTargetClient | ClientOptions
"""Client, or the options of one."""


class ClientSource:
    """Client of an integration, and the visits that it makes.

    A client that was given stays the application's; one that is made here is closed here. Each
    process makes its own.

    Args:
        given: A client, or a mapping of the options of one.
        settings: Options of the integration.
        asynchronous: Whether clients that are made here are `AsyncTargetClient`; a `TargetClient`
            is then accepted only if it decides on device, since it would block the event loop.

    Raises:
        OptionError: It is neither, or an option of the client is wrong.
        TypeError: There is no such option of a client.
    """

    def __init__(self, given: ClientInput, settings: WebSettings, *, asynchronous: bool) -> None:
        self._settings = settings
        self._asynchronous = asynchronous
        self._turn = Mutex()
        self._own: TargetClient | AsyncTargetClient | None = None
        self._options: Mapping[str, Any] | None = None
        self.visits: Visits | None = None
        """Maker of visits; None until a client is there."""
        self._take(given)

    def _take(self, given: Any) -> None:
        if isinstance(given, TargetClient | AsyncTargetClient):
            _check_kind(given, self._asynchronous)
            self.visits = Visits(given, self._settings)
        elif isinstance(given, Mapping):
            client_settings(None, given)
            self._options = {**given}
            register_fork_handler(self)
        else:
            reason = f"must be a client or a mapping of the options of one, not {type_name(given)}"
            raise OptionError("client", reason)

    def open(self) -> Visits:
        """Return the maker of visits, after making the client if need be. This may wait.

        Raises:
            ArtifactError: An artifact among the client's options cannot be used.
            MissingExtraError: An asynchronous client needs the extra `async`.
        """
        with self._turn:
            if self.visits is None:
                assert self._options is not None
                if self._asynchronous:
                    self._own = asyncio.run(AsyncTargetClient.create(**self._options))
                else:
                    self._own = TargetClient.create(**self._options)
                self.visits = Visits(self._own, self._settings)
            return self.visits

    def close(self, timeout_s: float = 2.0) -> None:
        """Close the client if it was made here; a later request makes another."""
        with self._turn:
            own, self._own = self._own, None
            if own is None:
                return
            self.visits = None
        if isinstance(own, TargetClient):
            own.close(timeout_s)
        else:
            asyncio.run(own.aclose(timeout_s))

    def after_fork(self) -> None:
        """Free the turn in a child: another thread may have had it."""
        self._turn = Mutex()


def _check_kind(client: TargetClient | AsyncTargetClient, asynchronous: bool) -> None:
    if isinstance(client, AsyncTargetClient):
        if not asynchronous:
            raise OptionError("client", "is asynchronous: this framework needs a TargetClient")
    elif asynchronous and client._visit_services.method is not DecisioningMethod.ON_DEVICE:
        reason = "is a TargetClient that asks the Delivery API, and would block the event loop"
        raise OptionError("client", f"{reason}: give an AsyncTargetClient, or the options of one")
