"""Sources of answers to recorded requests: a Delivery API over HTTP, or an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

from msgspec.structs import replace

from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.ids import new_id
from targetry._runtime.lazy_import import importing
from targetry.device.decide import decide
from targetry.device.ruleset import compile_artifact
from targetry.errors import DeadlineError, OptionError, TargetError, TransportError
from targetry.http.protocol import HttpRequest, Transport, shown_url
from targetry.models import ConstraintError, DeliveryRequest, DeliveryResponse

_OK: Final = (200, 206)
_HEADERS: Final = {"content-type": "application/json"}


class AnswerError(TargetError):
    """A request was not answered with offers."""


class UnreachableError(TargetError):
    """A Delivery API does not answer at all."""


class Answers(Protocol):
    """Answers requests again."""

    def answer(self, request: DeliveryRequest, *, client: str | None, time_ms: int) -> DeliveryResponse:
        """Return the response to a request.

        Args:
            request: The request, with the id of the visitor.
            client: The client code of the recorded response, if it has one.
            time_ms: Time of the recorded decision, epoch milliseconds.

        Raises:
            AnswerError: The request has no such response; others can have one.
            TargetError: No request can be answered.
        """


class EdgeAnswers:
    """Answers of an edge, or of another Delivery API. They are those of now.

    Notifications and telemetry are not sent again. An edge that records events counts impressions.

    Args:
        url: URL of the edge, such as `http://localhost:8080`.
        client: The client code. Default: that of the recorded response.
        timeout_s: Seconds for each request.
        transport: Sends the requests.

    Raises:
        OptionError: The URL is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        client: str | None = None,
        timeout_s: float = 10.0,
        transport: Transport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise OptionError("url", f"must start with http:// or https://, not {url!r}")
        self._url = url.rstrip("/")
        self._client = client
        self._timeout_s = timeout_s
        if transport is None:
            with importing():
                from targetry.http.sync_transport import HttpTransport

            transport = HttpTransport()
        self._transport = transport

    def answer(self, request: DeliveryRequest, *, client: str | None, time_ms: int) -> DeliveryResponse:
        """Return the response of now.

        Raises:
            AnswerError: The response has another status, or is late or damaged.
            OptionError: Neither the recorded response nor the options have a client code.
            UnreachableError: There is no response, as nothing listens at the URL.
        """
        code = self._client or client
        if code is None:
            raise OptionError("client", "the recorded response has no client code; pass one")
        url = f"{self._url}/rest/v1/delivery?client={quote(code, safe='')}&sessionId={new_id()}"
        body = replace(request, notifications=None, telemetry=None).to_json().encode()
        try:
            response = self._transport.send(
                HttpRequest("POST", url, _HEADERS, body),
                timeout=self._timeout_s,
                max_bytes=MAX_DOCUMENT_BYTES,
            )
        except DeadlineError as error:
            raise AnswerError(f"{shown_url(url)}: no response within {self._timeout_s:g} s") from error
        except TransportError as error:
            raise UnreachableError(f"no response: {error.reason}; start the edge or pass its URL") from error
        if response.status not in _OK:
            text = response.body[:200].decode("utf-8", "replace")
            raise AnswerError(f"{shown_url(url)}: status {response.status}: {text}")
        try:
            return DeliveryResponse.from_json(response.body)
        except ConstraintError as error:
            raise AnswerError(f"{shown_url(url)}: the response cannot be read: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class ArtifactAnswers:
    """Decisions by an artifact, at the time of the recorded ones.

    Args:
        artifact: JSON text, the obfuscated format `rules.bin`, or the parsed document.
        client: The client code, a part of the bucketing key. Default: that of the recorded
            response.
        organization_id: The key of a `rules.bin`.

    Raises:
        ArtifactError: The artifact cannot be used.
    """

    def __init__(
        self,
        artifact: bytes | str | Mapping[str, Any],
        *,
        client: str | None = None,
        organization_id: str | None = None,
    ) -> None:
        self._rules = compile_artifact(artifact, organization_id=organization_id)
        self._client = client

    def answer(self, request: DeliveryRequest, *, client: str | None, time_ms: int) -> DeliveryResponse:
        """Return the decision.

        Raises:
            OptionError: Neither the recorded response nor the options have a client code.
        """
        code = self._client or client
        if code is None:
            raise OptionError("client", "the recorded response has no client code; pass one")
        return decide(self._rules, request, code, time_ms, new_id).response

    def close(self) -> None:
        """Do nothing; there is no connection."""
