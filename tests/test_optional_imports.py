"""Without an optional package, whatever needs it says which extra to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.cases import each_case
from support.python_process import environment

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
    "Spark": ("pyarrow", "import targetry.spark", "spark"),
    "framework below FastAPI": ("starlette", "import targetry.contrib.fastapi", "fastapi"),
    "socks proxy": ("socksio", CREATE.format("proxy='socks5://localhost:1080'"), "socks"),
    "asynchronous client": ("aiohttp", ASYNC_CREATE.format(""), "async"),
    "asynchronous hybrid client": ("aiohttp", ASYNC_CREATE.format("decisioning_method='hybrid'"), "async"),
    "asynchronous transport": (
        "aiohttp",
        "from targetry.http import AsyncHttpTransport; AsyncHttpTransport().prepare()",
        "async",
    ),
}
# Hides the packages in `hidden`, which it also hides from what has imported `find_spec`.
HIDE = """
import importlib.util, sys

hidden = set()
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in hidden else found(name, package)

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""
# Runs each use in a fork of one process, which has imported the package: half of the time of a use.
FORKS = (
    HIDE
    + """
import json, os
from targetry import AsyncTargetClient, TargetClient

os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
reports = {}
for name, (package, use, _) in json.loads(sys.argv.pop()).items():
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 2)
        hidden.add(package)
        try:
            exec(use)
        except SystemExit as end:
            print(end, file=sys.stderr)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as report:
        reports[name] = report.read()
    os.waitpid(pid, 0)
print(json.dumps(reports), file=sys.stderr)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_missing_package_is_reported_with_its_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, json.dumps(USES)],
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    reports = json.loads(done.stderr)

    @each_case("name", USES)
    def check(name: str) -> None:
        package, _, extra = USES[name]
        assert f"the package {package}: pip install 'targetry[{extra}]'" in reports[name]
        assert "Traceback" not in reports[name]
        assert not reports[name].startswith("ModuleNotFoundError")

    check()


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
        [sys.executable, "-W", "error", "-c", HIDE + 'hidden.add("aiohttp")' + ON_DEVICE],
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
