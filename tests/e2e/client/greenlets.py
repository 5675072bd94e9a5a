"""Programs with greenlets that use a client, patched by gevent before or after its creation."""

from __future__ import annotations

import importlib.util
import os

import pytest

from e2e.client.ends import session_of
from e2e.client.scripts import started
from e2e.client.target import DELIVERY, Target

needs_gevent = pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None or not hasattr(os, "fork"), reason="needs gevent and fork"
)

GREENLETS = 6

MAKE = """
import tempfile, warnings
warnings.simplefilter("ignore")  # gevent warns of what was imported before its patch, which is what is tried here
made = TargetClient.create(CLIENT)
"""
PATCH = """
import gevent.monkey
gevent.monkey.patch_all()
"""
USE = """
import gevent
GREENLETS = int(sys.argv[2])
answered, called = [], []
def page(number):
    for n in range(2):
        result = made.get_offers(hero(f"s{number}"))
        answered.append(result["response"].status)
        gevent.sleep(0.05)
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)
ticker = gevent.spawn(tick)
gevent.joinall([gevent.spawn(page, number) for number in range(GREENLETS)], timeout=60)
assert answered == [200] * 2 * GREENLETS, answered
pending = made.get_offers(hero("called"), callback=called.append)
assert pending.get(10)["response"].status == 200
assert len(called) == 1
assert made.flush(10)
made.stats()
made.close(5)
ticker.kill()
assert len(ticks) > 3, "the hub stood still"
os._exit(0)
"""
WARM = 'made.get_offers(hero("warm"))\nmade.flush(10)\n'
FORK = "if os.fork():\n    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"

ORDERS = {
    "patched before": [PATCH, MAKE],
    "patched after": [MAKE, PATCH],
    "patched after the first use": [MAKE, WARM, PATCH],
    "patched in a forked child": [MAKE, FORK, PATCH],
    "patched in a child of a client in use": [MAKE, WARM, FORK, PATCH],
}
CLIENTS = {
    "server-side": "options",
    "on device": "on_device",
    "hybrid": 'dict(options, decisioning_method="hybrid")',
    "spool": "dict(on_device, notification_spool=tempfile.mkdtemp())",
}


def run_greenlets(target: Target, order: str, client: str) -> None:
    """Run a program; check that all calls get a response and all reports are sent."""
    script = "".join([*ORDERS[order], USE]).replace("CLIENT)", f"{CLIENTS[client]})")
    with started(target, script, arguments=[str(GREENLETS)]) as process:
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    sent = [session_of(one.target) for one in target.requests_to(DELIVERY)]
    pages = [f"s{n}" for n in range(GREENLETS)] * 2
    assert sorted(sent) == sorted([*pages, "called", *["warm"] * ("use" in order)])
