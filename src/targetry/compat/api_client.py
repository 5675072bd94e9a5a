"""Delivery API client of the official `delivery_api_client`: JSON of models, and one POST.

Applications should use `TargetClient`; this client neither completes requests nor routes them. Of
the generated client it has the parts that callers use: `ApiClient.sanitize_for_serialization` and
`deserialize`, `DeliveryApi.execute`, and the host.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlencode

import msgspec

from targetry import models
from targetry._client.pipeline import SDK_HEADERS
from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry.compat.api_errors import ApiTypeError, ApiValueError
from targetry.delivery.headers import ResponseHeaders
from targetry.delivery.response import parse_response
from targetry.errors import DeadlineError
from targetry.http import HttpTransport
from targetry.http.protocol import HttpRequest, Transport
from targetry.models import ConstraintError, DeliveryRequest, DeliveryResponse, Model

_TIMEOUT_S: Final = 3.0
_MODELS: Final[dict[str, type[Model]]] = {
    name: value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type) and issubclass(value, Model)
}


class RawResponse(Protocol):
    """Response that `deserialize` reads: any object with the JSON text as `data`."""

    @property
    def data(self) -> str | bytes: ...


class Configuration:
    """Address of the API: `host` with its scheme, a proxy's URL, and a file of certificates.

    Other attributes of the official class cannot be set, because they would have no effect.
    """

    __slots__ = ("host", "proxy", "ssl_ca_cert")

    def __init__(
        self, host: str | None = None, *, proxy: str | None = None, ssl_ca_cert: str | None = None
    ) -> None:
        self.host = host
        self.proxy = proxy
        self.ssl_ca_cert = ssl_ca_cert


class ApiClient:
    """Converter of models and JSON, with the connections of `DeliveryApi`; a context manager."""

    __slots__ = ("_transport", "configuration", "default_headers")

    def __init__(
        self,
        configuration: Configuration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        self.configuration = configuration or Configuration()
        self.default_headers = {} if header_name is None else {header_name: header_value or ""}
        self._transport = transport

    def set_default_header(self, header_name: str, header_value: str) -> None:
        """Send this header with every request."""
        self.default_headers[header_name] = header_value

    @property
    def transport(self) -> Transport:
        """Transport of the requests, created at its first use."""
        if self._transport is None:
            ca_bundle, proxy = self.configuration.ssl_ca_cert, self.configuration.proxy
            self._transport = HttpTransport(ca_bundle=ca_bundle, proxy=proxy)
        return self._transport

    def sanitize_for_serialization(self, obj: Any) -> Any:
        """Return plain JSON values: models in the wire's form, without unset fields.

        Raises:
            ApiValueError: There is no such form.
        """
        if isinstance(obj, Model):
            try:
                return json.loads(obj.to_json())
            except ConstraintError as error:
                raise ApiValueError(str(error)) from error
        if isinstance(obj, list | tuple):
            return [self.sanitize_for_serialization(item) for item in obj]
        if isinstance(obj, Mapping):
            return {key: self.sanitize_for_serialization(item) for key, item in obj.items()}
        if isinstance(obj, Enum):
            return obj.value
        return obj.isoformat() if hasattr(obj, "isoformat") else obj

    def deserialize(self, response: RawResponse, response_type: str | type[Model]) -> Any:
        """Return the model in the JSON text `response.data`.

        Args:
            response: An object with the text as `data`.
            response_type: A model, by class or name, `list[…]` or `dict(str, …)` of one, or
                `object`.

        Raises:
            ApiValueError: The text is not JSON or does not fit, or the type is none of these.
        """
        try:
            return _read(json.loads(response.data), response_type)
        except ApiValueError:
            raise
        except ValueError as error:
            raise ApiValueError(f"cannot be read as {_shown(response_type)}: {error}") from error

    def close(self) -> None:
        """Close the connections. It can be called twice."""
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DeliveryApi:
    """Operation of the API."""

    def __init__(self, api_client: ApiClient | None = None) -> None:
        self.api_client = api_client or ApiClient()

    def execute(
        self,
        ims_org_id: str,
        session_id: str,
        delivery_request: DeliveryRequest | Mapping[str, Any],
        *,
        version: str | None = None,
        _request_timeout: float | None = None,
    ) -> DeliveryResponse:
        """Post a request as it is, within `_request_timeout` seconds (3 by default).

        Raises:
            ApiException: The call failed.
            ApiValueError: The request or the response is not valid.
        """
        return self.execute_with_http_info(
            ims_org_id, session_id, delivery_request, version=version, _request_timeout=_request_timeout
        )[0]

    def execute_with_http_info(
        self,
        ims_org_id: str,
        session_id: str,
        delivery_request: DeliveryRequest | Mapping[str, Any],
        *,
        version: str | None = None,
        _request_timeout: float | None = None,
    ) -> tuple[DeliveryResponse, int, dict[str, str]]:
        """Post a request as `execute`, and return status and headers, too."""
        client = self.api_client
        if not client.configuration.host:
            raise ApiTypeError("Configuration.host is needed: https://<client>.tt.omtrdc.net")
        query = {"imsOrgId": ims_org_id, "sessionId": session_id} | ({"version": version} if version else {})
        url = f"{client.configuration.host.rstrip('/')}/rest/v1/delivery?{urlencode(query)}"
        body = msgspec.json.encode(client.sanitize_for_serialization(delivery_request))
        timeout = _TIMEOUT_S if _request_timeout is None else _request_timeout
        ends_at = time.monotonic() + timeout

        def check() -> None:
            if time.monotonic() > ends_at:
                raise DeadlineError(reason=f"no result within {timeout:g} s (while decoding the response)")

        answer = client.transport.send(
            HttpRequest("POST", url, {**SDK_HEADERS, **client.default_headers}, body),
            timeout=timeout,
            max_bytes=MAX_DOCUMENT_BYTES,
        )
        response = parse_response(answer, check)
        check()
        return response, answer.status, ResponseHeaders(answer.headers)


def _read(value: Any, kind: str | type[Model]) -> Any:
    if value is None or kind == "object":
        return value
    if isinstance(kind, type):
        return kind.from_dict(value)
    if kind.startswith("list[") and isinstance(value, list):
        return [_read(item, kind[5:-1]) for item in value]
    if kind.startswith("dict(str, ") and isinstance(value, dict):
        return {key: _read(item, kind[10:-1]) for key, item in value.items()}
    if kind in _MODELS:
        return _MODELS[kind].from_dict(value)
    raise ApiValueError(f"{type(value).__name__} cannot be read as {kind}")


def _shown(kind: str | type[Model]) -> str:
    return kind if isinstance(kind, str) else kind.__name__
