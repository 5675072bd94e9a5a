"""Errors inside this package. None of them leaves it: `exchange.failure` translates them."""

from __future__ import annotations


class UnusableError(Exception):
    """A response came, and is not one that can be returned."""


class StaleConnectionError(UnusableError):
    """The connection cannot carry the request; none of the request, or nothing that the server processed, was sent."""


class EarlyDataError(StaleConnectionError):
    """Bytes came that belong to no request."""
