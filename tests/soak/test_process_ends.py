"""Ends of processes, long scenarios; `tests/e2e/client/test_process_ends.py` has short ones."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.client.ends import BUSY_ENDS, END_S, seconds_to_end, session_of
from e2e.client.target import DELIVERY, Target
from servers.faulty import HANG
from support.python_process import environment

needs_celery = pytest.mark.skipif(
    importlib.util.find_spec("celery") is None or not hasattr(os, "fork"), reason="needs celery, and fork"
)


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.mark.parametrize("case", BUSY_ENDS)
@pytest.mark.parametrize("manners", ["answers", "silent"])
def test_process_ends_in_time_while_daemon_threads_decide(
    case: str, manners: str, target: Target, tmp_path: Path
) -> None:
    if manners == "silent":
        target.on(DELIVERY, HANG)
    assert seconds_to_end(target, BUSY_ENDS[case], tmp_path) < END_S


CELERY_APP = """
import os
from celery import Celery
from targetry import TargetClient
host = os.environ["TARGET_HOST"]
folder = os.environ["BROKER_FOLDER"]
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder, "processed_folder": folder}
app.conf.worker_hijack_root_logger = False
client = TargetClient.create(
    client="acme", organization_id="A@AdobeOrg", server_domain=host, secure=False, trust_env=False,
    cdn_base_path=f"http://{host}", decisioning_method="on-device",
)
@app.task
def show(session):
    client.get_offers(request={"execute": {"mboxes": [{"name": "hero"}]}}, session_id=session)
"""


@needs_celery
def test_recycled_celery_workers_send_their_reports(target: Target, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CELERY_APP)
    (tmp_path / "broker").mkdir()
    settings = environment(
        TARGET_HOST=target.host, BROKER_FOLDER=str(tmp_path / "broker"), PYTHONPATH=str(tmp_path)
    )
    send = "import shop\nfor number in range(4):\n    shop.show.delay(f's{number}')\n"
    subprocess.run([sys.executable, "-c", send], env=settings, check=True, timeout=60, capture_output=True)
    options = ["-c", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-l", "WARNING", *options]
    with subprocess.Popen(
        command, env=settings, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as worker:
        try:
            target.wait_until(lambda: len(target.requests_to(DELIVERY)) >= 4)
        finally:
            worker.terminate()
            try:
                worker.wait(20)
            finally:
                worker.kill()
    assert sorted(session_of(one.target) for one in target.requests_to(DELIVERY)) == ["s0", "s1", "s2", "s3"]
