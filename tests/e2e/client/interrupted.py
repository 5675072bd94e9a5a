"""Programs whose calls are interrupted by signal handlers that use and then close the client."""

from __future__ import annotations

from e2e.client.scripts import started
from e2e.client.target import Target

_KIT = """
import faulthandler, gc, random, tempfile
from targetry.errors import ClosedError
faulthandler.dump_traceback_later(float(sys.argv[3]), exit=True)  # shows who waits for whom
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

_FORKED = (
    _KIT
    + """
import ctypes
client = TargetClient.create(on_device)
client.get_offers(hero("parent"))
client.flush()
class Slow:
    armed = 0
    def after_fork(self):
        if Slow.armed != os.getpid():
            Slow.armed = os.getpid()
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            time.sleep(0.01)
from targetry._runtime.forks import register_fork_handler
slow = [Slow() for _ in range(3)]
for one in slow:
    register_fork_handler(one)
signal.signal(signal.SIGALRM, lambda *_: client.get_offers(hero("handler")))
fork = ctypes.PyDLL(None).fork
def switches():
    tasks = "/proc/self/task"
    others = [tid for tid in os.listdir(tasks) if int(tid) != threading.get_native_id()]
    return [open(f"{tasks}/{tid}/status").read().partition("ctxt_switches")[2] for tid in others]
def wait_for_idle_threads():
    # The fork copies the interpreter's own lock too. A thread that just takes it would leave it
    # locked in the child, which no library can mend.
    while os.path.isdir("/proc/self/task"):
        before = switches()
        time.sleep(0.02)
        if switches() == before:
            return
for _ in range(trials):
    wait_for_idle_threads()
    child = fork()
    if child == 0:
        client.get_offers(hero("child"))
        client.close(5)
        dropped = client.stats().notifications.dropped
        os._exit(1 if dropped else 0)
    assert os.waitpid(child, 0)[1] == 0
client.close()
"""
)

PROGRAMS = {
    "server-side": _SYNC.replace("OPTIONS", "options"),
    "on device": _SYNC.replace("OPTIONS", "on_device"),
    "spool": _SYNC.replace("OPTIONS", "dict(on_device, notification_spool=spool)").replace(
        "chance =", "spool = tempfile.mkdtemp()\nchance ="
    ),
    "async": _ASYNC.replace("OPTIONS", "on_device"),
}
_OTHERS = {"a fork without fork handlers": _FORKED}


def run_trials(target: Target, program: str, trials: int, timeout_s: float = 60.0) -> None:
    """Run a number of trials of a program in one process; check that its exit status is 0."""
    script = {**PROGRAMS, **_OTHERS}[program]
    with started(target, script, arguments=[str(trials), str(timeout_s - 5)]) as process:
        _, errors = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, errors
