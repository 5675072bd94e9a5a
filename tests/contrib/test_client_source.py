"""The client of an integration, made at its first use."""

from __future__ import annotations

import subprocess
import sys

from e2e.client.greenlets import needs_gevent
from support.python_process import environment
from targetry.edge.in_process import edge

FIRST_USES = """
import sys
from targetry.contrib.client_source import ClientSource
from targetry.web.options import WebSettings

host = sys.argv[1]
options = {
    "client": "acme",
    "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
    "decisioning_method": "on-device",
    "cdn_base_path": f"http://{host}",
    "server_domain": host,
    "secure": False,
}
source = ClientSource(options, WebSettings(), asynchronous=False)

import gevent.monkey
gevent.monkey.patch_all()
import gevent
uses = gevent.joinall([gevent.spawn(source.open) for _ in range(3)])
assert len({id(use.get()) for use in uses}) == 1
source.close()
"""
LONGEST_S = 60


@needs_gevent
def test_greenlets_of_a_late_patch_make_one_client_together() -> None:
    """As under `gunicorn --preload -k gevent`: while one makes the client, others wait."""
    with edge() as here:
        command = [sys.executable, "-W", "ignore", "-c", FIRST_USES, here.host]
        subprocess.run(command, env=environment(), timeout=LONGEST_S, check=True)
