"""Artifacts as commands take them: of a file, stdin, a URL, a git revision, or Adobe's CDN."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry.cli.rendering.output import console
from targetry.device.artifact import artifact_text
from targetry.device.obfuscation import is_obfuscated
from targetry.errors import ArtifactError, TargetError

STDIN: Final = "-"
GIT: Final = "git:"
"""Beginning of a file or folder of a git revision: `git:REF:PATH`."""

_Bytes = TypeVar("_Bytes", bytes, bytearray)
_PIECE: Final = 1024 * 1024
_TIMEOUT_S: Final = 60.0


class SourceError(TargetError):
    """An artifact cannot be read or used; the message has its name and the reason."""


def read_bytes(source: str, name: str | None = None) -> bytes:
    """Return the bytes of a file, of stdin (`-`), of an http or https URL, or of a git revision.

    Args:
        source: The path, `-`, the URL, or `git:REF:FILE`.
        name: Name for errors. Default: the source.

    Raises:
        SourceError: It cannot be read, or is too large.
    """
    name = name or source_name(source)
    if is_url(source):
        return download(source)
    if source.startswith(GIT):
        from targetry.cli.inputs.git_revision import file_at

        return _bounded(file_at(*split_revision(source)), name)
    try:
        if source == STDIN:
            return _read_all(sys.stdin.buffer, name)
        with Path(source).open("rb") as file:
            return _read_all(file, name)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SourceError(f"{name}: {reason}") from error


def split_revision(source: str) -> tuple[str, str]:
    """Return the revision and the path of `git:REF:PATH`. Raises `SourceError`."""
    revision, colon, path = source.removeprefix(GIT).rpartition(":")
    if not colon or not path:
        raise SourceError(f"{source!r} is not of the form git:REF:PATH; give a revision and a path")
    return revision, path


def source_name(source: str) -> str:
    """Return the name that errors give a source."""
    return "stdin" if source == STDIN else source


def is_url(source: str) -> bool:
    """Return whether a source is a URL."""
    return source.startswith(("http://", "https://"))


def download(url: str) -> bytes:
    """Return the artifact at a URL; show progress on terminals. Raises `SourceError`."""
    from targetry.artifacts.fetch import Downloaded, Failed, fetch
    from targetry.http.protocol import shown_url
    from targetry.http.sync_transport import HttpTransport

    transport = HttpTransport()
    try:
        out = console(stderr=True)
        with out.status(f"requesting {shown_url(url)}"):
            outcome = fetch(
                transport, url, etag=None, timeout_s=_TIMEOUT_S, max_bytes=MAX_DOCUMENT_BYTES, now=time.time()
            )
    finally:
        transport.close()
    if isinstance(outcome, Downloaded):
        if outcome.body.lstrip()[:1] == b"<":
            raise SourceError(
                f"{shown_url(url)}: this is a page and no artifact; add the path of the artifact, for an edge "
                "/CLIENT/production/v1/rules.json"
            )
        return outcome.body
    reason = str(outcome.error) if isinstance(outcome, Failed) else "it has no content"
    raise SourceError(f"{shown_url(url)}: {reason}")


def read_text(source: str, organization_id: str | None = None) -> bytes:
    """Return the JSON text of an artifact at a source, as `read_bytes` reads it.

    Raises:
        SourceError: It cannot be read, is no artifact, or needs the organization.
    """
    data, name = read_bytes(source), source_name(source)
    if is_obfuscated(data) and organization_id is None:
        raise SourceError(f"{name}: the artifact is obfuscated, so --organization-id is needed")
    try:
        return artifact_text(data, organization_id=organization_id)
    except ArtifactError as error:
        raise SourceError(f"{name}: {error}") from error


def _read_all(file: BinaryIO, name: str) -> bytes:
    """Read in pieces, so that Ctrl-C works and an endless pipe is an error."""
    data = bytearray()
    while piece := file.read1(_PIECE):  # type: ignore[attr-defined]  # which every binary file has but its protocol lacks
        data += piece
        _bounded(data, name)
    return bytes(data)


def _bounded(data: _Bytes, name: str) -> _Bytes:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise SourceError(f"{name}: larger than {MAX_DOCUMENT_BYTES // 1024 // 1024} MiB")
    return data
