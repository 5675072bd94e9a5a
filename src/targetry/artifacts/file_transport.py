"""An artifact in a file, behind the same seam as one on the network: `artifact_location` may be a path.

The file's identity, size and time of change are its `ETag`, so that polling one that did not change reads nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from targetry._runtime.files import NotRegularFileError, file_version, read_file
from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest, HttpResponse


class FileTransport:
    """Answers every request with the bytes of the file at `path`, as it is then."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """200, or 304 where `if-none-match` says so; `TransportError` when the file cannot be read."""
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
        """Nothing is kept open."""
