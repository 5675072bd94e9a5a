"""Celery: the end of a worker, and visitors that are carried into tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.python_process import environment
from support.web import FakeRequest, Page, blocking_client
from targetry import OptionError
from targetry.contrib.celery import install
from targetry.testing import edge

LONGEST_S = 120
TASKS = 100

APP = """
import os
from celery import Celery
from targetry import TargetClient
from targetry.contrib.celery import install

host, folder = os.environ["TARGET_HOST"], os.environ["BROKER_FOLDER"]
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder, "data_folder_out": folder, "processed_folder": folder, "control_folder": folder,
}
app.conf.worker_redirect_stdouts = False
client = TargetClient.create(
    client="acme", organization_id="0123456789ABCDEF01234567@AdobeOrg", decisioning_method="on-device",
    server_domain=host, cdn_base_path=f"http://{host}", secure=False, trust_env=False, telemetry_enabled=False,
)
install(client)

@app.task(bind=True)
def show(self):
    assert client.visit(self.request.headers["target"]).offer("hero")
    os.write(1, bytes(1))  # the banner has no null
"""

SEND = """
import json, sys
import shop
for dumped in json.load(sys.stdin):
    shop.show.apply_async(headers={"target": dumped})
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the prefork pool needs fork")
def test_stopped_worker_has_sent_the_impressions_of_all_tasks(tmp_path: Path) -> None:
    with blocking_client() as client:
        dumps = [Page(client, FakeRequest()).target.dump() for _ in range(TASKS)]
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "broker").mkdir()
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-l", "WARNING", "-c", "2"]
    with edge() as here:
        settings = environment(
            TARGET_HOST=here.host, BROKER_FOLDER=str(tmp_path / "broker"), PYTHONPATH=str(tmp_path)
        )
        subprocess.run(
            [sys.executable, "-c", SEND],
            env=settings,
            cwd=tmp_path,
            input=json.dumps(dumps),
            text=True,
            check=True,
            timeout=LONGEST_S,
        )
        with subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            env=settings,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as worker:
            try:
                assert worker.stdout is not None
                done = b""
                while done.count(0) < TASKS and (read := os.read(worker.stdout.fileno(), TASKS)):
                    done += read
                worker.terminate()
                worker.wait(LONGEST_S)
            finally:
                worker.kill()
        events = here.events
    assert [one.kind for one in events] == ["display"] * TASKS
    assert {one.visitor for one in events} == {one["tntId"].partition(".")[0] for one in dumps}


SCRIPT = """
from celery import signals
from support.web import async_client, blocking_client
from targetry.contrib.celery import install

nowhere = {{"send_notification_func": None, "server_domain": "127.0.0.1:9", "secure": False}}
client, other = {kind}_client(**nowhere), blocking_client(**nowhere)
install({argument})
signals.{signal}.send(sender=None, pid=1, exitcode=0)
for one in (client, other):
    if not one._runtime.is_closed:
        one.get_offers(request={{"execute": {{"mboxes": [{{"index": 0, "name": "hero"}}]}}}})
        print("finished" if "closed" in one.stats().notifications.dropped else "open")
    else:
        print("closed")
"""


@pytest.mark.parametrize(
    ("signal", "kind", "argument", "states"),
    [
        pytest.param(
            "worker_process_shutdown",
            "async",
            "client",
            "closed",
            id="asynchronous, prefork",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "worker_shutdown",
            "blocking",
            "client",
            "closed\nopen\n",
            id="blocking, other pools",
            marks=pytest.mark.slow,
        ),
        # Impressions were sent; decisions are still possible, and later impressions are dropped.
        pytest.param("worker_shutdown", "blocking", "", "finished\n" * 2, id="all clients, other pools"),
    ],
)
def test_end_of_a_worker_closes_clients(signal: str, kind: str, argument: str, states: str) -> None:
    script = SCRIPT.format(signal=signal, kind=kind, argument=argument)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.stdout.startswith(states), done.stderr


@pytest.mark.parametrize("wrong", [5, "acme", {"client": "acme"}])
def test_anything_else_is_no_client(wrong: Any) -> None:
    with pytest.raises(OptionError, match="client: must be a client or None"):
        install(wrong)
