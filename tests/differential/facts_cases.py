"""Random addresses and user agents, realistic and unusual."""

from __future__ import annotations

import random
from typing import Any

from differential.cases import BRAND_HINTS, PLATFORM_HINTS, USER_AGENTS

Rng = random.Random

# Without what Targetry reads otherwise than Node on purpose (D-16): `wwwx.` and `www2.`, which Node
# cuts as `www.`, and labels without a dot before a port, whose port Node takes for the host.
_HOSTS = (
    *(
        "foo.com",
        "www.foo.com",
        "www.www.foo.com",
        "co.uk",
        "www.co.uk",
        "foo.co.uk",
        "WWW.FOO.Co.UK",
        "a.b.foo.com",
        "foo.COM",
    ),
    *(
        "127.0.0.1",
        "foo.unknowntld",
        "a.foo.unknowntld",
        "foo.com.",
        "a_b.foo.com",
        "-a.foo.com",
        "foo..com",
        "1.2.3",
        "0x7f.1",
    ),
    *(
        "xn--bcher-kva.de",
        "bücher.de",
        "www.bücher.de",
        "日本.jp",
        "x.github.io",
        "github.io",
        "us-east-1.elasticbeanstalk.com",
    ),
    *(
        "www.ck",
        "foo.ck",
        "a.b.kobe.jp",
        "city.kobe.jp",
        "shop.foo.com.au",
        "foo.com%20",
        "a" * 70 + ".com",
        "www.",
    ),
)
_LABELS = ("localhost", "foo", "com", "www", "")
_SCHEMES = (
    "http://",
    "https://",
    "HTTP://",
    "//",
    "",
    "ftp://",
    "http:",
    "mailto:",
    "javascript:",
    "app-x://",
)
_USERS = ("", "", "", "u@", "u:p@")
_PORTS = ("", "", ":80", ":8080", ":99999", ":123456")
_PATHS = ("", "/", "/home", "/A/b/../c", "/a;b=1", "/a%2Fb", "/ü", "/a b")
_QUERIES = ("", "", "?", "?a=1", "?A=B&c=d", "?x=?y", "?a#b", "?ü=ß")
_FRAGMENTS = ("", "", "#", "#Top", "#a#b", "#/x?y=1")
_BITS = (
    *(
        "Chrome/",
        "Version/",
        "Safari/604.1",
        "Mobile/15E148",
        "Firefox/",
        "MSIE 9.0;",
        "Trident/7.0;",
        "rv:11.0",
        "like Gecko",
    ),
    *(
        "Edg/",
        "Edge/",
        "EdgA/",
        "EdgiOS/",
        "(Windows ",
        "Windows NT",
        "Macintosh;",
        "Android 13;",
        "Linux",
        "(X11; Linux x86_64",
    ),
    *("iPhone", "CrOS", "FreeBSD", "119.0", "17", "v1", "1.2.3.4", "(ie 7", "x", "\u00a0", "é", " "),
)


def address(rng: Rng) -> str:
    host = (
        rng.choice(_USERS) + rng.choice(_HOSTS) + rng.choice(_PORTS)
        if rng.random() < 0.85
        else rng.choice(_LABELS)
    )
    return rng.choice(_SCHEMES) + host + rng.choice(_PATHS) + rng.choice(_QUERIES) + rng.choice(_FRAGMENTS)


def client(rng: Rng) -> dict[str, Any]:
    """Return a context's `userAgent` and perhaps `clientHints`."""
    context: dict[str, Any] = {"userAgent": _damaged(rng) if rng.random() < 0.6 else _made_up(rng)}
    if rng.random() < 0.3:
        hints = {
            "platform": rng.choice((*PLATFORM_HINTS, "Macintosh", "Mac OS")),
            "browserUAWithFullVersion": rng.choice(BRAND_HINTS),
            "browserUAWithMajorVersion": rng.choice(BRAND_HINTS),
        }
        context["clientHints"] = {key: value for key, value in hints.items() if rng.random() < 0.7}
    return context


def _damaged(rng: Rng) -> str:
    letters = list(rng.choice(USER_AGENTS))
    for _ in range(rng.randint(0, 4)):
        place = rng.randint(0, len(letters))
        action = rng.random()
        if action < 0.4:
            del letters[place : place + rng.randint(1, 6)]
        elif action < 0.7:
            letters.insert(place, rng.choice(_BITS))
        else:
            letters[place : place + 1] = rng.choice("aA1/ .;(")
    return "".join(letters)


def _made_up(rng: Rng) -> str:
    return "".join(rng.choice(_BITS) + rng.choice(("", "", " ")) for _ in range(rng.randint(1, 9)))
