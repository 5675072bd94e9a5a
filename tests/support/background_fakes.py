"""Fakes of the collaborators of background rooms: a network, a clock, a listener, a logger."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from targetry.errors import ArtifactError, TransportError
from targetry.events import LazyValue
from targetry.http.protocol import HttpRequest, HttpResponse

Answer = HttpResponse | Exception | Callable[[HttpRequest], HttpResponse]

REFUSED = TransportError(reason="connection refused")


def answer(status: int = 200, body: bytes = b"", reason: str = "", **headers: str) -> HttpResponse:
    return HttpResponse(
        status, reason, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


class Network:
    """A network that returns its scripted responses in order, then repeats the last one."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []
        self.limits: list[tuple[float, int | None]] = []

    def then(self, *answers: Answer) -> None:
        """Replace the script."""
        self.answers = list(answers)

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        self.requests.append(request)
        self.limits.append((timeout, max_bytes))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given(request) if callable(given) else given

    def close(self) -> None: ...


class AsyncNetwork:
    def __init__(self, *answers: Answer) -> None:
        self.network = Network(*answers)
        self.requests = self.network.requests

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        return self.network.send(request, timeout=timeout, max_bytes=max_bytes)

    async def aclose(self) -> None: ...


class Clock:
    def __init__(self, start: float = 1000.0) -> None:
        self.time = start

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


class Listener:
    """An `emit` that records events; `wait_for` waits for a number of emissions."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, /, **payload: Any) -> None:
        with self._changed:
            self.events.append((name, payload))
            self._changed.notify_all()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def last(self, name: str) -> dict[str, Any]:
        """Return the payload of the last event of a name, with lazy values computed."""
        payload = next(payload for emitted, payload in reversed(self.events) if emitted == name)
        return {
            key: value.value() if isinstance(value, LazyValue) else value for key, value in payload.items()
        }

    def wait_for(self, name: str, times: int = 1) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: Counter(self.names)[name] >= times, timeout=60)
        assert came, f"{name} was not emitted {times} times, only {Counter(self.names)}"


class Lines:
    """A logger that records its lines; like the documented minimum, it has no method `warning`."""

    def __init__(self) -> None:
        self.debugs: list[str] = []
        self.errors: list[str] = []

    def debug(self, message: str, *args: object) -> None:
        self.debugs.append(message % args)

    def error(self, message: str, *args: object) -> None:
        self.errors.append(message % args)


class Rules:
    """Result of the fake compiler: `v1 2026-01-01T00:00:00Z` is a name and a generation time."""

    def __init__(self, name: str, generated_at: str | None) -> None:
        self.name = name
        self.generated_at = generated_at


def compile_rules(body: bytes) -> Rules:
    name, _, generated_at = body.decode().partition(" ")
    if not name.startswith("v"):
        raise ArtifactError("not an artifact")
    return Rules(name, generated_at or None)
