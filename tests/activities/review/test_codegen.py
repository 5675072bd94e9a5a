from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.activities import HERO, SETTINGS, compiled, write_files
from support.cli import run
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import ActivityFolder
from targetry.activities.review.codegen import generate_module

FLAGS = """
key: flags
type: xt
experiences:
  - {key: one, offers: [{mbox: checkout-flags, json: {steps: 1, tags: [a, 1], deep: {on: true}, none: []}}]}
  - {key: two, offers: [{mbox: checkout-flags, json: {steps: 2.5, tags: [], deep: {on: null, more: x}, extra: [{id: 1}, {id: 2}]}}]}
  - {key: three, offers: [{mbox: checkout-flags}, {mbox: odd names, json: {"not a name": 1, class: x}}, {mbox: "2 lists", json: [[1], []]}]}
"""
USE = """# pyright: strict
from targetry import PreparedVisitor, TargetClient
from generated import CheckoutFlags, EXPERIENCE_IDS, Mbox, checkout_flags, hero


def use(client: TargetClient, visitor: PreparedVisitor) -> float:
    default: CheckoutFlags = {"steps": 1, "tags": [], "deep": {"on": None}}
    flags = checkout_flags(client, visitor, default=default)
    name: Mbox = "hero"
    print(hero(client, visitor, default=""), name, EXPERIENCE_IDS["hero"])
    return flags["steps"] + len(flags.get("extra", []))
"""


def generated(folder: Path, files: dict[str, str]) -> str:
    write_files(folder, files)
    loaded = load_folder(ActivityFolder(folder))
    assert loaded.activities is not None
    return generate_module(loaded.activities, compiled(folder).layout)


def test_classes_say_which_keys_each_experience_has(tmp_path: Path) -> None:
    text = generated(tmp_path, {"flags.yaml": FLAGS, "hero.yaml": HERO})
    assert (
        "class CheckoutFlags(TypedDict):\n"
        '    """Content of `CheckoutFlags`."""\n\n'
        "    steps: float\n"
        "    tags: list[int | str]\n"
        "    deep: CheckoutFlagsDeep\n"
        "    none: NotRequired[list[object]]\n"
        "    extra: NotRequired[list[CheckoutFlagsExtraItem]]\n"
    ) in text
    assert "    on: bool | None\n    more: NotRequired[str]\n" in text
    assert 'OddNames = TypedDict("OddNames", {"not a name": "int", "class": "str"})' in text
    assert "default: list[list[int]]" in text
    assert 'Mbox = Literal["2 lists", "checkout-flags", "hero", "odd names"]' in text
    assert '    "flags": {"one": 0, "two": 1, "three": 2},' in text


def test_hints_name_the_class_and_make_keys_optional(tmp_path: Path) -> None:
    text = generated(tmp_path, {"flags.yaml": FLAGS + "generate: {class: Flags, optional: true}\n"})
    assert "class Flags(TypedDict, total=False):\n" in text
    assert "    none: list[object]\n" in text


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a generated module, and a module that uses it."""
    folder = tmp_path_factory.mktemp("app")
    text = generated(folder / "activities", {"flags.yaml": FLAGS, "hero.yaml": HERO})
    (folder / "generated.py").write_text(text)
    (folder / "use.py").write_text(USE)
    return folder


def check(tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    options = {"mypy": ["--strict"], "pyright": ["--pythonpath", sys.executable]}
    command = [sys.executable, "-m", tool, *options[tool], "generated.py", "use.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=170)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_module_passes_type_checkers_and_notices_a_removed_mbox(checked: Path, tool: str) -> None:
    pytest.importorskip(tool)
    done = check(tool, checked)
    assert done.returncode == 0, done.stdout
    (checked / "generated.py").write_text(
        generated(
            checked / "activities",
            {"hero.yaml": HERO.replace("mbox: hero", "mbox: other"), "flags.yaml": FLAGS},
        )
    )
    try:
        assert check(tool, checked).returncode == 1
    finally:
        (checked / "generated.py").write_text(
            generated(checked / "activities", {"flags.yaml": FLAGS, "hero.yaml": HERO})
        )


def test_functions_return_the_content_or_the_default(tmp_path: Path) -> None:
    from targetry import TargetClient

    folder = tmp_path / "activities"
    text = generated(folder, {"flags.yaml": FLAGS, "hero.yaml": HERO})
    module: dict[str, object] = {}
    exec(compile(text, "generated", "exec"), module)  # noqa: S102
    artifact = compiled(folder).artifacts["production"]
    with TargetClient.create(
        client="acme",
        organization_id="x@AdobeOrg",
        decisioning_method="on-device",
        artifact_payload=artifact,
        send_notification_func=lambda _: None,
    ) as client:
        visitor = client.visitor(tnt_id="ada")
        flags = module["checkout_flags"](client, visitor, default={})  # type: ignore[operator]
        assert flags["steps"] == 1
        assert module["hero"](client, visitor, default="") in ("every day", "sale")  # type: ignore[operator]


def test_command_writes_and_checks_the_module(tmp_path: Path) -> None:
    write_files(tmp_path / "activities", {"hero.yaml": HERO, "targetry.yaml": SETTINGS})
    module = tmp_path / "generated.py"
    arguments = ("activities", "codegen", tmp_path / "activities", "-O", module)
    assert run(*arguments, "--check").exit_code == 1
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--check").exit_code == 0
    write_files(tmp_path / "activities", {"hero.yaml": HERO.replace("mbox: hero", "mbox: other")})
    result = run(*arguments, "--check", width=300)
    assert "is out of date; run targetry activities codegen" in result.stderr
    assert result.exit_code == 1
