"""Exceptions and warnings of Targetry.

    TargetError
    ├── OptionError (ValueError)              an option or a request is wrong; `path` names it
    ├── ArtifactError                         an artifact cannot be used; `reason` says why
    │   └── ArtifactVersionError              its major version is not supported
    ├── NotReadyError                         no artifact yet for an on-device decision
    ├── ClosedError                           the client was closed
    ├── NoThreadError                         the system refuses a thread
    ├── AttributeNotFoundError (LookupError)  AttributesProvider has no such mbox or key
    ├── MissingExtraError (ImportError)       a package of an optional extra is not installed
    └── ApiException (OpenApiException)       the Delivery API failed; `status`, `body`
        └── TransportError                    no response was received; `status` is 0
            └── DeadlineError (TimeoutError)  no response within the timeout

    TargetryWarning (UserWarning)             accepted, but probably a mistake

Where the official package has a text for an error, the text is the same, since applications match
on it. All exceptions derive from `Exception`, as they do there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

ErrorCode = Literal[
    "PROVIDER_NOT_READY",
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "GENERAL",
]
"""OpenFeature's codes of errors."""


class TargetError(Exception):
    """Base class of the exceptions that Targetry raises."""


class OptionError(TargetError, ValueError):
    """An option or a field of a request has a wrong value.

    `str()` is the text of the official package if it has one for the mistake, else
    `<path>: <reason>`.

    Attributes:
        path: Name of the field, such as `request.execute.mboxes[1].name`.
        reason: Description of the mistake.
    """

    def __init__(self, path: str, reason: str, text: str | None = None) -> None:
        super().__init__(text if text is not None else f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, str, str]]:
        return type(self), (self.path, self.reason, str(self))


class ArtifactError(TargetError):
    """An artifact is not JSON, has a wrong structure, or is too large or too deep."""

    @property
    def reason(self) -> str:
        """Description of the fault, without the location of the artifact."""
        return str(self)


class ArtifactVersionError(ArtifactError):
    """The major version of the artifact is not 1, the one that this library reads."""


class NotReadyError(TargetError):
    """An on-device decision was requested before an artifact was loaded."""


class ClosedError(TargetError):
    """The client was closed before this call."""


class NoThreadError(TargetError):
    """The system refuses a thread that the operation needs; nothing was started, so try again."""


class AttributeNotFoundError(TargetError, LookupError):
    """The offers do not contain the mbox or the key that `AttributesProvider.get_value` needs."""


class MissingExtraError(TargetError, ImportError):
    """A package of an optional extra is not installed.

    Attributes:
        name: The package.
        extra: The extra of Targetry that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package}: pip install 'targetry[{extra}]'", name=package)
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str | None, str]]:
        return type(self), (self.name, self.extra)


class OpenApiException(Exception):  # noqa: N818  the official name
    """Base class of the exceptions of the official `delivery_api_client`."""


class ApiException(TargetError, OpenApiException):  # noqa: N818  the official name
    """The Delivery API returned an error or an unreadable response.

    Attributes:
        status: HTTP status, 0 if there was none.
        reason: Text of the status.
        body: Body of the response as text.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int = 0,
        reason: str | None = None,
        http_resp: Any = None,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store the fields, or read them from a response of the official package."""
        if http_resp is not None:
            status, reason, body = http_resp.status, http_resp.reason, http_resp.data
            headers = http_resp.getheaders()
        super().__init__(status, reason, body, headers)
        self.status = status
        self.reason = reason
        self.body = body
        self.headers = headers

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            partial(type(self), body=self.body, headers=self.headers),
            (self.status, self.reason),
            vars(self),
        )

    def __str__(self) -> str:
        text = f"({self.status})\nReason: {self.reason}\n"
        if self.headers:
            text += f"HTTP response headers: {self.headers}\n"
        if self.body:
            text += f"HTTP response body: {self.body}\n"
        return text


class TransportError(ApiException):
    """No response was received; the original exception is chained.

    The connection, the name resolution or TLS failed, or the response ended early. `status` is 0.

    Attributes:
        unsent: Whether the service surely received nothing of the request, so that it is safe to
            send it again.
    """

    unsent = False


class DeadlineError(TransportError, TimeoutError):
    """No response was received within the timeout."""


class TargetryWarning(UserWarning):
    """A value is accepted but probably a mistake; the text says how to write it."""
