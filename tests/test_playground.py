"""Playground of the documentation: its Python on CPython, and on Pyodide where that is built."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.cases import each_case

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "playground"
PYODIDE = ROOT / ".envs" / "playground"


def playground() -> ModuleType:
    spec = importlib.util.spec_from_file_location("playground", FOLDER / "playground.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAYGROUND = playground()
EXAMPLES: list[dict[str, str]] = json.loads(PLAYGROUND.examples())


def call(name: str, state: dict[str, str]) -> Any:
    return json.loads(getattr(PLAYGROUND, name)(json.dumps(state)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_example_has_offers_explanations_and_a_split(example: dict[str, str]) -> None:
    answer = call("answer", example)
    assert [location["name"] for location in answer["locations"]]
    for location in answer["locations"]:
        assert location["offers"]
        assert any(rule["isMatched"] for rule in location["rules"])
    split = call("split", example)
    for mbox in split["mboxes"]:
        assert sum(one["count"] for one in mbox["experiences"]) == split["visitors"]


def test_split_is_the_one_of_the_activity() -> None:
    (mbox,) = call("split", EXAMPLES[1])["mboxes"]
    assert {one["name"] for one in mbox["experiences"]} == {"Welcome", "Sale"}
    assert all(400 < one["count"] < 600 for one in mbox["experiences"])


def test_changed_parameter_changes_offer_and_explanation() -> None:
    example = EXAMPLES[2]
    state = {**example, "request": example["request"].replace("gold", "silver")}
    before, after = (call("answer", one)["locations"][0] for one in (example, state))
    assert (json.loads(before["offers"][0]["content"]), json.loads(after["offers"][0]["content"])) == (
        {"discount": 20},
        {"discount": 0},
    )
    assert not after["rules"][0]["isMatched"]
    assert any("silver" in part["text"] for part in after["rules"][0]["parts"])
    assert "does not match because this is false" in after["changes"][0]


@each_case(
    "change, field, message",
    [
        ({"artifact": "{"}, "artifact", "not JSON"),
        ({"artifact": '{"version": "2.0.0"}'}, "artifact", "version"),
        ({"request": "{"}, "request", "the request is not JSON"),
        ({"request": "[]"}, "request", "DeliveryRequest is required"),
        ({"request": '{"execut": {}}'}, "request", "did you mean 'execute'"),
    ],
    ids=["artifact-text", "artifact-version", "request-text", "request-list", "request-field"],
)
@each_case("name", ["answer", "split"])
def test_error_names_its_field(name: str, change: dict[str, str], field: str, message: str) -> None:
    error = call(name, {**EXAMPLES[1], **change})["error"]
    assert error["field"] == field
    assert message in error["message"]


def test_activities_in_yaml_are_compiled_and_decided() -> None:
    answer = call("answer", EXAMPLES[3])
    assert json.loads(answer["compiled"])["localMboxes"] == ["hero"]
    assert answer["findings"] == []
    assert "--activities" in answer["code"]["curl"]
    (mbox,) = call("split", EXAMPLES[3])["mboxes"]
    assert {one["name"] for one in mbox["experiences"]} == {"welcome", "sale"}
    assert call("answer", EXAMPLES[0])["compiled"] is None


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("share: 70", "share: [", "TA001"),
        ("key: headline", "kye: headline", "2:1: error TA002: unknown key 'kye'; did you mean 'key'?"),
        ("mbox.visits", "mbxo.visits", "20:14: error TA104: unknown name 'mbxo'"),
    ],
    ids=["yaml", "key", "audience"],
)
def test_mistake_in_activities_has_its_line_on_the_page(before: str, after: str, message: str) -> None:
    text = EXAMPLES[3]["artifact"].replace(before, after)
    error = call("answer", {**EXAMPLES[3], "artifact": text})["error"]
    assert error["field"] == "artifact"
    assert message in error["message"]


def test_warning_about_activities_is_shown_with_the_offers() -> None:
    text = EXAMPLES[3]["artifact"].replace("share: 70", "share: 60")
    answer = call("answer", {**EXAMPLES[3], "artifact": text})
    assert answer["locations"]
    assert "warning TA204" in answer["findings"][0]


@pytest.mark.parametrize("form", ["Python", "pytest"])
def test_code_of_the_same_call_is_python(form: str) -> None:
    code = call("answer", EXAMPLES[0])["code"][form]
    compile(code.replace("…", "..."), form, "exec")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (PYODIDE / "wheels.json").exists(), reason="not built: run scripts/docs playground")
def test_pyodide_decides_and_explains_as_cpython(tmp_path: Path) -> None:
    program = tmp_path / "run.mjs"
    program.write_text(
        f"""
import fs from "node:fs";
const home = {json.dumps(str(PYODIDE))};
const {{ loadPyodide }} = await import(`${{home}}/pyodide/pyodide.mjs`);
const pyodide = await loadPyodide({{ indexURL: `${{home}}/pyodide/` }});
for (const name of JSON.parse(fs.readFileSync(`${{home}}/wheels.json`, "utf8")))
  pyodide.unpackArchive(new Uint8Array(fs.readFileSync(`${{home}}/wheels/${{name}}`)), "wheel");
pyodide.FS.writeFile("playground.py", fs.readFileSync({json.dumps(str(FOLDER / "playground.py"))}, "utf8"));
const playground = pyodide.pyimport("playground");
const found = JSON.parse(playground.examples()).flatMap((one) =>
  [playground.split, playground.answer].map((ask) => JSON.parse(ask(JSON.stringify(one)))));
fs.writeFileSync({json.dumps(str(tmp_path / "found.json"))}, JSON.stringify(found));
""",
        "utf-8",
    )
    subprocess.run(["node", str(program)], check=True, capture_output=True, timeout=300)
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found == [call(name, example) for example in EXAMPLES for name in ("split", "answer")]
