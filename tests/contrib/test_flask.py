"""Flask's extension: configuration, clients, contexts, other code of an application, threads."""

from __future__ import annotations

import gc
import multiprocessing
import re
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    abort,
    copy_current_request_context,
    g,
    request,
    session,
    stream_with_context,
)
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client, create_environ

from openfeature import api
from support.cases import each_case
from support.web import Reports, options
from targetry import OptionError, TargetClient
from targetry.contrib import current_target
from targetry.contrib.flask import Consent, Target, target
from targetry.contrib.wsgi import WsgiRequest
from targetry.testing import edge
from targetry.web.bound import BoundTarget

FAR = 4_000_000_000
COOKIE = {"cookie": f"mbox=session#s1#{FAR}|PC#p1#{FAR}"}


def shop(view: Callable[[], Any], **given: Any) -> Flask:
    """Return an application of one view, whose target is of an extension with `given`."""
    app = Flask("shop")
    app.logger.disabled = True
    app.secret_key = "key"
    Target(app, **given)
    app.add_url_rule("/", "view", view)
    return app


def ask(app: Flask, path: str = "/", **given: Any) -> Any:
    return app.test_client(use_cookies=False).get(path, base_url="https://shop.example.com", **given)


def offer() -> str:
    return str(target.offer("hero"))


# Configuration


def test_configuration_has_client_and_options(client: TargetClient) -> None:
    app = Flask("shop")
    app.config.update(TARGETRY_CLIENT=client, TARGETRY_COOKIE_PATH="/shop", TARGETRY_VARY=False)
    Target(cookie_samesite="Strict").init_app(app)
    app.add_url_rule("/", "view", offer)
    response = ask(app)
    assert "; Path=/shop; SameSite=Strict" in response.headers["set-cookie"]
    assert "vary" not in response.headers


def test_keyword_wins_over_configuration(client: TargetClient) -> None:
    app = Flask("shop")
    app.config.update(TARGETRY_CLIENT=options(), TARGETRY_COOKIES="never")
    Target(app, client=client, cookies="used")
    app.add_url_rule("/", "view", lambda: str(g.target.client is client) + offer())
    response = ask(app)
    assert response.text.startswith("True")
    assert "set-cookie" in response.headers


async def ask_somebody(request: Request) -> bool:
    return True


@each_case(
    "configured, given, message",
    [
        pytest.param({}, {}, "client: is missing; pass client=, or set TARGETRY_CLIENT", id="no client"),
        pytest.param({}, {"client": 5}, "client: must be a client or a mapping", id="wrong client"),
        pytest.param({}, {"client": options(timeout="soon")}, "timeout", id="option of the client"),
        pytest.param({}, {"client": options(), "cookies": "often"}, "cookies: must be", id="option"),
        pytest.param(
            {"TARGETRY_COOKIES": "often"}, {"client": options()}, "TARGETRY_COOKIES: must be", id="configured"
        ),
        pytest.param(
            {}, {"client": options(), "consent": ask_somebody}, "consent: must not be", id="async consent"
        ),
    ],
)
def test_wrong_option_raises_at_the_start(
    configured: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    app = Flask("shop")
    app.config.update(configured)
    with pytest.raises(OptionError, match=f"^{message}"):
        Target(app, **given)


def test_wrong_option_raises_before_there_is_an_application() -> None:
    with pytest.raises(OptionError, match="cookies"):
        Target(cookies="often")  # type: ignore[typeddict-item]


def test_unknown_name_raises_at_the_start() -> None:
    with pytest.raises(TypeError, match="cokies"):
        Target(cokies="used")  # type: ignore[call-arg]
    app = Flask("shop")
    app.config["TARGETRY_COKIES"] = "used"
    with pytest.raises(TypeError, match=r"configuration TARGETRY_….*cokies.*cookies"):
        Target(app, options())  # type: ignore[arg-type]


def test_second_target_of_an_application_is_refused(client: TargetClient) -> None:
    app = shop(offer, client=client)
    with pytest.raises(RuntimeError, match="has a Target already"):
        Target(app, client=client)


def test_several_applications_share_a_client_and_have_their_own_options(
    client: TargetClient, reports: Reports
) -> None:
    extension, first, second = Target(client=client), Flask("first"), Flask("second")
    second.config["TARGETRY_COOKIES"] = "never"
    for app in (first, second):
        extension.init_app(app)
        app.add_url_rule("/", "view", offer)
    first.wsgi_app = DispatcherMiddleware(first.wsgi_app, {"/second": second})  # type: ignore[method-assign]
    assert "set-cookie" in ask(first).headers
    assert "set-cookie" not in ask(first, "/second/").headers
    assert reports.mboxes == ["hero", "hero"]


def test_application_that_answers_by_another_one_keeps_both_targets(
    client: TargetClient, reports: Reports
) -> None:
    inner = shop(offer, client=client, cookies="never")

    def outer_view() -> Response:
        g.target.offer("hero")
        return Response.from_app(inner, request.environ)

    assert "set-cookie" in ask(shop(outer_view, client=client)).headers
    assert reports.mboxes == ["hero", "hero"]


def test_request_of_a_view_to_its_own_application_has_the_same_visitor(
    client: TargetClient, reports: Reports
) -> None:
    app = shop(lambda: offer() and str(target.tnt_id), client=client)

    def again() -> str:
        return (
            Response.from_app(app, {**request.environ, "PATH_INFO": "/"}).get_data(as_text=True)
            + f" {target.tnt_id}"
        )

    app.add_url_rule("/again", "again", again)
    response = ask(app, "/again")
    inner, outer = response.text.split()
    assert (inner == outer, f"PC#{outer}#" in response.headers["set-cookie"]) == (True, True)
    assert reports.mboxes == ["hero"]


# Client


def test_client_of_options_is_made_once_at_the_first_request() -> None:
    app = shop(lambda: str(id(target.client)), client=options())
    with ThreadPoolExecutor(4) as pool:
        assert len({one.text for one in pool.map(lambda _: ask(app), range(4))}) == 1


def test_delivery_api_decides_with_the_same_visitor_again() -> None:
    with edge() as here, TargetClient.create(here.client_options(decisioning_method="server-side")) as client:
        browser = shop(offer, client=client).test_client()
        first, second = browser.get("/"), browser.get("/")
        events = here.events
    assert "hero" in first.text
    assert first.text == second.text
    assert {(one.kind, one.visitor) for one in events} == {("impression", events[0].visitor)}
    assert f"PC#{events[0].visitor}" in second.headers["set-cookie"]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_used_before", [True, False])
def test_application_serves_in_a_forked_child(is_used_before: bool) -> None:
    app = shop(offer, client=options())
    if is_used_before:
        ask(app)
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=lambda: queue.put(ask(app).text))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert "hero" in queue.get()


# Contexts


def test_thread_with_a_copied_context_has_the_target(client: TargetClient, reports: Reports) -> None:
    def view() -> str:
        there = copy_current_request_context(lambda: (current_target(), offer()))
        with ThreadPoolExecutor(1) as pool:
            elsewhere, _ = pool.submit(there).result()
        return str(current_target() is g.target is elsewhere and isinstance(target, BoundTarget))

    assert ask(shop(view, client=client)).text == "True"
    assert current_target() is None
    assert (reports.mboxes, client.stats().notifications.dropped) == (["hero"], {})


def test_asynchronous_view_has_the_current_target(client: TargetClient) -> None:
    async def view() -> str:
        return str(current_target() is g.target)

    assert ask(shop(view, client=client)).text == "True"


def test_target_outside_of_a_request_raises() -> None:
    with pytest.raises(RuntimeError, match="there is no request"):
        target.offer("hero")
    with Flask("shop").app_context():
        assert current_target() is None


def test_excluded_path_has_no_target_of_an_earlier_request(client: TargetClient) -> None:
    def view() -> str:
        return str(current_target() is not None)

    app = shop(view, client=client, exclude=["/healthz"])
    app.add_url_rule("/healthz", "health", view)
    with app.app_context():  # `g` is of this context, for both requests
        assert (ask(app).text, ask(app, "/healthz").text) == ("True", "False")


def test_target_is_among_the_globals_of_a_request(client: TargetClient) -> None:
    def view() -> list[bool]:
        found = g.get("target")
        return ["target" in g, found is g.target, "other" in g, g.get("other", True)]

    app = shop(view, client=client, exclude=["/healthz"])
    app.add_url_rule("/healthz", "health", lambda: ["target" in g, g.get("target") is None])
    assert ask(app).json == [True, True, False, True]
    assert ask(app, "/healthz").json == [False, True]


def test_application_can_assign_another_target(client: TargetClient) -> None:
    app = shop(lambda: str(g.target), client=client)
    app.before_request(lambda: setattr(g, "target", "another"))
    assert ask(app).text == "another"


def test_globals_of_the_applications_own_class_have_the_target(client: TargetClient) -> None:
    class Globals:
        answer = 42

    app = Flask("shop")
    app.app_ctx_globals_class = Globals  # type: ignore[assignment]
    Target(app, client=client)
    app.add_url_rule("/", "view", lambda: f"{g.answer} {g.target is current_target()}")
    assert ask(app).text == "42 True"


def test_extension_that_is_added_in_a_context_of_the_application(client: TargetClient) -> None:
    app = Flask("shop")
    with app.app_context():
        Target(app, client=client)
        app.add_url_rule("/", "view", lambda: str(g.target.offer("hero")))
        assert "hero" in ask(app).text


@pytest.mark.parametrize("is_used_before", [True, False])
def test_thread_that_uses_the_target_first_sets_the_cookies(
    client: TargetClient, reports: Reports, is_used_before: bool
) -> None:
    def view() -> str:
        if is_used_before:
            offer()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_current_request_context(lambda: None)).result()
            tnt_id = pool.submit(copy_current_request_context(lambda: (offer(), target.tnt_id)[1])).result()
        return str(tnt_id)

    response = ask(shop(view, client=client))
    assert f"PC#{response.text}#" in response.headers["set-cookie"]
    assert len(reports) == 1 + is_used_before


def test_environment_of_a_request_does_not_keep_its_target(client: TargetClient) -> None:
    found: list[Any] = []

    def view() -> str:
        found.append(weakref.ref(g.target))
        return offer()

    app = shop(view, client=client)
    environ = create_environ("/", "https://shop.example.com")
    gc.disable()
    try:
        response = Response.from_app(app, environ)
        response.close()
        assert found[0]() is None
        assert "set-cookie" in response.headers
    finally:
        gc.enable()


def test_context_that_a_test_client_keeps_has_the_target(client: TargetClient, reports: Reports) -> None:
    with shop(lambda: offer() and str(target.tnt_id), client=client).test_client() as browser:
        assert browser.get("/").text == g.target.tnt_id == target.tnt_id
        assert "target" in g
    assert (reports.mboxes, client.stats().notifications.dropped) == (["hero"], {})


def test_first_use_in_a_stream_reports_at_once_and_says_that_cookies_are_lost(
    client: TargetClient, reports: Reports
) -> None:
    response = ask(
        shop(lambda: Response(stream_with_context(iter(offer, ""))), client=client), buffered=False
    )
    assert "hero" in next(response.response).decode()
    response.close()
    assert "set-cookie" not in response.headers
    assert (reports.mboxes, client.stats().web_faults) == (["hero"], {"cookies": 1})


def test_stream_with_context_has_the_target(client: TargetClient, reports: Reports) -> None:
    def view() -> Response:
        g.target.remember()

        def parts() -> Iterator[str]:
            yield str(current_target() is g.target)
            yield offer()

        return Response(stream_with_context(parts()))

    response = ask(shop(view, client=client))
    assert response.text.startswith("True")
    assert "set-cookie" in response.headers
    assert (reports.mboxes, client.stats().web_faults) == (["hero"], {})


def test_stream_keeps_its_target_when_other_requests_come_in_between(client: TargetClient) -> None:
    def view() -> Response:
        target.remember()

        def parts() -> Iterator[str]:
            yield str(target.tnt_id)
            yield f" {target.tnt_id}"

        return Response(stream_with_context(parts()))

    app = shop(view, client=client)
    app.add_url_rule("/other", "other", lambda: str(target.tnt_id))
    browser = app.test_client(use_cookies=False)
    stream, other = browser.get("/"), browser.get("/other")
    first, second = stream.text.split()
    assert first == second != other.text


# Other code of an application


def test_views_of_blueprints_and_unknown_paths_have_a_target(client: TargetClient) -> None:
    pages = Blueprint("pages", __name__, url_prefix="/pages")
    pages.add_url_rule("/", "view", offer)
    app = shop(offer, client=client)
    app.register_blueprint(pages)
    app.register_error_handler(404, lambda error: (offer(), 404))
    for path, status in (("/pages/", 200), ("/nowhere", 404)):
        response = ask(app, path, headers=COOKIE)
        assert (response.status_code, "hero" in response.text) == (status, True)
        assert "|PC#p1#" in response.headers["set-cookie"]


def test_cookies_and_vary_of_the_application_are_kept(client: TargetClient) -> None:
    def view() -> Response:
        session["user"] = "Ada"
        response = Response(offer(), headers={"Vary": "Accept-Language"})
        response.set_cookie("mine", "1")
        return response

    response = ask(shop(view, client=client))
    names = [one.partition("=")[0] for one in response.headers.getlist("set-cookie")]
    assert set(names) == {"mine", "mbox", "session"}
    assert response.headers.getlist("vary") == ["Accept-Language, Cookie"]


def test_consent_reads_the_session(client: TargetClient) -> None:
    def consent(request: Request) -> Consent:
        return Consent(session.get("choice", "denied"))

    app = shop(offer, client=client, consent=consent)
    browser = app.test_client()
    assert browser.get("/").text == "None"
    with browser.session_transaction() as stored:
        stored["choice"] = "granted"
    assert "hero" in browser.get("/").text


@pytest.mark.parametrize("status", [200, 503])
def test_status_of_a_later_after_request_counts(client: TargetClient, reports: Reports, status: int) -> None:
    app = shop(offer, client=client)

    @app.after_request
    def change(response: Response) -> Response:
        response.status_code = status
        return response

    assert ask(app).status_code == status
    dropped = client.stats().notifications.dropped
    assert (len(reports), dropped.get("response", 0)) == ((1, 0) if status == 200 else (0, 1))


@pytest.mark.parametrize("is_testing", [True, False], ids=["raised to the server", "answered"])
def test_impressions_of_a_view_that_raises_are_dropped(
    client: TargetClient, reports: Reports, is_testing: bool
) -> None:
    def view() -> str:
        offer()
        raise RuntimeError("the page fails")

    app = shop(view, client=client)
    app.testing = is_testing
    if is_testing:
        with pytest.raises(RuntimeError, match="the page fails"):
            ask(app)
    else:
        response = ask(app)
        assert (response.status_code, "set-cookie" in response.headers) == (500, False)
    assert (list(reports), client.stats().notifications.dropped) == ([], {"response": 1})


def test_exception_that_the_application_handles_is_a_page(client: TargetClient, reports: Reports) -> None:
    def view() -> str:
        offer()
        raise LookupError("no such product")

    app = shop(view, client=client)
    app.register_error_handler(LookupError, lambda error: ("gone", 410))
    response = ask(app)
    assert (response.status_code, reports.mboxes) == (410, ["hero"])
    assert "set-cookie" in response.headers


def test_abort_with_a_server_error_drops_impressions(client: TargetClient, reports: Reports) -> None:
    def view() -> str:
        offer()
        abort(503)

    assert ask(shop(view, client=client)).status_code == 503
    assert (list(reports), client.stats().notifications.dropped) == ([], {"response": 1})


def test_response_that_is_not_modified_sets_cookies(client: TargetClient) -> None:
    def view() -> Response:
        offer()
        response = Response("page")
        response.set_etag("e1")
        return response.make_conditional(request)

    response = ask(shop(view, client=client), headers={"if-none-match": '"e1"'})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["set-cookie"].startswith("mbox=")


def test_request_that_ends_before_its_views_drops_impressions(client: TargetClient, reports: Reports) -> None:
    app = shop(offer, client=client)
    with app.test_request_context("/"):
        app.preprocess_request()
        assert "hero" in offer()
    assert (list(reports), client.stats().notifications.dropped) == ([], {"response": 1})


def test_request_context_of_a_test_has_a_target(client: TargetClient, reports: Reports) -> None:
    app = shop(offer, client=client)
    with app.test_request_context("/", headers=COOKIE):
        response = app.full_dispatch_request()
        assert "|PC#p1#" in response.headers["set-cookie"]
        with Flask("other").app_context():
            assert current_target() is None
    with app.test_request_context("/"):
        assert target.session_id
    assert (reports.mboxes, client.stats().notifications.dropped) == (["hero"], {})


def test_openfeature_has_the_visitor_of_the_request(client: TargetClient) -> None:
    def view() -> str:
        return str(api.get_transaction_context().targeting_key)

    app = shop(view, client=client, openfeature=True)
    try:
        response = ask(app, headers=COOKIE)
        assert (response.text, "set-cookie" in response.headers) == ("p1", True)
        assert api.get_transaction_context().targeting_key is None
    finally:
        api.clear_transaction_context_propagator()


# Environment


def test_proxy_fix_gives_scheme_host_and_address(client: TargetClient) -> None:
    def view() -> Any:
        context = target.context
        return [context.address.url, context.geo.ip_address]  # type: ignore[union-attr]

    app = shop(view, client=client, ip=True)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    headers = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example.org",
    }
    response = Client(app).get("/?a=1", base_url="http://10.0.0.7", headers=headers)
    assert response.json == ["https://shop.example.org/?a=1", "203.0.113.9"]
    assert "; Secure" in response.headers["set-cookie"]


@pytest.mark.parametrize(
    ("change", "url"),
    [
        pytest.param({"PATH_INFO": "/ä ö".encode().decode("latin-1")}, "/%C3%A4%20%C3%B6", id="quoted"),
        pytest.param({"SCRIPT_NAME": "/shop", "PATH_INFO": "/a@b:c"}, "/shop/a@b:c", id="mounted"),
        pytest.param({"PATH_INFO": "", "QUERY_STRING": "q=a%20b"}, "/?q=a%20b", id="empty path"),
    ],
)
def test_url_is_the_one_that_was_requested(change: dict[str, str], url: str) -> None:
    environ = {**create_environ("/", "https://shop.example.com"), **change}
    assert WsgiRequest(environ, None).url == f"https://shop.example.com{url}"


def test_host_without_a_header_is_the_server() -> None:
    environ = {"SERVER_NAME": "shop", "SERVER_PORT": "8000", "wsgi.url_scheme": "http"}
    assert WsgiRequest(environ, None).url == "http://shop:8000/"


# Many visitors


def test_no_id_is_in_the_response_of_another_visitor(client: TargetClient, reports: Reports) -> None:
    def view() -> str:
        target.offer("hero")
        target.get_offers(mboxes=["hero"])
        return target.tnt_id or ""

    app = shop(view, client=client)

    def visit(n: int) -> None:
        cookie = f"mbox=session#s{n}#{FAR}|PC#p{n}#{FAR}" if n % 4 else ""
        response = ask(app, headers={"cookie": cookie})
        text = response.headers["set-cookie"]
        assert re.search(r"PC#([^#]+)#", text)[1] == response.text  # type: ignore[index]
        if n % 4:
            assert (response.text, f"session#s{n}#" in text) == (f"p{n}", True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(200)))
    assert len({one.id.tnt_id for one in reports}) == 200
    assert len(reports) == 400
