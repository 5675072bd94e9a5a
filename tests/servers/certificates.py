"""A certificate authority made for each run, which no program trusts without its bundle."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """A certificate authority: `server("localhost")` is for a server, `bundle` the PEM file for its clients."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.bundle = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.bundle)

    def server(self, *names: str, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """Return a context for a server with these names; `protocols` are offered to the client (ALPN)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols(list(protocols))
        return context
