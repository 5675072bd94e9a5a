"""Disk cache: the last usable artifact, for the next start.

One file per artifact URL: a line of JSON as header, then the artifact's bytes as downloaded. The
file is replaced in one step, so a reader in this or another process sees the old copy or the new
one. A copy that does not match its header is not used.

The file is private to the user (mode 0600). Nothing here raises: a failure is logged through `warn`
and has the effect of no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from targetry._runtime.files import UntrustedFileError, check_folder, make_folder, open_private

_FORMAT: Final = 2
_LONGEST_HEADER: Final = 64 * 1024
_ABANDONED_S: Final = 3600.0

Warn = Callable[[str, str], None]  # (kind, text)


class SavedArtifact(msgspec.Struct, frozen=True):
    """A cached artifact: bytes, `ETag` and time of the download in epoch seconds."""

    body: bytes
    etag: str | None
    saved_at: float


class _Header(msgspec.Struct, frozen=True):
    """The first line of a file; `url` is a SHA-256 hash, as a URL can contain a password."""

    format: int
    url: str
    sha256: str
    size: int
    saved_at: float
    etag: str | None = None


_decode_header = msgspec.json.Decoder(_Header).decode


class DiskCache:
    """The copy of the artifact at `url` in `folder`, which is created at the first write."""

    def __init__(self, folder: str | os.PathLike[str], url: str, *, max_bytes: int, warn: Warn) -> None:
        self._url = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        name = self._url[:16]
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._warn = warn
        self._writable = True
        self.path = self._folder / f"targetry-{name}.artifact"
        self.refused_path = self._folder / f"targetry-{name}.refused"

    def load(self) -> SavedArtifact | None:
        """Return the copy, None if there is no valid one."""
        try:
            check_folder(self._folder)
            with open(open_private(self.path, os.O_RDONLY), "rb") as file:
                line = file.readline(_LONGEST_HEADER)
                body = file.read(self._max_bytes + 1)
        except FileNotFoundError:
            return None
        except UntrustedFileError as error:
            self._ignore(str(error))
            return None
        except (OSError, ValueError) as error:
            self._warn("cache-read", f"The artifact copy {self.path} cannot be read: {error}")
            return None
        return self._verified(line, body)

    def save(self, body: bytes, etag: str | None, saved_at: float) -> bool:
        """Replace the copy; return whether that succeeded.

        Consecutive failures to write are logged once.

        Args:
            body: The artifact's bytes.
            etag: The `ETag` of the response.
            saved_at: Time of the download, epoch seconds.
        """
        header = _Header(_FORMAT, self._url, hashlib.sha256(body).hexdigest(), len(body), saved_at, etag)
        return self._write(self.path, msgspec.json.encode(header) + b"\n" + body)

    def save_refused(self, body: bytes) -> bool:
        """Save the bytes of an unusable artifact for inspection."""
        return self._write(self.refused_path, body)

    def _verified(self, line: bytes, body: bytes) -> SavedArtifact | None:
        header = _header(line)
        flaw = "it has no header" if header is None else self._flaw(header, body)
        if header is None or flaw is not None:
            self._ignore(flaw)
            return None
        return SavedArtifact(body, header.etag, header.saved_at)

    def _ignore(self, flaw: str | None) -> None:
        self._warn("cache-read", f"The artifact copy {self.path} is ignored: {flaw}")

    def _flaw(self, header: _Header, body: bytes) -> str | None:
        if header.format != _FORMAT:
            return f"it has format {header.format}, not {_FORMAT}"
        if header.url != self._url:
            return "it belongs to another URL"
        if header.size > self._max_bytes:
            return f"it is larger than {self._max_bytes} bytes"
        if len(body) != header.size or hashlib.sha256(body).hexdigest() != header.sha256:
            return "it is damaged"
        return None

    def _write(self, path: Path, content: bytes) -> bool:
        try:
            make_folder(self._folder)
            _replace(path, content)
        except (OSError, ValueError) as error:  # ValueError: not a valid file name
            if self._writable:
                self._warn("cache-write", f"The artifact cannot be saved in {self._folder}: {error}")
            self._writable = False
            return False
        self._writable = True
        return True


def _header(line: bytes) -> _Header | None:
    try:
        return _decode_header(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _replace(path: Path, content: bytes) -> None:
    """Write a temporary file, synchronize it and rename it, so `path` is never incomplete."""
    _remove_abandoned(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files of processes that were killed while writing."""
    for abandoned in path.parent.glob(f".{path.name}-*"):
        with contextlib.suppress(OSError):
            if time.time() - abandoned.stat().st_mtime > _ABANDONED_S:
                abandoned.unlink()
