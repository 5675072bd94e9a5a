"""Command in a process of its own, started by either of two entry points."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from support.cli import text_output
from support.slow import slow
from targetry import __version__

SCRIPT = Path(sys.executable).with_name("targetry")
MODULE = (sys.executable, "-m", "targetry")


@cache
def run(*command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command; each is started once."""
    env = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(
        command, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )


def check(done: subprocess.CompletedProcess[bytes], exit_code: int) -> None:
    assert done.returncode == exit_code
    assert bool(done.stdout) is (exit_code == 0)
    assert bool(done.stderr) is (exit_code != 0)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ("offers --help", 0),
        *slow(
            ("--version", 0),
            ("artifact", 0),
            ("offers --mbox hero", 0),
            ("explain --mbox hero", 0),
            ("demo --visitors 20", 0),
        ),
        *slow(("artifact nowhere.json", 1), ("offers", 2)),
    ],
)
def test_each_command_of_the_module_ends_with_its_exit_code(arguments: str, exit_code: int) -> None:
    check(run(*MODULE, *arguments.split()), exit_code)


@pytest.mark.skipif(not SCRIPT.exists(), reason="the package is not installed")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "exit_code"), [("--version", 0), ("artifact", 0), ("artifact nowhere.json", 1)]
)
def test_installed_script_runs_the_same_program(arguments: str, exit_code: int) -> None:
    done = run(str(SCRIPT), *arguments.split())
    check(done, exit_code)
    same = run(*MODULE, *arguments.split())
    assert (done.stdout, done.stderr) == (same.stdout, same.stderr)


def test_module_calls_itself_targetry() -> None:
    assert b"Usage: targetry offers" in run(*MODULE, "offers", "--help").stdout


@pytest.mark.slow
def test_module_prints_its_version() -> None:
    assert run(*MODULE, "--version").stdout.decode().split() == ["targetry", __version__]


def test_command_imports_no_other_command_and_no_http() -> None:
    script = (
        "import sys, targetry.cli; sys.argv[1:] = ['artifact']\n"
        "try: targetry.cli.main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    loaded = run(sys.executable, "-c", script).stderr.decode().split()

    others = ("activities", "batch", "edge", "ledger", "report", "http.sync_connection")
    assert "targetry.cli.artifact" in loaded
    assert [one for one in others if f"targetry.{one}" in loaded] == []


@pytest.mark.slow
def test_terminal_without_unicode_gets_escapes() -> None:
    arguments = ["offers", "--mbox", "delivery-note", "--geo", "country=DE"]

    assert b"\\u20ac" in run(*MODULE, *arguments, PYTHONIOENCODING="ascii").stdout


@pytest.mark.slow
def test_terminal_without_unicode_gets_json() -> None:
    arguments = ["offers", "--mbox", "delivery-note", "--geo", "country=DE"]

    answer = json.loads(run(*MODULE, *arguments, "-o", "json", PYTHONIOENCODING="ascii").stdout)
    assert "50 €" in answer["response"]["execute"]["mboxes"][0]["options"][0]["content"]


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
@pytest.mark.parametrize("form", ["table", *slow("json")])
def test_arguments_that_are_not_utf_8_are_accepted(form: str) -> None:
    done = subprocess.run(
        [*MODULE, "offers", "--mbox", b"\xff", "--tnt-id", b"\xff", "-o", form],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert b"\\udcff" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("arguments", ["artifact -o json", *slow("artifact", "demo --visitors 20", "--help")])
def test_closed_pipe_ends_a_command_quietly(arguments: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*MODULE, *arguments.split()]
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)

    assert done.stderr == b""
    assert done.returncode == 1


def test_width_of_no_columns_is_that_of_a_pipe() -> None:
    assert run(*MODULE, "artifact", COLUMNS="0").stdout.decode() == text_output("artifact", width=80)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*MODULE, "artifact", "-o", "json"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )

    assert done.stderr.decode().splitlines() == ["error: [Errno 28] No space left on device"]
    assert done.returncode == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a form of POSIX shells")
def test_closed_standard_streams_are_empty() -> None:
    command = f"{shlex.join(MODULE)} artifact - -o json <&- >&-"
    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, timeout=60, check=False)

    assert done.stderr.startswith(b"error: stdin: the artifact is not JSON")
    assert done.returncode == 1


def _enable_ctrl_c() -> None:
    """Restore the default handler: a shell starts background processes with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_ends_a_command_quietly() -> None:
    command = [*MODULE, "artifact", "/dev/stdin"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_enable_ctrl_c,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"{" * 200_000)  # more than a pipe holds: the command is reading
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.stdin.close()  # a signal that arrives just before a read is handled after the read
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_importing_the_package_does_not_import_the_command() -> None:
    program = "import sys, targetry; print(sorted({'typer', 'rich', 'targetry.cli'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"
