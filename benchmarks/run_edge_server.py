"""Server for `edge.py`: the edge as its command runs it, or an empty handler.

    run_edge_server.py '{"serve": "edge", "loop": "asyncio", "workers": 1, "data": null}'

For each line on stdin the server prints its port and the processor time and memory that it has used
so far; it ends at the end of stdin.
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
    """Return an edge, by default as `targetry edge` runs it; `log` is its log file."""
    from targetry.edge.observability.log_format import start_logging
    from targetry.edge.options import EdgeOptions
    from targetry.edge.server import EdgeServer
    from targetry.edge.supervisor import EdgeWorkers

    os.dup2(os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    start_logging("human")
    options = EdgeOptions(
        port=0,
        data=command["data"],
        ledger=command.get("ledger"),
        workers=command["workers"],
        artifacts=command.get("artifacts", ()),
    )
    return EdgeServer.open(options) if options.workers == 1 else EdgeWorkers.open(options, "human")


class Nothing:
    """uvicorn with httptools, and an ASGI app that reads no request and sends a fixed response."""

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
    """Return the use of this process or of its workers; memory is that of the largest one."""
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
        sys.modules["uvloop"] = None  # type: ignore[assignment]  uvicorn imports it if it is installed
    server = Nothing(command["body_bytes"]) if command["serve"] == "nothing" else edge(command)
    threading.Thread(target=answer_commands, args=(server,), daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
