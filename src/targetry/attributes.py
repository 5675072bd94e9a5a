"""Attributes of JSON offers by mbox, for `get_attributes`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, cast

from msgspec.structs import replace

from targetry._runtime import validators
from targetry.errors import AttributeNotFoundError, OptionError
from targetry.messages import attribute_not_exist
from targetry.models import DeliveryRequest, DeliveryResponse, ExecuteRequest, MboxRequest, OptionType
from targetry.models.containers import read_iterable
from targetry.models.scalars import plain_text

_MISSING: Final = object()


class AttributesProvider:
    """Keys of all JSON offers in one result of `get_offers`, by mbox.

    `offers_response` is that result and `indexed` the attributes: mbox name → key → value. If
    several offers of an mbox have the same key, the last wins, and execute wins over prefetch. An
    mbox without a JSON object among its offers is absent.
    """

    def __init__(self, offers_response: Mapping[str, Any] | None) -> None:
        self.offers_response = offers_response
        self.indexed = _indexed(offers_response.get("response") if offers_response else None)

    def get_value(self, mbox_name: str, key: str, default: Any = _MISSING) -> Any:
        """Return one attribute.

        Args:
            mbox_name: The mbox.
            key: The key in its JSON offers.
            default: Returned if there is no such attribute.

        Raises:
            AttributeNotFoundError: There is none, and no default.
        """
        try:
            return self.indexed[mbox_name][key]
        except KeyError:
            if default is not _MISSING:
                return default
        raise AttributeNotFoundError(attribute_not_exist(key, mbox_name))

    def as_object(self, mbox_name: str | None = None) -> dict[str, Any] | None:
        """Return the attributes of one mbox (None if it has none), or without a name those of all.

        The dicts are copies, as in the Node SDK; lists and dicts in them are those of the result.
        """
        if mbox_name is None:
            return {name: dict(attributes) for name, attributes in self.indexed.items()}
        attributes = self.indexed.get(mbox_name)
        return None if attributes is None else dict(attributes)

    def get_response(self) -> Mapping[str, Any] | None:
        """Return the result of `get_offers` that the attributes were read from."""
        return self.offers_response

    def __repr__(self) -> str:
        return f"AttributesProvider({list(self.indexed)})"


def with_mboxes(request: DeliveryRequest | None, mbox_names: Iterable[str]) -> DeliveryRequest:
    """Return a request with additional mboxes in `execute`, except those that it has already.

    The given request is not changed; the new one shares the equal parts. A name listed twice is
    requested once (the official package requests it, and counts an impression, twice). Indexes
    continue from the highest in execute, where an mbox without one counts as its position; without
    any they start with 1.
    """
    request = DeliveryRequest() if request is None else request
    execute = request.execute or ExecuteRequest()
    mboxes = execute.mboxes or []
    prefetched = (request.prefetch and request.prefetch.mboxes) or []
    known = {mbox.name for mbox in chain(prefetched, mboxes)}
    names = [name for name in dict.fromkeys(mbox_names) if name not in known]
    if not names:
        return request
    highest = max((n if mbox.index is None else mbox.index for n, mbox in enumerate(mboxes)), default=0)
    added = [MboxRequest(index=n, name=name) for n, name in enumerate(names, highest + 1)]
    return replace(request, execute=replace(execute, mboxes=[*mboxes, *added]))


def checked_names(mbox_names: object) -> Sequence[str]:
    """Return the names given to `get_attributes`, a list or another iterable of texts.

    Raises:
        OptionError: A name is not a text or is empty, or the names are not iterable.
    """
    if isinstance(mbox_names, (str, bytes)) or not isinstance(mbox_names, Iterable):
        raise OptionError("mbox_names", f"must be a list of mbox names, not {type(mbox_names).__name__}")
    names = [plain_text(name) for name in validators.convert("mbox_names", read_iterable, mbox_names)]
    for n, name in enumerate(names):
        if not name:
            raise OptionError(f"mbox_names[{n}]", "must be a str that is not empty")
    return cast(list[str], names)


def _indexed(response: DeliveryResponse | None) -> dict[str, dict[str, Any]]:
    indexed: dict[str, dict[str, Any]] = {}
    parts = (response.prefetch, response.execute) if response else ()
    for mbox in chain.from_iterable((part and part.mboxes) or () for part in parts):
        for option in mbox.options or ():
            content = option.content
            if mbox.name and option.type == OptionType.JSON and isinstance(content, dict) and content:
                indexed.setdefault(mbox.name, {}).update(content)
    return indexed
