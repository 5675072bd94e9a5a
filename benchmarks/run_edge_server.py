"""A server as a contestant of `edge.py`: the edge as its command runs it, or the same server software with a handler that does nothing.

    run_edge_server.py '{"serve": "edge", "loop": "asyncio", "data": null, "core": 1}'

Each line on stdin is answered with its port and what it has used so far; it ends with stdin.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from memory import resident_mb

Scope = dict[str, Any]


def edge(command: dict[str, Any]) -> Any:
    """All as `targetry edge` has it by default; lines of the log go to `log`."""
    from targetry.edge.log_lines import start_logging
    from targetry.edge.server import EdgeOptions, EdgeServer

    start_logging("human", open(command["log"], "w", encoding="utf-8"))  # noqa: SIM115  until the process ends
    return EdgeServer.open(EdgeOptions(port=0, data=command["data"]))


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

    async def _answer(self, scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def answer_commands(port: int) -> None:
    for _ in sys.stdin:
        print(
            json.dumps({"port": port, "cpu_s": time.process_time(), "resident_mb": resident_mb()}), flush=True
        )
    os._exit(0)


def main() -> None:
    command = json.loads(sys.argv[1])
    if command["core"] is not None:
        os.sched_setaffinity(0, {command["core"]})
    if command["loop"] == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  is imported by uvicorn where it is installed
    server = Nothing(command["body_bytes"]) if command["serve"] == "nothing" else edge(command)
    threading.Thread(target=answer_commands, args=(server.port,), daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
