"""The options of `targetry edge`: derived from `EdgeOptions`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
import typer

from support.cli import COMMAND, run, text_output
from targetry.cli.edge import edge_options
from targetry.edge.options import EdgeOptions, option_forms

NOTHING_GIVEN = dict.fromkeys(EdgeOptions.__struct_fields__)


def test_every_option_is_in_the_help() -> None:
    page = text_output("edge", "--help", width=400)
    for form in option_forms():
        for flag in (form.flag or "").split("/"):
            assert re.search(rf"{flag}\s", page)


def test_variable_of_the_environment_has_the_name_of_its_option() -> None:
    assert "--keep-days from TARGETRY_EDGE_KEEP_DAYS" in text_output("edge", "--help", width=200)
    variables = {one.name: one.envvar for one in COMMAND.commands["edge"].params}
    for name, flag in {**{one.name: one.flag for one in option_forms()}, "log": "--log"}.items():
        text = "artifacts" if flag is None else flag.split("/")[0].removeprefix("--")
        assert variables[name] == "TARGETRY_EDGE_" + text.upper().replace("-", "_")


@pytest.mark.parametrize("value", ["many", "99999999"])
def test_wrong_value_of_a_variable_names_the_variable(value: str) -> None:
    of_variable = run("edge", TARGETRY_EDGE_PORT=value, width=200)
    of_option = run("edge", "--port", value, width=200)

    assert of_variable.exit_code == of_option.exit_code == 2
    assert "'--port' or TARGETRY_EDGE_PORT: " in of_variable.stderr
    assert "'--port': " in of_option.stderr


def test_address_of_postgresql_is_no_folder(tmp_path: Path) -> None:
    result = run("edge", "--port", "0", "--data", "postgresql://127.0.0.1:1/none", width=200)

    assert result.exit_code == 2
    assert "'--data': must be a folder; an address of PostgreSQL is for --ledger" in result.stderr


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
