"""Visitor of a page request on the server: AMCV cookie, customer ids, SDIDs and state.

The object does no I/O and makes no ECID. Cookies never raise; arguments of the application are
checked, and an error has the path of the wrong field. docs/visitor.md describes the behavior.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from threading import RLock
from typing import Any, Protocol, TypeAlias, cast
from urllib.parse import quote, unquote

from targetry._runtime import validators
from targetry._runtime.ids import system_random
from targetry.errors import OptionError
from targetry.models import AuthenticatedState, CustomerId
from targetry.models.constraint import MAX_ID_LENGTH, ConstraintError
from targetry.models.containers import read_mapping, read_sequence
from targetry.models.field_names import values_by_field
from targetry.models.reading import kind_of
from targetry.models.scalars import plain_number, plain_text

DEFAULT_CONSUMER_ID = "target-global-mbox"

CustomerIdsInput: TypeAlias = Mapping[str, Any] | Sequence[CustomerId | Mapping[str, Any]]

_AMCV_FIELDS = frozenset({"MCMID", "MCAAMB", "MCAAMLH"})
_LONGEST_COOKIE = 8 * 1024
_LONGEST_INTEGRATION_CODE = 50
_MOST_CUSTOMER_IDS = 50


class AuthState(IntEnum):
    """Authentication states of a customer id, numbered as by the ID service."""

    UNKNOWN = 0
    AUTHENTICATED = 1
    LOGGED_OUT = 2


_AUTHENTICATED_STATES = {  # authState → authenticatedState of the Delivery API
    AuthState.UNKNOWN: AuthenticatedState.UNKNOWN,
    AuthState.AUTHENTICATED: AuthenticatedState.AUTHENTICATED,
    AuthState.LOGGED_OUT: AuthenticatedState.LOGGED_OUT,
}
_AUTH_STATES = {str(value): int(key) for key, value in _AUTHENTICATED_STATES.items()}

_STATE_KEYS = {  # spelling of the 1.1.0 package → spelling of the page's JavaScript
    "customer_ids": "customerIDs",
    "auth_state": "authState",
    "supplemental_data_id_current": "supplementalDataIDCurrent",
    "supplemental_data_id_current_consumed": "supplementalDataIDCurrentConsumed",
    "supplemental_data_id_last": "supplementalDataIDLast",
    "supplemental_data_id_last_consumed": "supplementalDataIDLastConsumed",
}
_SCRIPT_ESCAPES = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


def generate_sdid() -> str:
    """Return a new SDID: 16 upper-case hexadecimal digits, a hyphen, 16 more."""
    return f"{system_random.getrandbits(63):016X}-{system_random.getrandbits(63):016X}"


class VisitorLike(Protocol):
    """Interface of the option `visitor`."""

    def get_visitor_values(self) -> Mapping[str, str]:
        """Return `MCMID` (the ECID), `MCAAMLH` and `MCAAMB` (Audience Manager) as known."""

    def get_state(self) -> Mapping[str, Any]:
        """Return the state for the page: organization id → `customerIDs` and `sdid`."""

    def get_supplemental_data_id(self, consumer_id: str) -> str:
        """Return the SDID for one consumer."""


class Visitor:
    """Visitor known by an AMCV cookie and customer ids; can be shared between threads.

    Args:
        organization_id: The Experience Cloud organization id.
        amcv_cookie: The value of the cookie that `get_cookie_name` names.
        customer_ids: A list of `CustomerId` or their dicts, or a mapping from integration code
            to id or entry.
        sdid_factory: Makes the SDIDs.

    Raises:
        TypeError: The cookie is neither text nor None.
        OptionError: The organization id or a customer id is wrong.
    """

    __slots__ = ("_customer_ids", "_lock", "_new_sdid", "_organization_id", "_sdid", "_values")

    def __init__(
        self,
        organization_id: str,
        amcv_cookie: str | None = None,
        customer_ids: CustomerIdsInput | None = None,
        *,
        sdid_factory: Callable[[], str] = generate_sdid,
    ) -> None:
        if not isinstance(organization_id, str) or not organization_id:
            raise OptionError("organization_id", "must be a text that is not empty")
        self._organization_id = organization_id
        self._values = parse_amcv(amcv_cookie)
        self._customer_ids: dict[str, dict[str, Any]] | None = None
        self._new_sdid = sdid_factory
        self._sdid: tuple[str, dict[str, bool]] | None = None  # the id, and its consumers
        self._lock = RLock()  # a signal handler can call while it is held
        if customer_ids is not None:
            self.set_customer_ids(customer_ids)

    def __repr__(self) -> str:
        return f"Visitor(organization_id={self._organization_id!r})"

    def get_cookie_name(self) -> str:
        return cookie_name(self._organization_id)

    def get_visitor_values(self) -> dict[str, str]:
        """Return `MCMID`, `MCAAMB` and `MCAAMLH` as far as the cookie has them."""
        return dict(self._values)

    def set_customer_ids(self, customer_ids: CustomerIdsInput) -> None:
        """Replace the customer ids; the forms that the constructor accepts are accepted."""
        ids: dict[str, dict[str, Any]] = {}
        for customer_id in parse_customer_ids(customer_ids):
            state = _AUTH_STATES[str(customer_id.authenticated_state)]
            ids[str(customer_id.integration_code)] = {"id": customer_id.id, "authState": state}
        self._customer_ids = ids

    def get_supplemental_data_id(self, consumer_id: str | None = DEFAULT_CONSUMER_ID) -> str:
        """Return the current SDID, a new one if the consumer has already received the current one.

        Other consumers then share the new one. None and the empty text mean `target-global-mbox`.
        """
        consumer = f"payload:{consumer_id or DEFAULT_CONSUMER_ID}"
        with self._lock:
            while True:
                before = self._sdid
                if before is not None and consumer not in before[1]:
                    sdid, consumed = before
                else:
                    sdid, consumed = self._new_sdid(), {}
                if self._sdid is before:  # else a signal handler has called meanwhile
                    self._sdid = sdid, {**consumed, consumer: True}
                    return sdid

    def get_state(self) -> dict[str, Any]:
        """Return a copy of the state as `Visitor.getInstance(org, {serverState})` reads it."""
        state: dict[str, Any] = {}
        with self._lock:
            if self._customer_ids is not None:
                state["customerIDs"] = {code: dict(entry) for code, entry in self._customer_ids.items()}
            if self._sdid is not None:
                state["sdid"] = {
                    "supplementalDataIDCurrent": self._sdid[0],
                    "supplementalDataIDCurrentConsumed": dict(self._sdid[1]),
                    "supplementalDataIDLastConsumed": {},
                }
        return {self._organization_id: state}


def resolve_visitor(
    organization_id: str,
    *,
    visitor: object | None = None,
    visitor_cookie: str | None = None,
    customer_ids: CustomerIdsInput | None = None,
) -> VisitorLike | None:
    """Return the visitor of a call, None if its options name none.

    A `visitor` takes precedence; customer ids of the call replace its own when the request is
    prepared. Otherwise a cookie or customer ids make a new `Visitor`.
    """
    if visitor is not None:
        return check_visitor(visitor)
    if not visitor_cookie and customer_ids is None:
        return None
    return Visitor(organization_id, visitor_cookie, customer_ids)


def check_visitor(visitor: object) -> VisitorLike:
    """Return the object; raise `OptionError` if it lacks a method of `VisitorLike`."""
    for method in ("get_visitor_values", "get_state", "get_supplemental_data_id"):
        if not callable(getattr(visitor, method, None)):
            raise OptionError("visitor", f"has no method {method}()")
    return cast(VisitorLike, visitor)


def cookie_name(organization_id: str, *, encoded: bool = False) -> str:
    """Return the name of the AMCV cookie, as it is or percent-encoded.

    Browsers mostly hold the encoded name; look for both.
    """
    return "AMCV_" + (quote(organization_id, safe="") if encoded else organization_id)


def parse_amcv(value: str | None) -> dict[str, str]:
    """Read `MCMID`, `MCAAMB` and `MCAAMLH` from an AMCV cookie; unreadable fields are absent.

    Raises:
        TypeError: The value is neither text nor None.
    """
    if value is None:
        return {}
    if not isinstance(value, str):
        raise TypeError(f"visitor_cookie: must be a str or None, not {type(value).__name__}")
    if len(value) > _LONGEST_COOKIE:
        return {}
    tokens = unquote(value).encode("utf-8", "replace").decode("utf-8").split("|")
    if _is_digest(tokens[0], odd=len(tokens) % 2 == 1):
        del tokens[0]
    fields = {}
    for key, text in zip(tokens[::2], tokens[1::2], strict=False):
        name = key.partition("-")[0]
        if name in _AMCV_FIELDS:
            fields[name] = text
    return {name: text for name, text in fields.items() if _is_present(name, text)}


def parse_customer_ids(value: object, path: str = "customer_ids") -> list[CustomerId]:
    """Return customer ids of any accepted form as a new list of `CustomerId`.

    Entries without an id are left out.

    Raises:
        OptionError: The form, an id, a state or an integration code is wrong; with its path.
    """
    if (entries := validators.convert(path, read_mapping, value)) is not None:
        found = [
            _from_entry(code, entry, f"{path}.{code}")
            for code, entry in entries.items()
            if not validators.is_false(entry)
        ]
    elif (items := validators.convert(path, read_sequence, value)) is not None:
        found = [_from_model(item, f"{path}[{n}]") for n, item in enumerate(items) if item is not None]
    else:
        raise OptionError(
            path, "must be a list of CustomerId or dicts, or a mapping from integration code to id"
        )
    ids = [customer_id for customer_id in found if customer_id is not None]
    if len(ids) > _MOST_CUSTOMER_IDS:
        raise OptionError(path, f"must not hold more than {_MOST_CUSTOMER_IDS} ids")
    return ids


def customer_ids_of_state(state: object) -> list[CustomerId]:
    """Return the customer ids of the first organization in a state, in either spelling."""
    if not isinstance(state, Mapping):
        return []
    first = next(iter(state.values()), None)
    if not isinstance(first, Mapping):
        return []
    ids = first.get("customerIDs") or first.get("customer_ids")
    return parse_customer_ids(ids, "visitor.customer_ids") if ids else []


def visitor_state_json(state: Mapping[str, Any] | None) -> str:
    """Return a visitor's state as JSON that is safe inside `<script>`, in JavaScript's spelling.

    Raises:
        OptionError: The state cannot be written as JSON.
    """
    try:
        text = json.dumps({org: _respelled(entry) for org, entry in (state or {}).items()}, allow_nan=False)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise OptionError("visitor_state", f"cannot be written as JSON ({error})") from error
    return text.translate(_SCRIPT_ESCAPES)  # the line separators are escaped already, as all but ASCII is


def _is_digest(token: str, *, odd: bool) -> bool:
    """Return whether the first token is the digest before the pairs.

    It is a signed number; other digits and hyphens count if the pairs do not fit otherwise.
    """
    digits = token.replace("-", "")
    if digits:
        return digits.isascii() and digits.isdigit() and (odd or token.removeprefix("-").isdigit())
    return odd


def _is_present(name: str, text: str) -> bool:
    if not text or text == "NONE":
        return False
    return name != "MCMID" or (text.isascii() and text.isdigit() and len(text) <= MAX_ID_LENGTH)


def _from_entry(code: object, entry: object, path: str) -> CustomerId | None:
    if not isinstance(code, str) or not code:
        raise OptionError(path, "must be named by an integration code that is not empty")
    fields = validators.convert(path, read_mapping, entry)
    if fields is None:
        return _customer_id(code, entry, AuthenticatedState.UNKNOWN, path, path)
    state = _authenticated_state(fields.get("authState", fields.get("auth_state")), f"{path}.authState")
    return _customer_id(code, fields.get("id"), state, path, f"{path}.id")


def _from_model(item: object, path: str) -> CustomerId | None:
    if (
        not isinstance(item, CustomerId)
        and (fields := validators.convert(path, read_mapping, item)) is not None
    ):
        try:
            item = CustomerId(**values_by_field(fields, kind_of(CustomerId), path))
        except ConstraintError as error:
            raise OptionError(error.path, error.reason) from error
    if not isinstance(item, CustomerId):
        raise OptionError(path, f"must be a CustomerId, not {type(item).__name__}")
    given = (
        AuthenticatedState.UNKNOWN
        if validators.is_false(item.authenticated_state)
        else item.authenticated_state
    )
    state = validators.convert(f"{path}.authenticated_state", plain_text, given)
    if state not in _AUTH_STATES:
        raise OptionError(f"{path}.authenticated_state", f"must be one of {', '.join(_AUTH_STATES)}")
    if not isinstance(item.integration_code, str) or not item.integration_code:
        raise OptionError(f"{path}.integration_code", "must be a text that is not empty")
    code_path = f"{path}.integration_code"
    return _customer_id(item.integration_code, item.id, AuthenticatedState(state), code_path, f"{path}.id")


def _authenticated_state(value: object, path: str) -> AuthenticatedState:
    if value is None:
        return AuthenticatedState.UNKNOWN
    if isinstance(value, str) and value in ("0", "1", "2"):
        value = int(value)
    number = validators.convert(path, plain_number, value)
    if number in (0, 1, 2):
        return _AUTHENTICATED_STATES[AuthState(int(number))]
    raise OptionError(path, "must be 0 (unknown), 1 (authenticated) or 2 (logged out)")


def _customer_id(
    code: str, value: object, state: AuthenticatedState, code_path: str, id_path: str
) -> CustomerId | None:
    if value is None:
        return None
    text = validators.any_id(id_path, value)
    if not text:
        return None
    if len(text) > MAX_ID_LENGTH:
        raise OptionError(id_path, f"must not be longer than {MAX_ID_LENGTH} characters")
    if len(code) > _LONGEST_INTEGRATION_CODE:
        raise OptionError(
            code_path, f"the integration code must not be longer than {_LONGEST_INTEGRATION_CODE} characters"
        )
    return CustomerId(id=text, integration_code=code, authenticated_state=state)


def _respelled(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return one organization's state in JavaScript's spelling; names in it stay as they are."""
    state = {_STATE_KEYS.get(key, key): value for key, value in entry.items()}
    if isinstance(ids := state.get("customerIDs"), Mapping):
        state["customerIDs"] = {code: _renamed(value) for code, value in ids.items()}
    if "sdid" in state:
        state["sdid"] = _renamed(state["sdid"])
    return state


def _renamed(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {_STATE_KEYS.get(key, key): inner for key, inner in value.items()}
