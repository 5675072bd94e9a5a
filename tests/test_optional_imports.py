"""Without an optional package, whatever needs it says which extra to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.python_process import environment
from support.slow import slow

SCIPY_REPORT = "from support.ledger import outcome; from targetry.report.report import make_report; make_report(outcome('0', 2, 1))"
CREATE = "from targetry import TargetClient; TargetClient.create(client='c', organization_id='o', {})"
ASYNC_CREATE = (
    "import asyncio; from targetry import AsyncTargetClient; "
    "asyncio.run(AsyncTargetClient.create(client='c', organization_id='o', {}))"
)

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
        "prometheus_client",
        "import sys; sys.argv = ['targetry', 'edge']; from targetry.cli import main; main()",
        "edge",
    ),
    "pages of the edge": (
        "jinja2",
        "from targetry.edge.ui.templates import PageTemplates; PageTemplates()",
        "edge",
    ),
    "report": ("scipy", SCIPY_REPORT, "report"),
    "geo database": (
        "maxminddb",
        CREATE.format("decisioning_method='on-device', geo_database='x.mmdb'"),
        "geo",
    ),
    "tables": ("pyarrow", "import targetry.batch", "batch"),
    "Starlette": ("starlette", "import targetry.contrib.starlette", "starlette"),
    "FastAPI": ("fastapi", "import targetry.contrib.fastapi", "fastapi"),
    "Django": ("django", "import targetry.contrib.django", "django"),
    "Celery": ("celery", "import targetry.contrib.celery", "celery"),
    "Flask": ("flask", "import targetry.contrib.flask", "flask"),
    "OpenFeature's context": (
        "openfeature",
        "from targetry.contrib.asgi import AsgiTarget; "
        "AsgiTarget(None, {'client': 'c', 'organization_id': 'o'}, openfeature=True)",
        "openfeature",
    ),
    "OpenTelemetry hook": ("opentelemetry", "import targetry.otel", "otel"),
    "OpenFeature hook": ("openfeature", "import targetry.otel.openfeature", "openfeature"),
    "socks proxy": ("socksio", CREATE.format("proxy='socks5://localhost:1080'"), "socks"),
    "asynchronous client": ("aiohttp", ASYNC_CREATE.format(""), "async"),
    "asynchronous hybrid client": ("aiohttp", ASYNC_CREATE.format("decisioning_method='hybrid'"), "async"),
    "asynchronous transport": (
        "aiohttp",
        "from targetry.http import AsyncHttpTransport; AsyncHttpTransport().prepare()",
        "async",
    ),
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


# Their extras have other uses, which each run tries.
MORE_USES = {
    "testing.edge without its protocol",
    "pytest fixture",
    "asynchronous hybrid client",
    "asynchronous transport",
}


@pytest.mark.parametrize("name", [slow(name)[0] if name in MORE_USES else name for name in USES])
def test_missing_package_is_reported_with_its_extra(name: str) -> None:
    package, use, extra = USES[name]
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


ON_DEVICE = """
import asyncio
from e2e.client.target import artifact
from targetry import AsyncTargetClient
from targetry.http.protocol import HttpResponse
from targetry.testing import FakeTransport

def respond(request):
    if request.url.endswith("/v1/geo"):
        return HttpResponse(200, "OK", {"x-geo-city": "ROME"}, b"")
    return HttpResponse(200, "OK", {"content-type": "application/json"}, b'{"status": 200, "execute": {}}')

async def main():
    transport = FakeTransport(by=respond)
    async with await AsyncTargetClient.create(
        client="acme", organization_id="1@AdobeOrg", decisioning_method="on-device", transport=transport,
        artifact_payload=artifact(geoTargetingEnabled=True), polling_interval=0,
    ) as client:
        context = {"channel": "web", "geo": {"ipAddress": "12.21.1.40"}}
        mboxes = {"mboxes": [{"index": 0, "name": "roman"}]}
        offers = await client.get_offers(request={"context": context, "prefetch": mboxes})
        assert offers["response"].prefetch.mboxes[0].options[0].content == {"title": "ave"}
        request = {"context": context, "execute": mboxes}
        offers = await client.get_offers(request=request, decisioning_method="server-side")
        assert offers["response"].status == 200

asyncio.run(main())
print("decided", file=sys.stderr)
"""


def test_asynchronous_on_device_client_works_without_aiohttp() -> None:
    """Its geo lookups, and single server-side calls, use the blocking transport."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HIDE.format(package="aiohttp", use=ON_DEVICE)],
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "decided\n"


def test_import_error_of_targetry_is_not_reported_as_a_missing_extra() -> None:
    from targetry._runtime.lazy_import import importing_extra

    with pytest.raises(ModuleNotFoundError, match=r"targetry\.nowhere"), importing_extra("edge"):
        __import__("targetry.nowhere")
