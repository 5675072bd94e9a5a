"""The command as it is started by a shell: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from targetry import __version__

SCRIPT = Path(sys.executable).with_name("targetry")
STARTS = {"python -m targetry": [sys.executable, "-m", "targetry"], "targetry": [str(SCRIPT)]}
started = pytest.mark.parametrize(
    "start",
    [
        pytest.param(
            start,
            marks=pytest.mark.skipif(not Path(start[0]).exists(), reason="the package is not installed"),
        )
        for start in STARTS.values()
    ],
    ids=STARTS,
)


def run(start: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(
        [*start, *arguments], env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )


@started
@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["--version"], 0),
        (["offers", "--mbox", "hero"], 0),
        (["explain", "--mbox", "hero"], 0),
        (["artifact"], 0),
        (["demo"], 0),
        (["artifact", "nowhere.json"], 1),
        (["offers"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_command_starts_and_ends_with_its_exit_code(
    start: list[str], arguments: list[str], exit_code: int
) -> None:
    done = run(start, *arguments)

    assert done.returncode == exit_code
    assert bool(done.stdout) is (exit_code == 0)
    assert bool(done.stderr) is (exit_code != 0)
    assert b"Traceback" not in done.stderr


def test_it_calls_itself_targetry_however_it_is_started() -> None:
    python = STARTS["python -m targetry"]

    assert run(python, "--version").stdout.decode().split() == ["targetry", __version__]
    assert b"Usage: targetry offers" in run(python, "offers", "--help").stdout


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    arguments = ["offers", "--mbox", "delivery-note", "--geo", "country=DE"]
    python = STARTS["python -m targetry"]

    assert b"\\u20ac" in run(python, *arguments, PYTHONIOENCODING="ascii").stdout
    answer = json.loads(run(python, *arguments, "-o", "json", PYTHONIOENCODING="ascii").stdout)
    assert "50 €" in answer["response"]["execute"]["mboxes"][0]["options"][0]["content"]


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
@pytest.mark.parametrize("form", ["table", "json"])
def test_arguments_that_are_no_text_are_no_fault(form: str) -> None:
    python = STARTS["python -m targetry"]
    done = subprocess.run(
        [*python, "offers", "--mbox", b"\xff", "--tnt-id", b"\xff", "-o", form],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert b"\\udcff" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("arguments", [["artifact"], ["artifact", "-o", "json"], ["demo"], ["--help"]])
def test_who_stops_reading_is_not_told_of_a_broken_pipe(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "targetry", *arguments]
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)

    assert done.stderr == b""
    assert done.returncode == 1


def _heed_ctrl_c() -> None:
    """What a shell starts in the background does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _press_again(process: subprocess.Popen[bytes]) -> None:
    """A signal that comes just before a read is only heeded after it."""
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_ends_it_quietly() -> None:
    command = [sys.executable, "-m", "targetry", "artifact", "/dev/stdin"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_ctrl_c,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"{" * 200_000)  # more than a pipe holds: the command is reading
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            _press_again(process)
        assert process.returncode == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_importing_the_package_does_not_import_the_command() -> None:
    program = "import sys, targetry; print(sorted({'typer', 'rich', 'targetry.cli'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"
