"""`import targetry` stays light: what few programs need comes when it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "asyncio",
    "bz2",
    "cryptography",
    "email.utils",
    "h2",
    "hashlib",
    "hmac",
    "html",
    "http.client",
    "httpcore2",
    "httpx2",
    "idna",
    "maxminddb",
    "multiprocessing",
    "numpy",
    "openfeature",
    "opentelemetry",
    "pprint",
    "publicsuffixlist",
    "pyarrow",
    "rich",
    "secrets",
    "shutil",
    "socket",
    "socksio",
    "sqlite3",
    "ssl",
    "subprocess",
    "targetry._client.async_client",
    "targetry.cli",
    "tempfile",
    "typer",
    "unittest",
    "urllib.request",
    "xml",
]


def loaded_after(program: str) -> set[str]:
    """Modules that a program has loaded beyond those of an empty one."""
    ending = "\nimport sys; print(' '.join(sys.modules))"
    run = [sys.executable, "-I", "-c"]
    lists = [
        subprocess.run([*run, text + ending], capture_output=True, text=True, check=True).stdout.split()
        for text in ("", program)
    ]
    return set(lists[1]) - set(lists[0])


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return loaded_after("import targetry")


@pytest.mark.parametrize("module", HEAVY)
def test_importing_targetry_does_not_import(loaded: set[str], module: str) -> None:
    assert module not in loaded


def test_importing_targetry_imports_targetry(loaded: set[str]) -> None:
    assert {"targetry", "targetry._client.sync_client", "targetry.models"} <= loaded


def test_asyncio_client_is_imported_at_first_use() -> None:
    loaded = loaded_after("from targetry import AsyncTargetClient")
    assert {"targetry._client.async_client", "asyncio"} <= loaded


def test_edge_imports_only_what_its_options_need() -> None:
    program = (
        "import logging\n"
        "from targetry.edge.options import EdgeOptions\n"
        "from targetry.edge.assembly import open_edge\n"
        "open_edge(EdgeOptions(), logging.getLogger()).close()\n"
    )
    loaded = loaded_after(program)
    assert "targetry.edge.assembly" in loaded
    assert {"jinja2", "targetry.activities", "targetry.report", "yaml"}.isdisjoint(loaded)


def test_importing_targetry_prints_nothing_and_configures_nothing() -> None:
    program = (
        "import logging, sys, threading\n"
        "import targetry\n"
        "assert threading.active_count() == 1\n"
        "assert logging.root.handlers == []\n"
        "assert logging.getLogger('adobe.target').level == logging.NOTSET\n"
        "assert logging.getLogger('adobe.target').handlers == []\n"
    )
    run = subprocess.run([sys.executable, "-I", "-W", "error", "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
