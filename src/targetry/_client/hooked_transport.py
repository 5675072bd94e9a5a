"""Transports whose requests the hooks of a client observe."""

from __future__ import annotations

from targetry._client.decisions.hook_runner import HookRunner
from targetry.hooks import Operation
from targetry.http.protocol import AsyncTransport, HttpRequest, HttpResponse, Transport


class HookedTransport:
    """`Transport` that calls `around_http` for each request of one operation."""

    def __init__(self, transport: Transport, runner: HookRunner, operation: Operation) -> None:
        self._transport = transport
        self._runner = runner
        self._operation: Operation = operation

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """Send a request, with the header fields that hooks add."""
        with self._runner.exchange(self._operation, request) as exchange:
            response = self._transport.send(exchange.request, timeout=timeout, max_bytes=max_bytes)
            exchange.response = response
            return response

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()


class AsyncHookedTransport:
    """`AsyncTransport` that calls `around_http` for each request of one operation."""

    def __init__(self, transport: AsyncTransport, runner: HookRunner, operation: Operation) -> None:
        self._transport = transport
        self._runner = runner
        self._operation: Operation = operation

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """Send a request, with the header fields that hooks add."""
        with self._runner.exchange(self._operation, request) as exchange:
            response = await self._transport.send(exchange.request, timeout=timeout, max_bytes=max_bytes)
            exchange.response = response
            return response

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()
