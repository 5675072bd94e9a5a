"""Without an optional package, whatever needs it says which extra to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.python_process import environment

SCIPY_REPORT = "from support.ledger import outcome; from targetry.report.report import make_report; make_report(outcome('0', 2, 1))"
CREATE = "from targetry import TargetClient; TargetClient.create(client='c', organization_id='o', {})"

USES = {
    "testing.edge": ("starlette", "import targetry.testing; targetry.testing.edge()", "edge"),
    "testing.edge without its protocol": (
        "httptools",
        "import targetry.testing; targetry.testing.edge()",
        "edge",
    ),
    "pytest fixture": (
        "uvicorn",
        "from targetry.pytest_plugin import target_edge; next(target_edge.__wrapped__())",
        "edge",
    ),
    "command": ("typer", "from targetry.cli import main; main()", "cli"),
    "command edge": (
        "jinja2",
        "import sys; sys.argv = ['targetry', 'edge']; from targetry.cli import main; main()",
        "edge",
    ),
    "report": ("scipy", SCIPY_REPORT, "report"),
    "geo database": (
        "maxminddb",
        CREATE.format("decisioning_method='on-device', geo_database='x.mmdb'"),
        "geo",
    ),
    "socks proxy": ("socksio", CREATE.format("proxy='socks5://localhost:1080'"), "socks"),
    "HTTP/2": ("h2", "from targetry.http import HttpTransport; HttpTransport(http2=True)", "http2"),
}
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == {package!r} else found(name, package)
sys.meta_path.insert(0, Hidden())
try:
    exec({use!r})
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}", file=sys.stderr)
"""


@pytest.mark.parametrize(("package", "use", "extra"), USES.values(), ids=USES)
def test_missing_package_is_reported_with_its_extra(package: str, use: str, extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HIDE.format(package=package, use=use)],
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"the package {package}: pip install 'targetry[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stderr.startswith("ModuleNotFoundError")


def test_fault_of_our_own_is_not_reported_as_a_missing_extra() -> None:
    from targetry._runtime.lazy_import import importing_extra

    with pytest.raises(ModuleNotFoundError, match=r"targetry\.nowhere"), importing_extra("edge"):
        __import__("targetry.nowhere")
