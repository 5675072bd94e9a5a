from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.snippets import write_files

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def only_needed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclude plugins that the suites do not use: loading them is most of the time of a run."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:schemathesis -p no:hypothesispytest -p no:pytest-bdd")


SUITE = """
import asyncio

import pytest

from targetry import TargetClient

OPTIONS = {"client": "acme", "organization_id": "1@AdobeOrg"}
REQUEST = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 0, "name": "hero"}]}}


def hero():
    with TargetClient.create(**OPTIONS) as client:
        return client.get_offers(request=REQUEST).content("hero")


def test_fixture(target):
    target.set("hero", "a")
    assert hero() == "a"
    target.assert_exposed("hero")


@pytest.mark.target(hero={"x": 1})
def test_marker_without_fixture():
    assert hero() == {"x": 1}


@pytest.mark.target(hero="outer")
class TestOfClass:
    def test_outer(self):
        assert hero() == "outer"

    @pytest.mark.target(hero="inner")
    def test_inner(self, target):
        assert hero() == "inner"
        with target.override("hero", "innermost"):
            assert hero() == "innermost"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.target(hero="x")
async def test_async():
    assert await asyncio.to_thread(hero) == "x"


def test_edge(target_edge):
    with TargetClient.create(target_edge.client_options()) as client:
        assert client.get_offers(request=REQUEST).content("hero")
"""
FAILING = """
import pytest

from targetry import ApiException, TargetClient


def test_application_that_ignores_the_flag(target):
    target.set("hero", "new")
    assert "old" == "new"


def test_application_that_asks_the_network(target):
    with TargetClient.create(client="acme", organization_id="1@AdobeOrg") as client:
        try:
            client.get_offers(request={"execute": {"mboxes": [{"index": 0, "name": "hero"}]}})
        except ApiException:
            pass


@pytest.mark.target("hero")
def test_marker_with_a_position():
    pass


def test_after_failures(target):
    target.set("hero", "x")
"""


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["alone", "xdist"]
)
def test_suite_uses_fixtures_and_marker(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(SUITE)
    run = pytester.runpytest_subprocess if workers else pytester.runpytest_inprocess
    result = run("-p", "no:cacheprovider", *workers)
    result.assert_outcomes(passed=6)


def test_failures_say_what_to_do_without_a_traceback(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: the test asked https://acme.tt.omtrdc.net/*; allow it with target.network = True*",
            "*the marker target takes keywords*",
        ],
        consecutive=False,
    )


def test_run_that_does_not_use_the_plugin_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\ndef test_it():\n    assert 'targetry' not in sys.modules\n", "utf-8"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout


def test_fixtures_have_their_former_module() -> None:
    import pytest_targetry
    from targetry import pytest_plugin

    assert pytest_plugin.target_edge is pytest_targetry.target_edge
    assert pytest_plugin.target is pytest_targetry.target


@pytest.mark.parametrize(
    ("page", "passed"), [("docs/testing.md", 3), ("docs/tutorial/web-app.md", 2), ("docs/ci.md", 5)]
)
def test_suite_of_a_page_passes(page: str, passed: int, pytester: pytest.Pytester) -> None:
    write_files(page, pytester.path)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=passed)
