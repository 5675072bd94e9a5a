from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup

from support.cli import COMMAND, run, text_output, write_artifact
from support.device import mboxes_of, rule
from support.slow import slow
from targetry import __version__

COMMANDS = (
    "offers",
    "explain",
    "artifact",
    "demo",
    "edge",
    "report",
    "power",
    "aa",
    "decide",
    "diff",
    "forecast",
    "shadow",
    "replay",
)
# A server that does not end, a download, and what needs an artifact, a ledger, a table or a log.
TESTED_ELSEWHERE = (
    "targetry edge",
    "targetry report",
    "targetry power rules.json",
    "targetry power --data",
    "targetry aa --visitors",
    "targetry aa rules.json",
    "targetry aa --data",
    "targetry artifact --client",
    "targetry decide",
    "targetry diff",
    "targetry forecast",
    "targetry shadow",
    "targetry replay",
)
EXAMPLE = re.compile(r"^ +(targetry .*?) *$", re.MULTILINE)


def examples() -> list[str]:
    pages = [text_output("--help"), *(text_output(command, "--help") for command in COMMANDS)]
    found = dict.fromkeys(example for page in pages for example in EXAMPLE.findall(page))
    return [example for example in found if not example.startswith(TESTED_ELSEWHERE)]


def test_list_of_commands_is_complete() -> None:
    groups = {name for name, command in COMMAND.commands.items() if isinstance(command, TyperGroup)}

    assert [name for name in COMMAND.commands if name not in groups] == list(COMMANDS)


def test_version_is_printed() -> None:
    assert text_output("--version") == f"targetry {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples(command: str) -> None:
    page = text_output(command, "--help", width=80)
    assert f"targetry {command}" in "".join(EXAMPLE.findall(page))


@pytest.mark.parametrize("command", ["offers", *slow(*COMMANDS)])
def test_short_option_shows_the_same_help(command: str) -> None:
    assert text_output(command, "-h", width=80) == text_output(command, "--help", width=80)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_complete_in_80_columns(command: str) -> None:
    page = text_output(command, "--help", width=80)

    assert re.findall(r"\S*\w…(?=\s)", page) == []
    assert "<bool>" not in page


@pytest.mark.parametrize("command", ["offers", "explain"])
def test_every_argument_has_a_help_text(command: str) -> None:
    rows = [
        line.strip("│ ") for line in text_output(command, "--help", width=160).splitlines() if "--" in line
    ]

    explained = [row for row in rows if row.startswith("--") and re.search(r" {2,}[A-Z'].*[.\]]$", row)]
    assert len(explained) == len([row for row in rows if row.startswith("--")]) == 19


@pytest.mark.slow
def test_examples_of_the_help_pages_run() -> None:
    found = examples()
    assert len(found) > 10
    found.remove("targetry demo")  # 10,000 visitors; `targetry demo --visitors 500` is an example too
    for example in found:
        _, *arguments = shlex.split(example)
        result = run(*arguments)

        assert result.exit_code == 0, (example, result.output)
        assert result.stdout, example
        assert result.stderr == "", example


def test_missing_command_shows_the_help() -> None:
    result = run()

    assert result.exit_code == 2
    assert "Usage: targetry" in result.output or "Usage: root" in result.output


MISTAKES = {
    "nothing asked for": (
        ["offers"],
        2,
        "no location: give --mbox NAME, --page-load or --view NAME",
    ),
    "an empty name": (["offers", "--mbox", ""], 2, "the name of an mbox or a view must not be empty"),
    "an unknown command": (["offer"], 2, "No such command 'offer'"),
    "an unknown option": (["offers", "--mbx", "hero"], 2, "No such option"),
    "an unknown form": (["offers", "--mbox", "hero", "-o", "yaml"], 2, "'yaml' is not one of"),
    "a parameter without value": (["explain", "--mbox", "hero", "-p", "x"], 2, "must be NAME=VALUE, not 'x'"),
    "a parameter without name": (["offers", "--mbox", "hero", "-p", "=x"], 2, "must be NAME=VALUE, not '=x'"),
    "a place without value": (["offers", "--mbox", "hero", "--geo", "DE"], 2, "must be NAME=VALUE, not 'DE'"),
    "an unknown part of a place": (
        ["offers", "--mbox", "hero", "--geo", "planet=earth"],
        2,
        "there is no 'planet'",
    ),
    "a place off the map": (
        ["offers", "--mbox", "hero", "--geo", "latitude=north"],
        2,
        "the latitude must be a number",
    ),
    "a place that is no number": (
        ["offers", "--mbox", "hero", "--geo", "latitude=nan"],
        2,
        "geo.latitude: must be a finite number",
    ),
    "a time that is none": (["explain", "--mbox", "hero", "--time", "noon"], 2, "must be a time such as"),
    "a URL that is too long": (
        ["offers", "--mbox", "hero", "--url", "x" * 5000],
        2,
        "address.url: must have at most 4096",
    ),
    "a client code that is none": (
        ["offers", "--mbox", "hero", "--client", "a b"],
        2,
        "'--client': must be a bare host name",
    ),
    "no such file": (["artifact", "nowhere.json"], 1, "error: nowhere.json: No such file or directory"),
    "a folder": (["offers", "--mbox", "hero", "-a", "."], 1, "error: .: Is a directory"),
}


@pytest.mark.parametrize(("arguments", "exit_code", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_reported(arguments: list[str], exit_code: int, message: str) -> None:
    result = run(*arguments, width=250)

    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


BAD_ARTIFACTS = {
    "no JSON": (b"{", "is not JSON"),
    "nothing": (b"", "is not JSON"),
    "no UTF-8": (b'{"version": "\xff"}', "is not JSON"),
    "another version": (b'{"version": "2.0"}', "version (2.0) is not supported"),
    "another shape": (b'{"version": "1.0", "rules": []}', "is not of the expected shape"),
    "too deep": (b'{"version": "1.0", "meta": {"a":' + b"[" * 100_000, "is nested too deeply"),
    "obfuscated": (b"ATOD:001" + bytes(40), "--organization-id is needed"),
}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["artifact"], id="artifact"),
        pytest.param(["offers", "--mbox", "hero", "-a"], id="offers", marks=pytest.mark.slow),
        pytest.param(["explain", "--mbox", "hero", "-a"], id="explain", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("content", "message"), BAD_ARTIFACTS.values(), ids=BAD_ARTIFACTS)
def test_unusable_artifact_is_reported(
    tmp_path: Path, command: list[str], content: bytes, message: str
) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(content)
    result = run(*command, path)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {path}: ")
    assert message in result.stderr


def test_artifact_is_read_from_stdin() -> None:
    result = run("artifact", "-", stdin=b'{"version": "1.0"}')

    assert result.exit_code == 0
    assert result.stdout.startswith("stdin · version 1.0\n")


def test_obfuscated_artifact_is_read_with_the_organization_id(tmp_path: Path) -> None:
    key = b"0123456789abcdef0123456789abcdef"
    text = write_artifact(tmp_path, mboxes_of(rule())).read_bytes()
    stream = b"ABC@AdobeOrg" + key
    hidden = bytes(byte ^ stream[i % len(stream)] for i, byte in enumerate(text))
    path = tmp_path / "rules.bin"
    path.write_bytes(b"ATOD:001" + key + hidden)

    assert "Activity 1" in text_output("artifact", path, "--organization-id", "ABC@AdobeOrg")
    assert run("artifact", path, "--organization-id", "another").exit_code == 1


@pytest.mark.parametrize(
    "arguments", [["offers", "--mbox", "hero"], ["explain", "--mbox", "hero"], ["artifact"]]
)
def test_pipe_gets_no_colors(arguments: list[str]) -> None:
    assert "\x1b" not in text_output(*arguments)


def test_forced_colors_are_printed() -> None:
    assert "\x1b[" in run("artifact", FORCE_COLOR="1").stdout
    assert "\x1b[3" not in run("artifact", FORCE_COLOR="1", NO_COLOR="1").stdout


@pytest.mark.parametrize("width", [40, *slow(80, 120)])
@pytest.mark.parametrize(
    "arguments",
    [["offers", "--page-load", "--view", "*"], ["explain", "--mbox", "promo"], ["artifact"]],
)
def test_no_line_is_wider_than_the_terminal(arguments: list[str], width: int) -> None:
    assert max(len(line) for line in text_output(*arguments, width=width).splitlines()) <= width
