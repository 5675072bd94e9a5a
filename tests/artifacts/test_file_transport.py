from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.background_fakes import Lines, Listener, Rules, compile_rules
from targetry.artifacts.file_transport import FileTransport
from targetry.artifacts.source import ArtifactSource
from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest, HttpResponse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_bytes(b"v1")
    return path


def ask(path: Path, max_bytes: int | None = None, **headers: str) -> HttpResponse:
    request = HttpRequest(
        "GET", path.as_uri(), {name.replace("_", "-"): value for name, value in headers.items()}
    )
    return FileTransport(path).send(request, timeout=1, max_bytes=max_bytes)


def test_response_is_the_file() -> None:
    response = ask(Path(__file__))
    assert (response.status, response.body) == (200, Path(__file__).read_bytes())


def test_unchanged_file_is_not_read_again(path: Path) -> None:
    etag = ask(path).headers["etag"]
    assert ask(path, if_none_match=etag).status == 304


@pytest.mark.parametrize("change", ["content", "time", "file"])
def test_changed_file_is_loaded_again(change: str, path: Path) -> None:
    etag = ask(path).headers["etag"]
    if change == "content":
        path.write_bytes(b"v20")
    elif change == "time":
        os.utime(path, (1, 1))
    else:
        other = path.with_name("other")
        other.write_bytes(b"v2")
        os.replace(other, path)
    assert ask(path, if_none_match=etag).status == 200


def test_file_beyond_the_limit_is_not_read_to_its_end(path: Path) -> None:
    path.write_bytes(b"x" * 1000)
    assert len(ask(path, max_bytes=10).body) == 11


def test_missing_file_is_a_transport_error(tmp_path: Path) -> None:
    with pytest.raises(TransportError) as caught:
        ask(tmp_path / "nowhere.json")
    assert "nowhere.json cannot be read" in str(caught.value.reason)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_or_folder_is_a_transport_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(TransportError, match="is not a file"):
            ask(path)


def test_source_follows_a_file_through_its_absence(path: Path) -> None:
    listener = Listener()
    source = ArtifactSource[Rules](
        transport=FileTransport(path),
        url=path.as_uri(),
        compile=compile_rules,
        emit=listener,
        log=Lines(),
        interval_s=0.002,
    )
    source.start()
    assert source.wait_ready(10)
    path.unlink()
    listener.wait_for("artifact_download_failed")
    path.write_bytes(b"v2")
    listener.wait_for("artifact_download_succeeded", 2)
    assert source.close(10)
    assert source.current is not None
    assert source.current.name == "v2"
