"""An artifact in a file, behind the same seam as one on the network: `artifact_location` may be a path.

The file's identity, size and time of change are its `ETag`, so that polling one that did not change reads nothing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest, HttpResponse


class FileTransport:
    """Answers every request with the bytes of the file at `path`, as it is then."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        """200, or 304 where `if-none-match` says so; `TransportError` when the file cannot be read."""
        try:
            status = self._path.stat()
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
                raise TransportError(reason=f"{self._path} is not a file")
            etag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
            if request.headers.get("if-none-match") == etag:
                return HttpResponse(304, "Not Modified", {"etag": etag}, b"")
            with self._path.open("rb") as file:
                body = file.read(-1 if max_bytes is None else max_bytes + 1)
        except (OSError, ValueError) as error:
            raise TransportError(reason=f"the file {self._path} cannot be read: {error}") from error
        return HttpResponse(200, "OK", {"etag": etag}, body)

    def close(self) -> None:
        """Nothing is kept open."""
