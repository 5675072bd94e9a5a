"""Every exception and warning of Targetry, drawn before it is coded:

    TargetError
    ├── OptionError (ValueError)              an option or a request is wrong; `path` names the field
    ├── ArtifactError                         an artifact cannot be used; `reason` says why
    │   └── ArtifactVersionError              its major version is not ours
    ├── NotReadyError                         on-device decision asked for before an artifact is there
    ├── ClosedError                           the client was closed
    ├── NoThreadError                         the system gives no thread; the next call tries again
    ├── AttributeNotFoundError (LookupError)  AttributesProvider has no such mbox or key
    └── ApiException (OpenApiException)       the Delivery API, or the way to it, failed; `status`, `body`
        └── TransportError                    no answer was had: `status` is 0, the cause is chained
            └── DeadlineError (TimeoutError)  not within the time that was asked for

    TargetryWarning (UserWarning)             accepted, but probably not what was meant

Texts of the official package are kept where it has one (spec/client.md §4), so code that matches
on them goes on working; everything derives from `Exception` as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any


class TargetError(Exception):
    """Root of everything that Targetry raises on purpose."""


class OptionError(TargetError, ValueError):
    """An option, or a field of a request, does not hold what it must.

    `path` names the field (`request.execute.mboxes[1].name`), `reason` what is wrong with it.
    Where the official package has a text for the mistake, `str()` is exactly that text; elsewhere it is
    `<path>: <reason>`.
    """

    def __init__(self, path: str, reason: str, text: str | None = None) -> None:
        super().__init__(text if text is not None else f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, str, str]]:
        return type(self), (self.path, self.reason, str(self))


class ArtifactError(TargetError):
    """An artifact is not JSON, not of the artifact's shape, too large or too deep."""

    @property
    def reason(self) -> str:
        """What is wrong, without the source it came from."""
        return str(self)


class ArtifactVersionError(ArtifactError):
    """The artifact's major version is not the one that this library reads (spec/decisioning.md §2.5)."""


class NotReadyError(TargetError):
    """An on-device decision was asked for, and there is no artifact yet."""


class ClosedError(TargetError):
    """The client was closed before this call."""


class NoThreadError(TargetError):
    """The system gave no thread for what cannot be done without one. Nothing was begun; try again later."""


class AttributeNotFoundError(TargetError, LookupError):
    """`AttributesProvider.get_value` was asked for an mbox or key that the offers do not hold."""


class MissingExtraError(TargetError, ImportError):
    """A package of an optional extra of Targetry is not installed; `name` is the package, `extra` the extra."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package}: pip install 'targetry[{extra}]'", name=package)
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str | None, str]]:
        return type(self), (self.name, self.extra)


class OpenApiException(Exception):  # noqa: N818  the official name
    """Base class that the official `delivery_api_client` gives its exceptions."""


class ApiException(TargetError, OpenApiException):  # noqa: N818  the official name
    """The Delivery API answered with an error, or with something that is no answer.

    `status` is the HTTP status (0 when there was none), `reason` its text, `body` the answer's text and
    `headers` its headers, as in the official package.
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
        """Store the fields, or read them from a response with `status`, `reason`, `data` and `getheaders()`."""
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
    """No answer was had: refused, reset, unresolved, TLS, or cut short. `status` is 0.

    `unsent` tells that nothing of the request can have reached the service, so that it is safe to send again.
    """

    unsent = False


class DeadlineError(TransportError, TimeoutError):
    """No answer within the time that was asked for."""


class TargetryWarning(UserWarning):
    """Something was accepted that is probably not what was meant; the text says what to write instead."""
