"""Options of the web frameworks: one table for all of them, checked when an application starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import Any, Final, Literal, TypeAlias, TypedDict, cast, get_args

import msgspec

from targetry._runtime import validators
from targetry.errors import OptionError
from targetry.models.containers import read_sequence
from targetry.models.scalars import shown, type_name
from targetry.web.address import Network

CookiePolicy = Literal["used", "always", "never"]
SameSite = Literal["Lax", "Strict", "None"]
ProxyHeader = Literal["x-forwarded-for", "forwarded"]
ImpressionPolicy = Literal["held", "at once"]
OfRequest: TypeAlias = Callable[[Any], Any]
"""Function of the framework's request."""

_NOT_IN_AN_ATTRIBUTE: Final = frozenset(' ;,"\\')
_MOST_ENTRIES: Final = 1000


class WebOptions(TypedDict, total=False):
    """Options of a framework's integration.

    Attributes:
        cookies: `used` (default): set once the visitor's ids were used before the response started;
            `always`; `never`.
        cookie_domain: None (default) for the host alone; `auto` for the registrable domain; or a
            domain. Must equal the `cookieDomain` of at.js, where at.js runs.
        cookie_path: Default `/`.
        cookie_samesite: `Lax` (default), `Strict` or `None`.
        cookie_secure: `auto` (default) for requests by https; True; False.
        cookie_httponly: Default False, because at.js reads the cookies.
        vary: Whether a response whose visitor was used has `Vary: Cookie`; default True.
        accept_ch: Whether responses ask for the client hints of high entropy; default False.
        ip: Pass the visitor's address: `auto` (default) where the Delivery API decides, and on
            device with a `geo_database`; True; False; or a function of the request.
        trusted_proxies: Addresses and networks of the own proxies, whose header names the visitor;
            none by default, so that the header is ignored.
        proxy_header: `x-forwarded-for` (default) or `forwarded`: the one that these proxies write.
        consent: Function of the request that returns a `Consent` or a bool; asked once for each
            request, when the visitor is first used.
        customer_ids: Function of the request that returns the option `customer_ids`.
        parameters: Function of the request that returns mbox parameters of all decisions.
        impressions: `held` (default) until the response starts, and dropped if its status is 500 or
            higher; or `at once`.
        exclude: Prefixes of paths that have no visitor, such as `/static/`.
        openfeature: Whether to set OpenFeature's transaction context; default False.
    """

    cookies: CookiePolicy
    cookie_domain: str | None
    cookie_path: str
    cookie_samesite: SameSite
    cookie_secure: Literal["auto"] | bool
    cookie_httponly: bool
    vary: bool
    accept_ch: bool
    ip: Literal["auto"] | bool | OfRequest
    trusted_proxies: Iterable[str]
    proxy_header: ProxyHeader
    consent: OfRequest | None
    customer_ids: OfRequest | None
    parameters: OfRequest | None
    impressions: ImpressionPolicy
    exclude: Iterable[str]
    openfeature: bool


class WebSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Checked options; see `WebOptions`."""

    cookies: CookiePolicy = "used"
    cookie_domain: str | None = None
    cookie_path: str = "/"
    cookie_samesite: SameSite = "Lax"
    cookie_secure: Literal["auto"] | bool = "auto"
    cookie_httponly: bool = False
    vary: bool = True
    accept_ch: bool = False
    ip: Literal["auto"] | bool | OfRequest = "auto"
    trusted_proxies: tuple[Network, ...] = ()
    proxy_header: ProxyHeader = "x-forwarded-for"
    consent: OfRequest | None = None
    customer_ids: OfRequest | None = None
    parameters: OfRequest | None = None
    impressions: ImpressionPolicy = "held"
    exclude: tuple[str, ...] = ()
    openfeature: bool = False

    def is_excluded(self, path: str) -> bool:
        """Return whether a path has no visitor."""
        return path.startswith(self.exclude) if self.exclude else False


def web_settings(given: Mapping[str, Any]) -> WebSettings:
    """Check the options of a framework's integration.

    Raises:
        OptionError: A value is wrong; `path` is the option's name.
        TypeError: There is no such option.
    """
    for name in given:
        if name not in _CHECKS:
            raise TypeError(f"there is no option {shown(name)}{validators.suggestion(name, _CHECKS)}")
    settings = WebSettings(**{name: _CHECKS[name](name, value) for name, value in given.items()})
    if settings.cookie_samesite == "None" and settings.cookie_secure is False:
        raise OptionError(
            "cookie_secure", "must not be False with cookie_samesite 'None': browsers refuse it"
        )
    return settings


def _one_of(*names: object) -> validators.Check:
    def check(path: str, value: Any) -> Any:
        if isinstance(value, str) and value in names:
            return str(value)
        known = ", ".join(map(repr, names))
        raise OptionError(path, f"must be one of {known}, not {shown(value)}")

    return check


def _same_site(path: str, value: Any) -> SameSite:
    if isinstance(value, str):
        for known in get_args(SameSite):
            if value.lower() == known.lower():
                return cast(SameSite, known)
    raise OptionError(path, f"must be 'Lax', 'Strict' or 'None', not {shown(value)}")


def _boolean(path: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise OptionError(path, f"must be True or False, not {shown(value)}")


def _auto_or_boolean(path: str, value: Any) -> Any:
    return value if value == "auto" else _boolean(path, value)


def _ip(path: str, value: Any) -> Any:
    return value if callable(value) else _auto_or_boolean(path, value)


def _function(path: str, value: Any) -> Any:
    if value is None or callable(value):
        return value
    raise OptionError(path, f"must be a function of the request, not {type_name(value)}")


def _domain(path: str, value: Any) -> str | None:
    if value is None or value == "auto":
        return cast("str | None", value)
    return validators.host(path, value.removeprefix(".") if isinstance(value, str) else value)


def _path(path: str, value: Any) -> str:
    text = validators.text(path, value)
    if not text.startswith("/") or not text.isascii() or not _NOT_IN_AN_ATTRIBUTE.isdisjoint(text):
        raise OptionError(path, f"must be a path like '/shop', not {shown(value)}")
    return text


def _texts(path: str, value: Any) -> list[str]:
    items = None if isinstance(value, str) else validators.convert(path, read_sequence, value)
    if items is None:
        raise OptionError(path, f"must be a list of texts, not {type_name(value)}")
    if len(items) > _MOST_ENTRIES:
        raise OptionError(path, f"must not hold more than {_MOST_ENTRIES} entries")
    return [validators.text(f"{path}[{n}]", item) for n, item in enumerate(items)]


def _prefixes(path: str, value: Any) -> tuple[str, ...]:
    prefixes = _texts(path, value)
    for n, prefix in enumerate(prefixes):
        if not prefix.startswith("/"):
            raise OptionError(f"{path}[{n}]", f"must begin with '/', not {shown(prefix)}")
    return tuple(prefixes)


def _networks(path: str, value: Any) -> tuple[Network, ...]:
    networks = []
    for n, text in enumerate(_texts(path, value)):
        try:
            networks.append(ip_network(text))
        except ValueError:
            reason = f"must be an address or a network like '10.0.0.0/8', not {shown(text)}"
            raise OptionError(f"{path}[{n}]", reason) from None
    return tuple(networks)


_CHECKS: Final[dict[str, validators.Check]] = {
    "cookies": _one_of(*get_args(CookiePolicy)),
    "cookie_domain": _domain,
    "cookie_path": _path,
    "cookie_samesite": _same_site,
    "cookie_secure": _auto_or_boolean,
    "cookie_httponly": _boolean,
    "vary": _boolean,
    "accept_ch": _boolean,
    "ip": _ip,
    "trusted_proxies": _networks,
    "proxy_header": _one_of(*get_args(ProxyHeader)),
    "consent": _function,
    "customer_ids": _function,
    "parameters": _function,
    "impressions": _one_of(*get_args(ImpressionPolicy)),
    "exclude": _prefixes,
    "openfeature": _boolean,
}
