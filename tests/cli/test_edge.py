"""The options of `targetry edge`: derived from `EdgeOptions`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
import typer

from support.cli import run, text_output
from targetry.cli.edge import edge_options
from targetry.edge.options import EdgeOptions, option_forms

NOTHING_GIVEN = dict.fromkeys(EdgeOptions.__struct_fields__)


def test_every_option_has_a_flag_and_a_variable_in_the_help() -> None:
    page = text_output("edge", "--help", width=400)
    for form in option_forms():
        for flag in (form.flag or "").split("/"):
            assert re.search(rf"{flag}\s", page)
        assert f"[env var: {form.variable}]" in page


def test_defaults_are_those_of_the_struct() -> None:
    assert edge_options(NOTHING_GIVEN) == EdgeOptions()


def test_arguments_become_options() -> None:
    options = edge_options({**NOTHING_GIVEN, "port": 1, "max_size": "2MB", "allow_origins": ["http://a"]})
    assert options == msgspec.structs.replace(
        EdgeOptions(), port=1, max_size=2_000_000, allow_origins=["http://a"]
    )


def test_size_that_cannot_be_read_names_its_flag() -> None:
    with pytest.raises(typer.BadParameter, match="must be a size") as caught:
        edge_options({**NOTHING_GIVEN, "max_size": "much"})
    assert caught.value.param_hint == "'--max-size'"


def test_several_artifacts_of_the_environment_are_split_like_a_path(tmp_path: Path) -> None:
    result = run(
        "edge",
        TARGETRY_EDGE_ARTIFACTS=os.pathsep.join([str(tmp_path / "a b.json"), str(tmp_path / "c.json")]),
    )
    assert f"{tmp_path}/a b.json: " in result.stderr
