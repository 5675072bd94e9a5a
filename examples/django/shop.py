"""A small shop on Django; Adobe Target decides its home page and its checkout."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_POST

from targetry import ClientOptions, samples
from targetry.contrib.django import Consent, get_sync_target, get_target

CHOICES = {"all": Consent.GRANTED, "necessary": Consent.ANONYMOUS}
CHOICE_SECONDS = 180 * 24 * 3600


def client_options() -> ClientOptions:
    """Return options of a client: of the sample rules, or of an edge that `TARGET_EDGE` names."""
    options: ClientOptions = {
        "client": "acme",
        "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
        "decisioning_method": "on-device",
    }
    edge = os.environ.get("TARGET_EDGE")
    if edge is None:
        return {
            **options,
            "artifact_payload": samples.shop(),
            "polling_interval": 0,
            "send_notification_func": lambda impression: None,
        }
    return {**options, "server_domain": edge, "cdn_base_path": f"http://{edge}", "secure": False}


def consent(request: HttpRequest) -> Consent:
    """Return what the visitor has chosen; denied until there is a choice."""
    return CHOICES.get(request.COOKIES.get("choice", ""), Consent.DENIED)


def parameters(request: HttpRequest) -> dict[str, str]:
    """Return what the rules may ask about the visitor."""
    return {"member.tier": request.GET.get("tier", "none"), "user": "Ada"}


def home(request: HttpRequest) -> HttpResponse:
    """Show the home page."""
    offers = get_sync_target(request).offers("hero", "greeting")
    return render(request, "home.html", {"offers": offers})


async def checkout(request: HttpRequest) -> HttpResponse:
    """Return how the checkout works for this visitor; an asynchronous view."""
    return JsonResponse({"one_click": await get_target(request).flag("checkout-flags:oneClick", False)})


@require_POST
def choose(request: HttpRequest, choice: str) -> HttpResponse:
    """Keep the visitor's choice."""
    response = HttpResponseRedirect("/")
    response.set_cookie("choice", choice, max_age=CHOICE_SECONDS, samesite="Lax", httponly=True)
    return response


urlpatterns = [
    path("", home),
    path("checkout", checkout),
    path("consent/<choice>", choose),
]

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    MIDDLEWARE=[
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.common.CommonMiddleware",
        "targetry.contrib.django.TargetMiddleware",
    ],
    ROOT_URLCONF=__name__,
    TARGETRY={**client_options(), "WEB": {"consent": consent, "parameters": parameters}},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).parent / "templates"],
            "OPTIONS": {"context_processors": ["targetry.contrib.django.target"]},
        }
    ],
    USE_TZ=True,
)
django.setup()
wsgi = WSGIHandler()
asgi = ASGIHandler()
