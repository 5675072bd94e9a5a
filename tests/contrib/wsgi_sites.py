"""Sites of Flask for the table of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import Flask, Request, Response, g, redirect, request

from contrib.cases import HOST, MBOX, PAGES, Answer, context_body, page_body, web_options
from targetry import TargetClient
from targetry.contrib.flask import Target, target
from targetry.edge.in_process import LocalEdge, edge


class FlaskSite:
    """Site of Flask, asked by its test client."""

    def __init__(self, app: Flask, edge: LocalEdge, client: TargetClient) -> None:
        self.app, self.edge, self.client = app, edge, client

    def get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        browser = self.app.test_client(use_cookies=False)
        response = browser.open(
            path,
            method=method,
            base_url=f"https://{HOST}",
            headers={"user-agent": "", **headers},
            environ_overrides={"REMOTE_ADDR": "10.0.0.9"},
        )
        return Answer(response.status_code, list(response.headers.items()), response.text)

    def stats(self) -> Any:
        assert self.client.flush(10)
        return self.client.stats()


@contextmanager
def flask_site(build: Callable[..., Flask], **web: Any) -> Iterator[FlaskSite]:
    """Run an application over a client of an edge of its own.

    Args:
        build: Takes the arguments of the extension, and returns the application.
        **web: Options of the integration besides those of the table.
    """
    with (
        edge() as here,
        TargetClient.create(
            here.client_options(decisioning_method="on-device", telemetry_enabled=False)
        ) as client,
    ):
        yield FlaskSite(build(client=client, **web_options(header), **web), here, client)


def header(request: Request, name: str) -> str | None:
    return request.headers.get(name)


def offer() -> Any:
    return page_body(target.offer(MBOX), target)


def unused() -> Any:
    return "unused"


def context() -> Any:
    return context_body(g.target)


def missing() -> Any:
    g.target.offer(MBOX)
    return "missing", 404


def failing() -> Any:
    g.target.offer(MBOX)
    return "failing", 500


def raising() -> Any:
    g.target.offer(MBOX)
    raise RuntimeError("the page fails")


def moved() -> Any:
    g.target.offer(MBOX)
    return redirect("/offer")


def before() -> Any:
    return Response(iter([str(g.target.offer(MBOX))]))


def inside() -> Any:
    visitor = g.target
    if request.path == "/remembered":
        visitor.remember()

    def parts() -> Iterator[str]:
        yield "first "
        yield str(visitor.offer(MBOX))

    return Response(parts())


def static() -> Any:
    assert not hasattr(g, "target")
    return "static"


VIEWS = (offer, unused, context, missing, failing, raising, moved, before, inside, inside, static)


def sync_flask_site(**options: Any) -> Flask:
    return routed(lambda view: view, options)


def async_flask_site(**options: Any) -> Flask:
    return routed(asynchronous, options)


def asynchronous(view: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(view)
    async def run() -> Any:
        return view()

    return run


def routed(convert: Callable[[Callable[[], Any]], Callable[[], Any]], options: dict[str, Any]) -> Flask:
    """Return an application of views in the order of `PAGES`."""
    app = Flask("site")
    app.logger.disabled = True  # it logs the page that raises
    Target(app, **options)
    for path, view in zip(PAGES, VIEWS, strict=True):
        app.add_url_rule(path, path.strip("/"), convert(view))
    return app
