"""Django middleware: its setting, its client, other middleware, templates, a shop on gunicorn."""

from __future__ import annotations

import asyncio
import gc
import gzip
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from django.utils.module_loading import import_string

from contrib.django_sites import MIDDLEWARE, ask
from openfeature import api
from support.cases import each_case
from support.python_process import environment
from support.web import Reports, async_client, blocking_client, options
from targetry import AsyncTargetClient, OptionError, TargetClient
from targetry.contrib import django as django_contrib
from targetry.contrib.django import Consent, current_target, get_sync_target, get_target, target

FAR = 4_000_000_000
COOKIE = {"cookie": f"mbox=session#s1#{FAR}|PC#p1#{FAR}"}
SEEN: list[Any] = []


def page(request: Any) -> HttpResponse:
    SEEN.append(request.target.client)
    response = HttpResponse(str(request.target.offer("hero")) * 20)
    response.set_cookie("own", "1")
    response["Vary"] = "Accept-Language"
    return response


async def async_page(request: Any) -> HttpResponse:
    SEEN.append(request.target.client)
    return HttpResponse(str(await request.target.offer("hero")))


def plain(request: HttpRequest) -> HttpResponse:
    SEEN.append("plain")
    return HttpResponse("the same for all")


def failing(request: Any) -> HttpResponse:
    request.target.offer("hero")
    raise RuntimeError("the page fails")


def url(request: Any) -> HttpResponse:
    return HttpResponse(request.target.context.address.url)


def context_id(request: Any) -> HttpResponse:
    return HttpResponse(str(api.get_transaction_context().targeting_key))


def template(request: Any) -> HttpResponse:
    text = "{{ target.tnt_id }} {{ target.consent.value }}"
    return HttpResponse(engines["django"].from_string(text).render({}, request))


async def async_template(request: Any) -> HttpResponse:
    return template(request)


class Urls:
    urlpatterns: ClassVar = [
        path("page", page),
        path("async", async_page),
        path("plain", plain),
        path("failing", failing),
        path("url", url),
        path("context", context_id),
        path("template", template),
        path("async-template", async_template),
    ]


class Recovering:
    """Middleware that answers exceptions of views."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse("recovered")


class OwnHost:
    """Middleware that reads the host of a request from a header of its own."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.get_host = lambda: request.META["HTTP_X_SHOP"]
        return self._get_response(request)


RECOVERING = f"{__name__}.Recovering"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"context_processors": ["targetry.contrib.django.target"]},
    }
]


def refuse(request: HttpRequest) -> bool:
    return False


async def refuse_later(request: HttpRequest) -> bool:
    return False


@pytest.fixture
def client(reports: Reports) -> Iterator[TargetClient]:
    SEEN.clear()
    with blocking_client(send_notification_func=reports) as client:
        yield client


def site(client: Any, *before: str, inside: tuple[str, ...] = (), **web: Any) -> override_settings:
    """Return a context in which the pages are served, with other middleware around the target's."""
    return override_settings(
        TARGETRY={"client": client, "WEB": web} if not isinstance(client, dict) else {**client, "WEB": web},
        MIDDLEWARE=[*before, MIDDLEWARE, *inside],
        ROOT_URLCONF=Urls,
        TEMPLATES=TEMPLATES,
    )


# End of a request


def test_request_is_freed_without_the_garbage_collector(client: TargetClient) -> None:
    found: list[weakref.ref[HttpRequest]] = []

    def kept_request(request: HttpRequest) -> HttpResponse:
        found.append(weakref.ref(request))
        return HttpResponse(get_sync_target(request).offer("hero"))

    gc.disable()
    try:
        with site(client):
            answer = import_string(MIDDLEWARE)(kept_request)
            assert "mbox" in answer(RequestFactory().get("/")).cookies
        assert found[0]() is None
    finally:
        gc.enable()


def test_target_is_first_used_after_the_end_of_its_request(client: TargetClient) -> None:
    def consent(request: HttpRequest) -> bool:
        return request.GET["agreed"] == "1"

    with site(client, consent=consent):
        request = RequestFactory().get("/?agreed=1")
        import_string(MIDDLEWARE)(plain)(request)
        target = get_sync_target(request)
        del request
        assert (target.ready(), target.offer("hero") is None) == (Consent.GRANTED, False)


# Setting

WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "absent": (None, ImproperlyConfigured, "the setting TARGETRY is absent"),
    "text": ("acme", OptionError, "TARGETRY: must be a mapping"),
    "client": ({"client": 5}, OptionError, "TARGETRY.client: must be a client or a mapping"),
    "client option": (options(timeout="soon"), OptionError, "TARGETRY.timeout: "),
    "unknown client option": (
        options(organisation_id="1@AdobeOrg"),
        ImproperlyConfigured,
        "TARGETRY: .*organisation_id.*did you mean 'organization_id'",
    ),
    "client and options": (
        {"client": options, "timeout": 5},
        OptionError,
        "since there are options: 'timeout'",
    ),
    "WEB": (options(WEB=5), OptionError, "TARGETRY.WEB: must be a mapping"),
    "option of WEB": (options(WEB={"cookies": "often"}), OptionError, "TARGETRY.WEB.cookies: "),
    "unknown option of WEB": (
        options(WEB={"cokies": "used"}),
        ImproperlyConfigured,
        "TARGETRY.WEB: .*cokies",
    ),
    "path of a function": (
        options(WEB={"consent": "no.such"}),
        OptionError,
        "TARGETRY.WEB.consent: could not",
    ),
}


@each_case("name", WRONG)
def test_wrong_setting_is_reported_at_the_start(name: str) -> None:
    setting, kind, message = WRONG[name]
    with (
        override_settings(TARGETRY=setting, MIDDLEWARE=[MIDDLEWARE]),
        pytest.raises(kind, match=message),
    ):
        WSGIHandler()


def test_blocking_client_of_the_api_is_refused_under_asgi() -> None:
    with (
        TargetClient.create(**options(decisioning_method="server-side")) as client,
        site(client),
        pytest.raises(OptionError, match=r"TARGETRY\.client: .*would block the event loop"),
    ):
        ASGIHandler()


def test_import_needs_no_settings() -> None:
    code = "import targetry.contrib.django as it; print(*it.__all__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert "TargetMiddleware" in done.stdout, done.stderr


def test_functions_among_the_options_can_be_dotted_paths(client: TargetClient) -> None:
    with site(client, consent=f"{__name__}.refuse"):
        assert ask("/page", COOKIE).cookies == {"own": "1", "mbox": ""}


# Client


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_client_of_options_is_made_once_and_closed_with_its_setting(asgi: bool, reports: Reports) -> None:
    SEEN.clear()
    with site(options(send_notification_func=reports)):
        ask("/async", {}, asgi=asgi)
        ask("/async", {}, asgi=asgi)  # by a handler of its own
        (first, second) = SEEN
        assert first is second
        assert isinstance(first, AsyncTargetClient if asgi else TargetClient)
        assert not first._runtime.is_closed
    assert first._runtime.is_closed
    assert reports.mboxes == ["hero", "hero"]


def test_setting_that_is_replaced_in_a_loop_closes_its_client() -> None:
    SEEN.clear()

    async def run() -> None:
        with site(options()):
            await AsyncClient().get("/async", headers={"host": "shop.example.com"})

    asyncio.run(run())
    assert SEEN[0]._runtime.is_closed


@pytest.mark.parametrize("made", ["client", "options"])
def test_client_can_be_a_function(made: str, client: TargetClient) -> None:
    with site(lambda: client if made == "client" else options()):
        assert "hero" in ask("/page", {}).text
    assert (SEEN[0] is client) == (made == "client")
    assert not client._runtime.is_closed


def test_asynchronous_client_serves_synchronous_views_under_asgi() -> None:
    SEEN.clear()
    client = async_client()
    with site(client):
        assert "hero" in ask("/page", {}, asgi=True).text
    assert [client] == SEEN
    asyncio.run(client.aclose(0))


# Responses


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_compressed_response_has_cookies(place: str, client: TargetClient) -> None:
    compress = "django.middleware.gzip.GZipMiddleware"
    before, inside = ((compress,), ()) if place == "outside" else ((), (compress,))
    with site(client, *before, inside=inside):
        response = Client(raise_request_exception=True).get(
            "/page", secure=True, HTTP_HOST="shop.example.com", HTTP_ACCEPT_ENCODING="gzip"
        )
    assert b"hero" in gzip.decompress(response.content)
    assert set(response.cookies) == {"own", "mbox"}
    assert sorted(response["Vary"].split(", ")) == ["Accept-Encoding", "Accept-Language", "Cookie"]


def test_cache_around_the_middleware_holds_no_page_of_another_visitor(
    client: TargetClient, reports: Reports
) -> None:
    update, fetch = (f"django.middleware.cache.{name}CacheMiddleware" for name in ("Update", "FetchFrom"))
    with site(client, update, inside=(fetch,)):
        for number in ("s1", "s2", "s3"):
            answer = ask("/page", {"cookie": f"mbox=session#{number}#{FAR}|PC#{number}#{FAR}"})
            assert f"|PC#{number}#" in answer.cookies["mbox"]
            ask("/plain", {})
    assert [one.id.tnt_id for one in reports] == ["s1", "s2", "s3"]
    assert SEEN.count("plain") == 1


def test_not_modified_response_keeps_cookies(client: TargetClient) -> None:
    with site(client, "django.middleware.http.ConditionalGetMiddleware"):
        tag = ask("/page", COOKIE).all("etag")[0]
        again = ask("/page", {**COOKIE, "if-none-match": tag})
    assert (again.status, set(again.cookies)) == (304, {"own", "mbox"})


def test_impression_of_a_response_that_is_closed_twice_counts_once(
    client: TargetClient, reports: Reports
) -> None:
    with site(client):
        response = Client().get("/page", secure=True, HTTP_HOST="shop.example.com")
        response.close()
        response.close()
    assert reports.mboxes == ["hero"]


def test_exception_that_other_middleware_answers_is_a_page_with_cookies(
    client: TargetClient, reports: Reports
) -> None:
    with site(client, RECOVERING):
        answer = ask("/failing", COOKIE)
    assert (answer.status, set(answer.cookies), reports.mboxes) == (200, {"mbox"}, ["hero"])


def test_middleware_that_is_listed_twice_acts_once(client: TargetClient, reports: Reports) -> None:
    with site(client, MIDDLEWARE):
        assert len(ask("/page", COOKIE).all("set-cookie")) == 2
    assert reports.mboxes == ["hero"]


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("page", ["/page", "/async"])
def test_asynchronous_consent_is_awaited(page: str, asgi: bool, client: TargetClient) -> None:
    with site(client, consent=refuse_later):
        answer = ask(page, COOKIE, asgi=asgi)
    assert (answer.cookies["mbox"], "None" in answer.text) == ("", True)


def test_accept_ch_is_added_to_that_of_the_page(client: TargetClient) -> None:
    with site(client, accept_ch=True):
        assert ask("/page", {}).all("accept-ch")[0].startswith("Sec-CH-UA-")


CHANGES: dict[str, Callable[[SimpleCookie], object]] = {
    "nothing": lambda cookies: None,
    "value": lambda cookies: cookies.__setitem__("mbox", "other"),
    "name": lambda cookies: cookies["mbox"].set("box", *2 * [cookies["mbox"].value]),
    "attribute": lambda cookies: cookies["mbox"].__setitem__("domain", "example.com"),
    "attribute that is taken away": lambda cookies: cookies["mbox"].update({"secure": ""}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_cookie_of_a_response_can_be_changed(change: str, client: TargetClient) -> None:
    with site(client):
        cookies = Client().get("/page", secure=True, HTTP_HOST="shop.example.com").cookies
    before = cookies["mbox"].OutputString()
    CHANGES[change](cookies)
    after, expected = (one.OutputString() for one in (cookies["mbox"], cookies["mbox"].copy()))
    assert set(after.split("; ")) == set(expected.split("; "))
    assert (after == before) == (change == "nothing")


def test_pickled_cookie_of_a_response_is_one_of_the_standard_library(client: TargetClient) -> None:
    with site(client):
        cookie = Client().get("/page", secure=True, HTTP_HOST="shop.example.com").cookies["mbox"]
    copied = pickle.loads(pickle.dumps(cookie))
    assert (type(copied), copied) == (Morsel, cookie)


def test_some_attributes_of_a_cookie_can_be_rendered(client: TargetClient) -> None:
    with site(client):
        cookie = Client().get("/page", secure=True, HTTP_HOST="shop.example.com").cookies["mbox"]
    assert cookie.OutputString(["path"]) == f"mbox={cookie.value}; Path=/"


def asked_url(**headers: str) -> str:
    return Client().get("/url", secure=True, **headers).content.decode()  # type: ignore[arg-type]


def test_each_request_has_the_host_that_the_settings_allow(client: TargetClient) -> None:
    proxied = {"HTTP_HOST": "one.example.com", "HTTP_X_FORWARDED_HOST": "two.example.com"}
    with site(client), override_settings(ALLOWED_HOSTS=[".example.com"]):
        for _ in range(2):  # the second finds the hosts of the first
            assert asked_url(HTTP_HOST="one.example.com") == "https://one.example.com/url"
            assert asked_url(HTTP_HOST="two.example.com:444") == "https://two.example.com:444/url"
            assert asked_url(HTTP_HOST="one.example.org") == "https:///url"
            assert asked_url(**proxied) == "https://one.example.com/url"
        with override_settings(USE_X_FORWARDED_HOST=True):
            assert asked_url(**proxied) == "https://two.example.com/url"
        with override_settings(ALLOWED_HOSTS=["two.example.com"]):
            assert asked_url(HTTP_HOST="one.example.com") == "https:///url"


def test_hosts_that_are_kept_are_bounded(client: TargetClient) -> None:
    with site(client), override_settings(ALLOWED_HOSTS=["*"]):
        visit = import_string(MIDDLEWARE)(url)
        for number in range(1_000):
            visit(RequestFactory().get("/url", HTTP_HOST=f"shop{number}.example.com"))
        assert 0 < len(django_contrib._allowed_hosts) <= django_contrib._MOST_HOSTS


def test_request_with_a_host_of_its_own_is_asked_each_time(client: TargetClient) -> None:
    with site(client, f"{__name__}.OwnHost"):
        for shop in ("one.example.com", "two.example.com"):
            assert asked_url(HTTP_HOST="shop.example.com", HTTP_X_SHOP=shop) == f"https://{shop}/url"


def test_host_that_is_not_allowed_is_not_read(client: TargetClient) -> None:
    with site(client):
        response = Client().get("/page", secure=True, HTTP_HOST="evil.example.com")
    assert (response.status_code, "mbox" in response.cookies) == (200, True)


# Access


@pytest.mark.parametrize(
    ("page", "asgi"), [("/template", False), ("/template", True), ("/async-template", True)]
)
def test_templates_have_the_target(page: str, asgi: bool, client: TargetClient) -> None:
    with site(client):
        assert ask(page, COOKIE, asgi=asgi).text == "p1 granted"


def test_request_without_the_middleware_has_no_target() -> None:
    request = RequestFactory().get("/")
    for get in (get_target, get_sync_target):
        with pytest.raises(LookupError, match="add the middleware"):
            get(request)
    assert target(request) == {}
    assert current_target() is None


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_openfeature_has_the_visitor_of_the_request(asgi: bool, client: TargetClient) -> None:
    api.clear_transaction_context_propagator()
    try:
        with site(client, openfeature=True):
            assert ask("/context", COOKIE, asgi=asgi).text == "p1"
        assert api.get_transaction_context().targeting_key is None
    finally:
        api.clear_transaction_context_propagator()
