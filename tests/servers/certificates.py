"""Certificate authority for one run, trusted only by clients that get its bundle."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """A certificate authority; `bundle` is the PEM file for clients."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.bundle = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.bundle)

    def server(self, *names: str, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """Return the TLS context of a server with these names; it offers `protocols` (ALPN)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols(list(protocols))
        return context
