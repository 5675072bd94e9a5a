"""Endpoint of `rules.json` and `rules.bin`, with an etag and the location of the client."""

from __future__ import annotations

import asyncio
from typing import Final

from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.http.access_policy import Headers
from targetry.edge.http.entity_tags import is_known_tag
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.response import GZIP, JSON, VARY_ENCODING_AND_ORIGIN, EdgeResponse

_BINARY: Final = (b"content-type", b"application/octet-stream")


async def respond_with_artifact(
    artifact: LoadedArtifact, file: str, *, known_tags: str, accepts_gzip: bool, geo: Headers
) -> EdgeResponse:
    """Return an artifact, or 304 if the client has it.

    Args:
        artifact: The artifact.
        file: `rules.json` or `rules.bin`.
        known_tags: Value of `if-none-match`.
        accepts_gzip: Whether the client accepts a compressed body.
        geo: Headers with the location of the client.

    Raises:
        RequestRejected: 404, `rules.bin` of an artifact without an organization.
    """
    etag = f'{artifact.etag[:-1]}{file[5:]}"'
    headers = (
        (b"etag", etag.encode()),
        (b"cache-control", b"no-cache"),
        VARY_ENCODING_AND_ORIGIN,
        *geo,
    )
    if is_known_tag(etag, known_tags):
        return EdgeResponse(304, b"", headers)
    if file == "rules.bin":
        obfuscated = await asyncio.to_thread(lambda: artifact.obfuscated)
        if obfuscated is None:
            message = "rules.bin needs the organization (option --organization-id); rules.json is served"
            raise RequestRejected(404, message)
        return EdgeResponse(200, obfuscated, (_BINARY, *headers))
    if not accepts_gzip:
        return EdgeResponse(200, artifact.text, (JSON, *headers))
    return EdgeResponse(200, await asyncio.to_thread(lambda: artifact.gzipped), (JSON, *headers, GZIP))
