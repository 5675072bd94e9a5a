"""Scripts whose daemon threads keep deciding, and the time that their processes take to end."""

from __future__ import annotations

import time
from pathlib import Path

from e2e.client.scripts import started
from e2e.client.target import Target

END_S = 9.0  # two seconds, and more for a busy machine; two for each of five clients would be ten

BUSY = """
def decide(client):
    while True:
        client.get_offers(hero("busy"))
def start(client):
    threading.Thread(target=decide, args=[client], daemon=True).start()
"""

BUSY_ENDS = {
    "one client": "client = TargetClient.create(on_device)\nstart(client)\n",
    "five clients": """
clients = [TargetClient.create(on_device) for _ in range(5)]
for client in clients:
    start(client)
""",
    "five threads of one client": """
client = TargetClient.create(on_device)
for _ in range(5):
    start(client)
""",
    "a spool": """
import tempfile
folder = tempfile.TemporaryDirectory()
client = TargetClient.create(on_device, notification_spool=folder.name)
start(client)
""",
    "callbacks under way": """
client = TargetClient.create(on_device)
start(client)
for _ in range(50):
    client.get_offers(hero("called"), callback=len, err_callback=type)
""",
    "an event loop": """
async def decide_async():
    client = await AsyncTargetClient.create(on_device)
    while True:
        await client.get_offers(hero("busy"))
threading.Thread(target=asyncio.run, args=[decide_async()], daemon=True).start()
""",
    "sys.exit": "client = TargetClient.create(on_device)\nstart(client)\ntime.sleep(0.2)\nended()\nsys.exit(0)\n",
}

# The process itself writes the time, so that the start of the interpreter is not included.
TIMED = """
import pathlib
def ended():
    pathlib.Path(sys.argv[2]).write_text(str(time.time()))
"""


def seconds_to_end(target: Target, script: str, folder: Path) -> float:
    """Run `script`, whose threads keep running; return the seconds after its last line."""
    stamp = folder / "ended"
    script = TIMED + BUSY + script + "time.sleep(0.3)\nended()\n"
    with started(target, script, arguments=[str(stamp)]) as process:
        assert process.wait(100) == 0
        return time.time() - float(stamp.read_text())


def session_of(target: str) -> str:
    return target.rpartition("=")[2]
