"""Transport that reads the artifact from a file, for an `artifact_location` that is a path.

Inode, size and modification time of the file are its `ETag`, so polling an unchanged file reads
nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from targetry._runtime.files import NotRegularFileError, file_version, read_file
from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest, HttpResponse


class FileTransport:
    """Responds to each request with the current bytes of the file at `path`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """Return status 200, or 304 if `if-none-match` is the current `ETag`.

        Raises:
            TransportError: The file cannot be read.
        """
        try:
            known, version = request.headers.get("if-none-match"), file_version(self._path)
            if version is not None and version.etag == known:
                return HttpResponse(304, "Not Modified", {"etag": version.etag}, b"")
            body, version = read_file(self._path, max_bytes)
        except NotRegularFileError as error:
            raise TransportError(reason=str(error)) from error
        except (OSError, ValueError) as error:
            raise TransportError(reason=f"the file {self._path} cannot be read: {error}") from error
        return HttpResponse(200, "OK", {"etag": version.etag}, body)

    def close(self) -> None:
        """Do nothing: no file stays open."""
