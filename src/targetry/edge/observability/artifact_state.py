"""State of each artifact file, as `/readyz`, `/metrics` and the dashboard report it."""

from __future__ import annotations

import msgspec


class ArtifactState(msgspec.Struct, frozen=True, rename="camel"):
    """The artifact in use, and in `refused` why the file's latest content is not; None if it is.

    `loaded_at` is in epoch seconds.
    """

    name: str
    client: str
    environment: str
    generated_at: str | None
    loaded_at: float
    refused: str | None
