"""A server as a contestant of `edge.py`: the edge as its command runs it, or the same server software with a handler that does nothing.

    run_edge_server.py '{"serve": "edge", "loop": "asyncio", "workers": 1, "data": null, "cores": [1]}'

Each line on stdin is answered with its port and what it has used so far, of processor time and of memory; it ends with stdin.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from memory import resident_mb

Scope = dict[str, Any]


def edge(command: dict[str, Any]) -> Any:
    """All as `targetry edge` has it by default; lines of the log go to `log`."""
    from targetry.edge.observability.log_format import start_logging
    from targetry.edge.options import EdgeOptions
    from targetry.edge.server import EdgeServer
    from targetry.edge.supervisor import EdgeWorkers

    os.dup2(os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    start_logging("human")
    options = EdgeOptions(port=0, data=command["data"], workers=command["workers"])
    return EdgeServer.open(options) if options.workers == 1 else EdgeWorkers.open(options, "human")


class Nothing:
    """uvicorn with httptools, and an ASGI app that looks at no request and always answers the same."""

    def __init__(self, body_bytes: int) -> None:
        import uvicorn

        from targetry.edge.server import listen

        self._listener = listen("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self._body = b"x" * body_bytes
        self._headers = [
            (b"content-length", str(body_bytes).encode()),
            (b"content-type", b"application/json"),
        ]
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        self._server.should_exit = True

    async def _answer(self, scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def answer_commands(server: Any) -> None:
    for _ in sys.stdin:
        print(json.dumps({"port": server.port, **used()}), flush=True)
    server.stop()


def used() -> dict[str, float]:
    """By this process, or, where it has workers, by them; of memory the most that one of them has."""
    workers = [process.pid for process in multiprocessing.active_children()]
    if not workers:
        return {"cpu_s": time.process_time(), "resident_mb": resident_mb()}
    return {
        "cpu_s": sum(_cpu_s(pid) for pid in workers),
        "resident_mb": max(_resident_mb(pid) for pid in workers),
    }


def _cpu_s(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    command = json.loads(sys.argv[1])
    if command["cores"]:
        os.sched_setaffinity(0, command["cores"])
    if command["loop"] == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  is imported by uvicorn where it is installed
    server = Nothing(command["body_bytes"]) if command["serve"] == "nothing" else edge(command)
    threading.Thread(target=answer_commands, args=(server,), daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
