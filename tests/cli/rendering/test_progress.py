"""Progress of commands."""

from __future__ import annotations

import pytest

from targetry.cli.rendering.progress import working


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "elsewhere"])
def test_work_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with working("Reading the ledger"):
        pass
    shown = capsys.readouterr()
    assert ("Reading the ledger" in shown.err) is is_terminal
    assert shown.out == ""
