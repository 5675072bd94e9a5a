"""Programs whose calls are interrupted by signal handlers that use, and then close, the same client."""

from __future__ import annotations

_KIT = """
import faulthandler, gc, random, tempfile
from targetry.errors import ClosedError
faulthandler.dump_traceback_later(25, exit=True)
trials = int(sys.argv[2])
chance = random.Random(11)
click = {"request": {"context": {"channel": "web"}, "notifications": [
    {"id": "n", "timestamp": 1, "type": "click", "tokens": ["t"]}]}}
def arm():
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.003))
"""

_SYNC = (
    _KIT
    + """
class Cycle:
    # Collected in the middle of whatever allocates, with a client that was not closed.
    def __init__(self):
        self.me, self.client = self, TargetClient.create(OPTIONS)
def handle(*_):
    global uses
    client, uses = current, uses - 1
    if uses < 0:
        client.close(0.5)
        return
    try:
        client.stats()
        client.get_offers(hero("handler"))
        client.send_notifications(click)
        client.event_emitter("client_ready")
        client.flush(0.01)
        client.get_offers(hero("called"), callback=len, err_callback=type)
        if client.decisioning_engine is not None:
            client.decisioning_engine.stop_polling()
            client.decisioning_engine.resume_polling()
        logging.getLogger("adobe.target").warning("in a handler")
        gc.collect(0)
    except ClosedError:
        pass
    arm()
with TargetClient.create(OPTIONS) as client:  # modules are loaded at the first use, and not twice at once
    client.get_offers(hero("first"), callback=len).get(10)
    client.get_offers(hero("first"), decisioning_method="server-side")
    client.flush()
signal.signal(signal.SIGALRM, handle)
for trial in range(trials):
    uses = 1
    current = client = TargetClient.create(OPTIONS)
    if trial % 10 == 0:
        Cycle()
    arm()
    try:
        while True:
            client.get_offers(hero("s"))
            client.stats()
            client.flush(0)
            if client.decisioning_engine is not None:
                client.decisioning_engine.stop_polling()
                client.decisioning_engine.resume_polling()
    except ClosedError:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
import warnings
warnings.simplefilter("ignore")
"""
)

_ASYNC = (
    _KIT
    + """
async def use(client):
    try:
        while True:
            await client.get_offers(hero("s"))
            await client.get_offers(hero("s"), decisioning_method="server-side")
    except ClosedError:
        pass
async def trial(how):
    client = await AsyncTargetClient.create(OPTIONS)
    loop, closing = asyncio.get_running_loop(), []
    def handle(*_):
        client.stats()
        client.event_emitter("client_ready")
        if not closing:
            closing.append(loop.create_task(client.aclose(0.5)))
    if how == "loop":
        loop.add_signal_handler(signal.SIGALRM, handle)
    else:
        signal.signal(signal.SIGALRM, lambda *_: (handle(), loop.call_soon_threadsafe(int)))
    arm()
    await use(client)
    await closing[0]
    if how == "loop":
        loop.remove_signal_handler(signal.SIGALRM)
for number in range(trials):
    asyncio.run(trial("loop" if number % 2 else "signal"))
"""
)

# name → script, and how many trials it takes in a second, about
PROGRAMS = {
    "server-side": (_SYNC.replace("OPTIONS", "options"), 60),
    "on device": (_SYNC.replace("OPTIONS", "on_device"), 60),
    "spool": (
        _SYNC.replace("OPTIONS", "dict(on_device, notification_spool=spool)").replace(
            "chance =", "spool = tempfile.mkdtemp()\nchance ="
        ),
        20,
    ),
    "async": (_ASYNC.replace("OPTIONS", "on_device"), 60),
}
